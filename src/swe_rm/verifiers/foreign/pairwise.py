"""Attempts at one task judged two by two by a chat model; an attempt's score is the mean of what it got."""

import math
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from swe_rm.errors import VerifierError
from swe_rm.trajectory import Trajectory
from swe_rm.verdict import PartlyScoredError, Verdict
from swe_rm.verifiers.foreign.cutting import fit
from swe_rm.verifiers.foreign.entries import Text, defuser, text_of
from swe_rm.verifiers.foreign.file import VerifierFile
from swe_rm.verifiers.foreign.reading import CHARACTERS_PER_TOKEN, Layout, shorter
from swe_rm.verifiers.foreign.tokens import Tokens
from swe_rm.verifiers.remote import Spent
from swe_rm.verifiers.remote.asking import Asker, EngineAnswerError, EngineError
from swe_rm.verifiers.remote.judge import Said, Scale
from swe_rm.verifiers.remote.naming import in_a_name
from swe_rm.verifiers.remote.openai_style import SHOWN
from swe_rm.verifiers.remote.question import cached, usage
from swe_rm.verifiers.remote.shown import WIDEST

SLOTS = ("A", "B")
_NOTHING = Text((), "", "", True)


class Duel(NamedTuple):
    """Two attempts of a task, as the prompt shows them: the first under A."""

    task: str
    first: str
    second: str


class Duelled(NamedTuple):
    """What one reply said of both, in the order of the prompt, and what it cost."""

    said: tuple[Said, Said]
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    seconds: float


