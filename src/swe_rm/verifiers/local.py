"""The verifier `local`: a YES/NO checkpoint read in this process through transformers."""

import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from swe_rm import batch, model
from swe_rm.render import LengthPolicy, Prompt
from swe_rm.trajectory import Trajectory
from swe_rm.verdict import Verdict

ROW_TOKENS = 8_192
"""Tokens of a packed row: beyond about 4k in flight a larger one is not faster."""


class Local:
    """Scores attempts with a checkpoint folder of swe-rm, on CPU or GPU."""

    def __init__(
        self,
        folder: Path | str,
        *,
        policy: LengthPolicy | None = None,
        dtype: model.DType | None = None,
        device: str | None = None,
        device_map: str | dict[str, Any] | None = None,
        experts: model.Experts | None = None,
        row_tokens: int = ROW_TOKENS,
    ) -> None:
        """Load the weights; `policy` replaces the length policy of training.

        Raises CheckpointError for a folder that is missing, damaged or of another template, MissingExtraError without
        torch and transformers.
        """
        self._model = model.load(Path(folder), dtype=dtype, device=device, device_map=device_map, experts=experts)
        self._renderer = self._model.renderer(policy)
        self._row_tokens = row_tokens

    @property
    def name(self) -> str:
        """name@version of the checkpoint's card, the run's digest in the version."""
        return self._model.card.full_name

    def __call__(self, trajectories: Sequence[Trajectory], /) -> list[Verdict]:
        """One verdict for each trajectory. Raises VerifierError when the model answers with NaN."""
        return list(self._verdicts(trajectories))

    def _verdicts(self, trajectories: Sequence[Trajectory]) -> Iterator[Verdict]:
        prompts, rendering = [], []
        for trajectory in trajectories:
            started = time.perf_counter()
            prompts.append(self._renderer.prompt(trajectory))
            rendering.append(time.perf_counter() - started)
        sequences = [prompt.token_ids for prompt in prompts]
        for row in batch.rows(sequences, batch.by_length(sequences), self._row_tokens):
            started = time.perf_counter()
            answers = self._model.logprobs(row)
            each = (time.perf_counter() - started) / len(row.token_ids)
            for index, (yes, no) in zip(row.members, answers, strict=True):
                seconds = rendering[index] + each * len(sequences[index])
                yield _verdict(prompts[index], yes, no, seconds, self.name)

    def explain(self, trajectory: Trajectory) -> list[str]:
        """What the model read of the attempt and what was cut."""
        prompt = self._renderer.prompt(trajectory)
        cut = prompt.cut
        return [
            f"read {len(prompt.token_ids)} tokens; cut {cut.log_tokens} of the log ({cut.turns} whole turns), "
            f"{cut.patch_tokens} of the patch, {cut.issue_tokens} of the issue"
        ]


def _verdict(prompt: Prompt, yes: float, no: float, seconds: float, name: str) -> Verdict:
    score = 1 / (1 + math.exp(min(700.0, no - yes)))
    return Verdict(
        attempt_id=prompt.attempt_id,
        score=score,
        raw_score=score,
        logprob_yes=yes,
        logprob_no=no,
        prompt_tokens=len(prompt.token_ids),
        truncated_tokens=prompt.cut.tokens,
        seconds=seconds,
        verifier=name,
    )
