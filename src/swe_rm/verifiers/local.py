"""The verifier `local`: a YES/NO checkpoint read in this process through transformers."""

import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from swe_rm import batch, decoder, fitting, model, prefix
from swe_rm.render import LengthPolicy, Prompt
from swe_rm.trajectory import Trajectory
from swe_rm.verdict import PartlyScoredError, Verdict, Verifier

ROW_TOKENS = 8_192
"""Tokens of a packed row: on CPU 3 % faster than 4k, and on a GPU a larger one is hardly faster."""


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
        attention: model.Backend | None = None,
        row_tokens: int | None = None,
        share: bool = True,
    ) -> None:
        """Load the weights; `policy` replaces the length policy of training.

        `experts` and `attention` say how they are computed, where not as suits the device; without `share` candidates
        of one task are never read together. Raises CheckpointError for a folder that is missing, damaged or of another
        template, MissingExtraError without torch and transformers.
        """
        self._model = model.load(Path(folder), dtype=dtype, device=device, device_map=device_map, experts=experts)
        self._renderer = self._model.renderer(policy)
        self._model.attention = attention
        self._row_tokens = row_tokens or ROW_TOKENS
        self._share = share

    @property
    def name(self) -> str:
        """name@version of the checkpoint's card, the run's digest in the version, and its numbers if not fp32."""
        return self._model.full_name

    def __call__(self, trajectories: Sequence[Trajectory], /) -> list[Verdict]:
        """One verdict for each trajectory.

        Raises PartlyScoredError, with the others' verdicts, where an attempt does not fit into memory or the model
        answers with NaN.
        """
        prompts, rendering = self._rendered(trajectories)
        verdicts, reasons = [], {}
        for index, answer, seconds in self._answers([prompt.token_ids for prompt in prompts], trajectories):
            if answer.pair is None:
                reasons[prompts[index].attempt_id] = answer.reason
            else:
                verdicts.append(answered(prompts[index], *answer.pair, rendering[index] + seconds, self.name))
        if reasons:
            raise PartlyScoredError(self, verdicts, reasons)
        return verdicts

    def _rendered(self, trajectories: Sequence[Trajectory]) -> tuple[list[Prompt], list[float]]:
        """Prompts, and the seconds each took."""
        prompts, seconds = [], []
        for trajectory in trajectories:
            started = time.perf_counter()
            prompts.append(self._renderer.prompt(trajectory))
            seconds.append(time.perf_counter() - started)
        return prompts, seconds

    def _answers(
        self, sequences: Sequence[batch.Tokens], trajectories: Sequence[Trajectory]
    ) -> Iterator[tuple[int, fitting.Answer, float]]:
        """Index, answer and seconds of each sequence; a row's seconds are parted by length."""
        tasks = [trajectory.task.instance_id for trajectory in trajectories] if self._share else None
        rows = prefix.rows(sequences, self._row_tokens, groups=tasks, crossover=self._model.crossover)
        for trees in rows:
            started = time.perf_counter()
            found = list(fitting.answers(trees, sequences, self._model.logprobs, decoder.suited(self._model.device)))
            seconds = time.perf_counter() - started
            tokens = sum(len(sequences[index]) for index, _ in found)
            yield from ((index, answer, seconds * len(sequences[index]) / tokens) for index, answer in found)

    def following(self) -> Verifier:
        """The same, for the states of one attempt that grows: what they begin with in common is read once."""
        from swe_rm.verifiers.growing import Growing

        return Growing(self, self._model, self._renderer)

    def explain(self, trajectory: Trajectory) -> list[str]:
        """What the model read of the attempt and what was cut."""
        prompt = self._renderer.prompt(trajectory)
        cut = prompt.cut
        return [
            f"read {len(prompt.token_ids)} tokens; cut {cut.log_tokens} of the log ({cut.turns} whole turns), "
            f"{cut.patch_tokens} of the patch, {cut.issue_tokens} of the issue"
        ]


def answered(prompt: Prompt, yes: float, no: float, seconds: float, name: str) -> Verdict:
    """The verdict of a model that gave YES and NO these log-probabilities."""
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