class Pairwise:
    """Each attempt meets the next one of its task, in a ring; every pair is shown in both orders.

    So whoever stands under A is not favoured, and the number of replies grows with the attempts, not with the pairs.
    An attempt that is alone in its task has no score.
    """

    judges_together = True
    """A score depends on whom an attempt is compared with: with others beside it, it is another one."""

    def __init__(
        self,
        file: VerifierFile,
        layout: Layout,
        tokens: Tokens | None,
        asker: Asker,
        model: str,
        limit: int | None = None,
    ) -> None:
        """`limit` is how long a prompt the model reads."""
        assert file.answer is not None, "VerifierFile refuses pairs without a scale"
        self._file, self._layout, self._tokens, self._asker, self._model = file, layout, tokens, asker, model
        self._length = shorter(file.length, limit)
        self._scales = tuple(Scale(file.answer.scale, file.answer.after.replace("{}", slot)) for slot in SLOTS)
        self._defused = defuser(tokens.marks if tokens else ())
        self.spent = Spent()
        """Summed over all calls."""

    @property
    def name(self) -> str:
        """name@version of the file, with the digest of what it reads and the model that judges."""
        return f"{self._file.name}@{self._file.version}.{self._layout.digest}+pairs-{in_a_name(self._model)}"

    def __call__(self, trajectories: Sequence[Trajectory], /) -> list[Verdict]:
        """One verdict for each trajectory.

        Raises PartlyScoredError, with the others' verdicts, for an attempt that is alone or whose comparisons failed.
        """
        groups: dict[str, list[Trajectory]] = {}
        for trajectory in trajectories:
            groups.setdefault(trajectory.task.instance_id, []).append(trajectory)
        fitted, reasons = self._fitted(trajectories)
        texts = {attempt_id: text for attempt_id, (text, _) in fitted.items()}
        ready = {task: [t.attempt_id for t in group if t.attempt_id in texts] for task, group in groups.items()}
        duels = [duel for task, ids in ready.items() for duel in ring(task, ids)] * self._file.engine.repeats
        found: dict[str, list[tuple[Said, Duelled]]] = {attempt_id: [] for attempt_id in texts}
        with ThreadPoolExecutor(self._file.engine.at_once) as pool:
            outcomes = pool.map(lambda numbered: self._duel(texts, *numbered), enumerate(duels))
            for duel, outcome in zip(duels, outcomes, strict=True):
                for side, attempt_id in enumerate((duel.first, duel.second)):
                    if isinstance(outcome, str):
                        reasons[attempt_id] = outcome
                    else:
                        found[attempt_id].append((outcome.said[side], outcome))
        return self._verdicts({attempt_id: cut for attempt_id, (_, cut) in fitted.items()}, found, reasons)

    def close(self) -> None:
        """See `Remote.close`."""
        self._asker.close()

    def _fitted(self, trajectories: Sequence[Trajectory]) -> tuple[dict[str, tuple[Text, int]], dict[str, str]]:
        """Each attempt in half of the tokens there are, and how many that cost; the reason where it cannot be."""
        fitted, reasons = {}, {}
        for trajectory in trajectories:
            text = text_of(trajectory, self._defused, merge=self._file.merge)
            try:
                found = fit(text, self._alone, self._length.max_tokens // 2, self._length.rule)
            except VerifierError as error:
                reasons[trajectory.attempt_id] = str(error)
            else:
                fitted[trajectory.attempt_id] = found
        return fitted, reasons

    def _alone(self, text: Text) -> int:
        written = "\n".join(message["content"] for message in self._messages(text, _NOTHING))
        return len(self._tokens.encode(written)) if self._tokens else -(-len(written) // CHARACTERS_PER_TOKEN)

    def _messages(self, first: Text, second: Text) -> Any:
        return self._layout(first._replace(entries=()), a=first, b=second)

    def _duel(self, texts: dict[str, Text], number: int, duel: Duel) -> Duelled | str:
        """What came of one; the reason where nothing did."""
        body = {
            "model": self._model,
            "messages": list(self._messages(texts[duel.first], texts[duel.second])),
            "max_tokens": self._file.engine.max_tokens,
            "temperature": self._file.engine.temperature,
            "seed": number,
            "logprobs": True,
            "top_logprobs": SHOWN,
        }
        started = time.perf_counter()
        try:
            document = self._asker.post("/v1/chat/completions", body)
            said = [scale(document) for scale in self._scales]
            first, second = said
            if first is None or second is None:
                raise EngineAnswerError("a reply has no letter for one of the two attempts")
        except EngineError as error:
            return str(error)
        spent = (usage(document) or 0, cached(document), usage(document, "completion_tokens") or 0)
        return Duelled((first, second), *spent, time.perf_counter() - started)

    def _verdicts(
        self,
        cut: Mapping[str, int],
        found: dict[str, list[tuple[Said, Duelled]]],
        reasons: dict[str, str],
    ) -> list[Verdict]:
        """`cut` says of each attempt that was compared what its text lost; `reasons` grows."""
        verdicts = []
        for id_ in cut:
            if id_ in reasons:
                continue
            if not found[id_]:
                reasons[id_] = "is the only attempt at its task here: pairs need two"
                continue
            low, high = (math.fsum(said[side] for said, _ in found[id_]) / len(found[id_]) for side in (0, 1))
            if high - low > WIDEST:
                reasons[id_] = f"the score lies between {low:.3f} and {high:.3f}: too wide"
                continue
            verdicts.append(self._verdict(id_, (low, high), cut[id_], [duelled for _, duelled in found[id_]]))
        self._count([duelled for pairs in found.values() for _, duelled in pairs])
        if reasons:
            raise PartlyScoredError(self, verdicts, reasons)
        return verdicts

    def _verdict(self, attempt_id: str, ends: tuple[float, float], cut: int, duels: Sequence[Duelled]) -> Verdict:
        """Half of each reply's cost is its own."""
        score = math.fsum(ends) / 2
        return Verdict(
            attempt_id=attempt_id,
            score=score,
            raw_score=score,
            bounds=ends if ends[1] > ends[0] else None,
            prompt_tokens=sum(duel.prompt_tokens for duel in duels) // 2,
            truncated_tokens=cut,
            seconds=sum(duel.seconds for duel in duels) / 2,
            verifier=self.name,
        )

    def _count(self, duels: Sequence[Duelled]) -> None:
        """Each reply stands under both its attempts."""
        self.spent = Spent(
            self.spent.requests + len(duels) // 2,
            self.spent.prompt_tokens + sum(duel.prompt_tokens for duel in duels) // 2,
            self.spent.cached_tokens + sum(duel.cached_tokens for duel in duels) // 2,
            self.spent.completion_tokens + sum(duel.completion_tokens for duel in duels) // 2,
        )


def ring(task: str, attempt_ids: Sequence[str]) -> list[Duel]:
    """Each attempt with the next, both ways; two attempts are one pair, and one is none."""
    if len(attempt_ids) < 2:
        return []
    after = [*attempt_ids[1:], attempt_ids[0]]
    pairs = list(zip(attempt_ids, after, strict=True))[: 1 if len(attempt_ids) == 2 else None]
    return [duel for first, second in pairs for duel in (Duel(task, first, second), Duel(task, second, first))]
