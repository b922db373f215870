"""Verifiers that answer over HTTP: a reader says what is asked, an engine asks it, and `Remote` puts both together."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import NamedTuple

from swe_rm.errors import VerifierError
from swe_rm.trajectory import Trajectory
from swe_rm.verdict import PartlyScoredError, Verdict
from swe_rm.verifiers.remote.asking import EngineDownError, EngineError
from swe_rm.verifiers.remote.question import Answer, Engine, Question, Reader

AT_ONCE = 8
"""Requests under way at once, unless told otherwise."""


class Spent(NamedTuple):
    """What a verifier has asked for so far."""

    requests: int = 0
    """Questions answered."""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    """Of them, those that the server had read before, where it says so."""
    completion_tokens: int = 0

    def __str__(self) -> str:
        return (
            f"{self.requests} answers, {self.prompt_tokens} tokens read ({self.cached_tokens} from a cache), "
            f"{self.completion_tokens} written"
        )


class Remote:
    """A verifier whose answers come from an engine.

    The first request of a task goes before the task's others, so that what they begin with has been read; different
    tasks do not wait for each other beyond that.
    """

    def __init__(
        self, reader: Reader, engine: Engine, *, at_once: int = AT_ONCE, close: Callable[[], None] | None = None
    ) -> None:
        """`close` withdraws what is asked of the engine: see `Asker.close`."""
        self._reader, self._engine, self._at_once, self._close = reader, engine, at_once, close
        self._lock = threading.Lock()
        self.spent = Spent()
        """Summed over all calls."""

    @property
    def name(self) -> str:
        """name@version of the reader, with the engine at its end."""
        return f"{self._reader.name}+{self._engine.name}" if self._engine.name else self._reader.name

    def __call__(self, trajectories: Sequence[Trajectory], /) -> list[Verdict]:
        """One verdict for each trajectory.

        Raises PartlyScoredError, with the others' verdicts, where the engine gave none for an attempt: it was down, it
        refused, it answered with something else, or the attempt cannot be brought under the limit.
        """
        questions, reasons = self._read(trajectories)
        verdicts: list[Verdict] = []
        with ThreadPoolExecutor(self._at_once) as pool:
            for wave in _waves(questions, self._engine.together):
                for found, failed in pool.map(self._ask, wave):
                    verdicts += found
                    reasons |= failed
        if reasons:
            raise PartlyScoredError(self, verdicts, reasons)
        return verdicts

    def close(self) -> None:
        """Nobody waits for verdicts any more: attempts that are under way get none, at once."""
        if self._close:
            self._close()

    def explain(self, trajectory: Trajectory) -> list[str]:
        """What is asked about an attempt, and what was cut."""
        question = self._reader(trajectory)
        read = len(question.token_ids) or "an unknown number of"
        return [f"{self.name}: {read} tokens are sent; {question.cut} were cut", f"so far: {self.spent}"]

    def _read(self, trajectories: Iterable[Trajectory]) -> tuple[list[Question], dict[str, str]]:
        questions, reasons = [], {}
        for trajectory in trajectories:
            try:
                questions.append(self._reader(trajectory))
            except VerifierError as error:
                reasons[trajectory.attempt_id] = str(error)
        return questions, reasons

    def _ask(self, questions: Sequence[Question]) -> tuple[list[Verdict], dict[str, str]]:
        """Verdicts, and reasons by attempt id; where several are refused together, each is asked alone."""
        started = time.perf_counter()
        try:
            answers = self._engine(questions)
        except EngineError as error:
            if len(questions) == 1 or isinstance(error, EngineDownError):
                return [], {question.attempt_id: str(error) for question in questions}
            alone = [self._ask([question]) for question in questions]
            return [v for found, _ in alone for v in found], {k: v for _, failed in alone for k, v in failed.items()}
        seconds = (time.perf_counter() - started) / len(questions)
        self._count(answers)
        return [self._verdict(q, a, seconds) for q, a in zip(questions, answers, strict=True)], {}

    def _count(self, answers: Sequence[Answer]) -> None:
        with self._lock:
            self.spent = Spent(
                self.spent.requests + len(answers),
                self.spent.prompt_tokens + sum(answer.prompt_tokens or 0 for answer in answers),
                self.spent.cached_tokens + sum(answer.cached_tokens for answer in answers),
                self.spent.completion_tokens + sum(answer.completion_tokens for answer in answers),
            )

    def _verdict(self, question: Question, answer: Answer, seconds: float) -> Verdict:
        return Verdict(
            attempt_id=question.attempt_id,
            score=answer.score,
            raw_score=answer.score if answer.raw is None else answer.raw,
            logprob_yes=answer.logprob_yes,
            logprob_no=answer.logprob_no,
            bounds=answer.bounds,
            prompt_tokens=answer.prompt_tokens if answer.prompt_tokens is not None else len(question.token_ids) or None,
            truncated_tokens=question.cut if answer.cut is None else answer.cut,
            seconds=seconds,
            verifier=self.name,
        )


def _waves(questions: Sequence[Question], together: int) -> Iterator[list[list[Question]]]:
    """Requests of at most so many questions of one task: first one of each task, then the rest, task by task."""
    tasks: dict[str, list[Question]] = {}
    for question in questions:
        tasks.setdefault(question.task, []).append(question)
    requests = [list(_parts(group, together)) for group in tasks.values()]
    yield [parts[0] for parts in requests]
    yield [part for parts in requests for part in parts[1:]]


def _parts(group: Sequence[Question], size: int) -> Iterator[list[Question]]:
    questions = iter(group)
    while part := list(islice(questions, size)):
        yield part
