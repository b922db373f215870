"""What commands show: progress on anything longer than two seconds, and rankings."""

import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from swe_rm import progress
from swe_rm.cut_short import turn_starts
from swe_rm.errors import VerifierError
from swe_rm.printable import printable
from swe_rm.trajectory import Labelled, Outcome, Trajectory
from swe_rm.verdict import Ranking, Verdict, Verifier, following

if TYPE_CHECKING:
    from rich.text import Text

T = TypeVar("T")

QUIET_SECONDS = 2.0
"""Work shorter than this shows nothing."""
LINE_SECONDS = 10.0
"""Time between two lines where the output is no terminal (a log file should not fill up)."""

MAX_POLICY_WIDTH = 40
"""Columns a policy's name may take before it pushes its line out of line."""

WHY_POINTS = 12
"""Most points of an attempt that are scored to say which turns moved it: an explanation costs no more verdicts."""
WHY_MOVES = 3

_MARKS = {Outcome.RESOLVED: "resolved", Outcome.UNRESOLVED: "unresolved", Outcome.UNKNOWN: ""}
_STYLES = {Outcome.RESOLVED: "green", Outcome.UNRESOLVED: "red", Outcome.UNKNOWN: ""}


class Progress:
    """A line on stderr that says how far the work is; a thread writes it, so that one long step shows time as well.

    A terminal gets one line that is rewritten twice a second and erased at the end, a file a line each ten seconds.
    """

    def __init__(self, label: str, total: int | None = None, stream: TextIO | None = None) -> None:
        self._label = label
        self._total = total
        self._stream = stream or sys.stderr
        self._done = 0
        self._finished = threading.Event()
        self._thread = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> "Progress":
        self._started = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._finished.set()
        self._thread.join()

    def advance(self, steps: int = 1) -> None:
        """Count steps as done."""
        self._done += steps

    def reach(self, done: int, total: int) -> None:
        """So many of so many are done."""
        self._done, self._total = done, total

    def over(self, items: Iterable[T]) -> Iterator[T]:
        """The items, each counted when the next one is asked for."""
        for item in items:
            yield item
            self.advance()

    def _tick(self) -> None:
        rewritten = self._stream.isatty()
        wait = QUIET_SECONDS
        shown = False
        while not self._finished.wait(wait):
            self._stream.write(f"\r\x1b[2K{self._line()}" if rewritten else f"{self._line()}\n")
            self._stream.flush()
            wait, shown = 0.5 if rewritten else LINE_SECONDS, True
        if shown and rewritten:
            self._stream.write("\r\x1b[2K")
            self._stream.flush()

    def _line(self) -> str:
        seconds = time.monotonic() - self._started
        if not self._total:
            count = f" {self._done:,}" if self._done else ""
            return f"{self._label}{count} · {_clock(seconds)}"
        left = f", {_clock(seconds / self._done * (self._total - self._done))} left" if self._done else ""
        return f"{self._label} {self._done:,} of {self._total:,} · {_clock(seconds)}{left}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


def shown(ranking: Ranking, top: int | None) -> Ranking:
    """The ranking with its best `top` candidates only."""
    return ranking.model_copy(update={"candidates": ranking.candidates[:top]})


def abstains(ranking: Ranking, min_confidence: float | None) -> bool:
    """Whether the pick, or one of those that tie for it, is below the confidence asked for."""
    picks = (candidate.score for candidate in ranking.candidates if candidate.rank == 1)
    return min_confidence is not None and min(picks) < min_confidence


def ranking_json(rankings: Sequence[Ranking], min_confidence: float | None, top: int | None = None) -> dict[str, Any]:
    """The document of `rank --json`; `abstained` is there where a confidence is asked for."""
    tasks = [
        shown(ranking, top).model_dump()
        | ({} if min_confidence is None else {"abstained": abstains(ranking, min_confidence)})
        for ranking in rankings
    ]
    return {"tasks": tasks}


def reasons(
    rankings: Sequence[Ranking],
    attempts: Mapping[str, Labelled],
    verifier: Verifier,
    verdicts: Mapping[str, Verdict],
) -> dict[str, list[str]]:
    """Lines on what each ranked attempt's score is made of, by attempt id: the verdict's own figures, what an
    `explain(trajectory) -> list[str]` of the verifier says where it has one, and the turns that moved the score most
    where it can judge an attempt under way."""
    explain = getattr(verifier, "explain", None)
    try:
        following(verifier)
        follows = True
    except VerifierError:
        follows = False
    ids = [candidate.attempt_id for ranking in rankings for candidate in ranking.candidates]
    found: dict[str, list[str]] = {}
    with Progress("explaining", len(ids)) as shown:
        for id_ in shown.over(ids):
            trajectory = attempts[id_].trajectory
            found[id_] = [
                *_figures(verdicts[id_]),
                *(explain(trajectory) if explain else ()),
                *(_moves(trajectory, verifier) if follows else ()),
            ]
    return found


def _moves(trajectory: Trajectory, verifier: Verifier) -> list[str]:
    """The stretches of turns that moved the score most."""
    n_turns = len(turn_starts(trajectory))
    if n_turns < 2:
        return []
    try:
        curve = progress.curve(trajectory, verifier, progress.every_for(n_turns, WHY_POINTS))
    except VerifierError as error:
        return [f"no scores after its turns: {error}"]
    return [str(move) for move in curve.moved(WHY_MOVES)]


def _figures(verdict: Verdict) -> list[str]:
    lines = [f"{verdict.raw_score:.3f} before calibration"] if verdict.raw_score != verdict.score else []
    if verdict.verdict_mass is not None:
        lines.append(f"{verdict.verdict_mass:.1%} of the answer is YES or NO")
    if verdict.prompt_tokens is not None:
        lines.append(f"{verdict.prompt_tokens:,} tokens read, {verdict.truncated_tokens or 0:,} cut")
    return lines


def ranking_lines(
    rankings: Sequence[Ranking],
    attempts: Mapping[str, Labelled],
    why: Mapping[str, Sequence[str]],
    min_confidence: float | None = None,
    top: int | None = None,
) -> Iterator["Text"]:
    """The rankings as lines in columns, best candidate first; outcomes where they are known, reasons below.

    `attempts` and `why` are keyed by attempt id.
    """
    from rich.text import Text

    policies = [candidate.policy for ranking in rankings for candidate in shown(ranking, top).candidates]
    width = min(MAX_POLICY_WIDTH, max(map(len, policies), default=0))
    for ranking in rankings:
        yield Text(printable(ranking.instance_id), style="bold")
        if abstains(ranking, min_confidence):
            yield Text(f"  abstains: the pick's score is below {min_confidence:g}", style="yellow")
        for candidate in shown(ranking, top).candidates:
            outcome = attempts[candidate.attempt_id].outcome
            line = Text(f"{candidate.rank:>4}  {candidate.score:.3f}  ")
            line.append(f"{_MARKS[outcome]:<10}", style=_STYLES[outcome])
            line.append(f"  {printable(candidate.policy):<{width}}  {printable(candidate.attempt)}")
            yield line
            yield from (
                Text(f"{'':>6}{printable(reason)}", style="dim") for reason in why.get(candidate.attempt_id, ())
            )
