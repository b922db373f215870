"""Scoring attempts with a verifier: in memory, or into a file of verdicts that a killed run can take up again."""

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import orjson

from swe_rm.errors import RecordError, SweRmError, VerifierError
from swe_rm.trajectory import Labelled, Noun, Trajectory
from swe_rm.verdict import PartlyScoredError, Verdict, Verifier, by_id, judges_together

CHUNK = 32
"""Attempts given to the verifier at once: enough to sort by length, and a kill costs at most half a minute of them."""

T = TypeVar("T")


class Unscored(Noun):
    """An attempt the verifier could give no verdict on, and why. It gets no score and is counted."""

    attempt_id: str
    instance_id: str
    policy: str
    attempt: str
    reason: str

    def __str__(self) -> str:
        return f"{self.instance_id} / {self.policy} / {self.attempt}: {self.reason}"


class Tally(Noun):
    """What became of the attempts of a `score_to_file` run; read = scored + skipped + unscored."""

    read: int = 0
    scored: int = 0
    skipped: int = 0
    """Already in the file."""
    unscored: tuple[Unscored, ...] = ()


def score(
    trajectories: Sequence[Trajectory],
    verifier: Verifier,
    *,
    unscored: Callable[[Unscored], None] | None = None,
    progress: Callable[[int], None] | None = None,
    chunk: int = CHUNK,
) -> dict[str, Verdict]:
    """The verdict on every trajectory, by attempt id.

    An attempt the verifier fails on raises its VerifierError, or, where `unscored` is given, is reported to it and
    missing from the result. `progress` is told the number of attempts done after each chunk. A verifier that compares
    attempts sees all of a task in one call. Raises SweRmError when one attempt is given twice.
    """
    if len({trajectory.attempt_id for trajectory in trajectories}) != len(trajectories):
        raise SweRmError("one attempt is given twice: scores are joined by attempt id")
    verdicts: dict[str, Verdict] = {}
    tasks = _by_task(trajectories, lambda trajectory: trajectory.task.instance_id)
    for part in _whole(tasks, chunk) if judges_together(verifier) else _chunks(chain(*tasks), chunk):
        found, failed = _verdicts(part, verifier)
        verdicts.update(found)
        for failure in failed:
            if unscored is None:
                raise VerifierError(str(failure))
            unscored(failure)
        if progress:
            progress(len(part))
    return verdicts


class Chunk(NamedTuple):
    """Attempts read together."""

    read: int
    fresh: list[Trajectory]
    """Those of them that are to be scored."""
    company: Sequence[Trajectory] = ()
    """All attempts at their tasks, where the verifier compares them: those that stand in the file are judged once more,
    for the others' sake, and not written again."""


class Judged(NamedTuple):
    """What became of a chunk."""

    read: int
    rows: list[dict[str, Any]]
    """One for each attempt scored, in their order."""
    unscored: list[Unscored]


class Scorer(NamedTuple):
    """A verifier by name, and where it judges: in this process (`here`) or elsewhere."""

    name: str
    judge: Callable[[Iterable[Chunk]], Iterator[Judged]]
    """What became of the chunks, in their order."""
    together: bool = False
    """Whether it compares the attempts of a chunk, which is then made of whole tasks."""


def here(verifier: Verifier) -> Scorer:
    """A verifier that judges in this process, one chunk at a time."""
    return Scorer(
        verifier.name, lambda chunks: (judged(chunk, verifier) for chunk in chunks), judges_together(verifier)
    )


def judged(chunk: Chunk, verifier: Verifier) -> Judged:
    """A chunk judged by a verifier."""
    found, failed = _verdicts(chunk.company or chunk.fresh, verifier)
    rows = [verdict_row(t, found[t.attempt_id]) for t in chunk.fresh if t.attempt_id in found]
    fresh = {trajectory.attempt_id for trajectory in chunk.fresh}
    return Judged(chunk.read, rows, [failure for failure in failed if failure.attempt_id in fresh])


def given_up(chunk: Chunk, reason: str) -> Judged:
    """A chunk that nobody could judge."""
    return Judged(chunk.read, [], [_unscored(trajectory, reason) for trajectory in chunk.fresh])


def score_to_file(
    attempts: Iterable[Labelled],
    verifier: Verifier | Scorer,
    out: Path,
    *,
    resume: bool = False,
    progress: Callable[[int], None] | None = None,
    chunk: int = CHUNK,
) -> Tally:
    """Score a stream of attempts into `out`, one JSON object a line; memory stays at the chunks under way, but for a
    verifier that compares attempts, which takes the whole stream, task by task.

    A chunk is appended whole and flushed to disk, so a killed run leaves at most a torn last line. With `resume` that
    line is cut and attempts already in the file are skipped. Raises SweRmError when `out` exists (without `resume`) or
    another run is writing it, VerifierError when another verifier wrote it, RecordError when it holds anything else.
    """
    scorer = verifier if isinstance(verifier, Scorer) else here(verifier)
    read = scored = fresh = 0
    failures: list[Unscored] = []
    with _appending(out, resume) as file:
        done = _resumable(file, out, scorer.name)
        known = len(done)
        for part in scorer.judge(_to_judge(attempts, done, chunk, scorer.together)):
            _append(file, b"".join(orjson.dumps(row) + b"\n" for row in part.rows))
            failures += part.unscored
            read, scored = read + part.read, scored + len(part.rows)
            if progress:
                progress(part.read)
        fresh = len(done) - known
    assert fresh == scored + len(failures)
    return Tally(read=read, scored=scored, skipped=read - fresh, unscored=tuple(failures))


def verdict_row(trajectory: Trajectory, verdict: Verdict) -> dict[str, Any]:
    """One line of `swe-rm score`: the keys of the command line contract, in its order; `bounds` only if there are."""
    row = {
        "attempt_id": trajectory.attempt_id,
        "content_hash": trajectory.content_hash,
        "instance_id": trajectory.task.instance_id,
        "policy": trajectory.origin.policy,
        "attempt": trajectory.origin.attempt,
        "score": verdict.score,
        "raw_score": verdict.raw_score,
        "logprob_yes": verdict.logprob_yes,
        "logprob_no": verdict.logprob_no,
        "verdict_mass": verdict.verdict_mass,
        "prompt_tokens": verdict.prompt_tokens,
        "truncated_tokens": verdict.truncated_tokens,
        "seconds": verdict.seconds,
        "verifier": verdict.verifier,
    }
    return row if verdict.bounds is None else {**row, "bounds": verdict.bounds}


def _verdicts(part: Sequence[Trajectory], verifier: Verifier) -> tuple[dict[str, Verdict], list[Unscored]]:
    """Verdicts on a chunk; where it fails, its halves are tried, so that one bad attempt costs only itself, or its
    task where the verifier compares a task's attempts.

    A verifier that knows which attempts it failed on is taken at its word, unless another stands around it.
    """
    if not part:
        return {}, []
    try:
        return by_id(part, verifier(part)), []
    except VerifierError as error:
        if isinstance(error, PartlyScoredError) and error.verifier is verifier:
            failed = [t for t in part if t.attempt_id in error.reasons]
            scored = [t for t in part if t.attempt_id not in error.reasons]
            return by_id(scored, error.verdicts), [_unscored(t, error.reasons[t.attempt_id]) for t in failed]
        middle = _middle(part, judges_together(verifier))
        if middle is None:
            return {}, [_unscored(trajectory, str(error)) for trajectory in part]
    first, failed_first = _verdicts(part[:middle], verifier)
    second, failed_second = _verdicts(part[middle:], verifier)
    return first | second, failed_first + failed_second


def _middle(part: Sequence[Trajectory], together: bool) -> int | None:
    """Where a chunk is cut in two, between tasks if they are judged together; None where it cannot be."""
    names = [trajectory.task.instance_id for trajectory in part]
    cuts = [place for place in range(1, len(part)) if not together or names[place] != names[place - 1]]
    return min(cuts, key=lambda place: abs(place - len(part) // 2), default=None)


def _unscored(trajectory: Trajectory, reason: str) -> Unscored:
    instance_id, policy, attempt = trajectory.key
    return Unscored(
        attempt_id=trajectory.attempt_id, instance_id=instance_id, policy=policy, attempt=attempt, reason=reason
    )


def _to_judge(attempts: Iterable[Labelled], done: set[bytes], size: int, together: bool) -> Iterator[Chunk]:
    if not together:
        yield from (Chunk(len(part), _fresh(part, done)) for part in _chunks(attempts, size))
        return
    for part in _whole(_by_task(attempts, lambda item: item.trajectory.task.instance_id), size):
        fresh = _fresh(part, done)
        names = {trajectory.task.instance_id for trajectory in fresh}
        company = {t.attempt_id: t for t in (item.trajectory for item in part) if t.task.instance_id in names}
        yield Chunk(len(part), fresh, tuple(company.values()))


def _fresh(part: Sequence[Labelled], done: set[bytes]) -> list[Trajectory]:
    """The trajectories of the chunk that are not done; they are from now on."""
    fresh = []
    for item in part:
        key = _key(item.trajectory.attempt_id)
        if key not in done:
            done.add(key)
            fresh.append(item.trajectory)
    return fresh


def _key(attempt_id: str) -> bytes:
    """An attempt id as it is held for every attempt of a run: 10 bytes where its text has 20."""
    try:
        return bytes.fromhex(attempt_id)
    except ValueError:
        return attempt_id.encode()


def _by_task(items: Iterable[T], task: Callable[[T], str]) -> list[list[T]]:
    """Those at one task side by side, in the order in which tasks first appear: they begin alike and are read so."""
    groups: dict[str, list[T]] = {}
    for item in items:
        groups.setdefault(task(item), []).append(item)
    return [*groups.values()]


def _whole(groups: Iterable[list[T]], size: int) -> Iterator[list[T]]:
    """Chunks of whole groups, of at most `size` unless one group is larger."""
    part: list[T] = []
    for group in groups:
        if part and len(part) + len(group) > size:
            yield part
            part = []
        part = part + group
    if part:
        yield part


def _chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while part := list(islice(iterator, size)):
        yield part


@contextmanager
def _appending(out: Path, resume: bool) -> Iterator[int]:
    """A file descriptor to append to, held by this run alone; a file that got no line is not left behind."""
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | (0 if resume else os.O_EXCL)
    try:
        file = os.open(out, flags, 0o666)
    except FileExistsError:
        raise SweRmError(f"{out}: exists; --resume continues it, another --out starts anew") from None
    except OSError as error:
        raise SweRmError(f"{out}: {error.strerror}") from None
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SweRmError(f"{out}: another run is writing it") from None
        try:
            yield file
        finally:
            if os.fstat(file).st_size == 0:
                out.unlink()
    finally:
        os.close(file)


def _resumable(file: int, out: Path, verifier: str) -> set[bytes]:
    """The attempt ids in the file, after its torn last line is cut."""
    with open(file, "rb", closefd=False) as lines:
        lines.seek(0)
        done: set[bytes] = set()
        whole = 0
        for number, line in enumerate(lines, 1):
            if not line.endswith(b"\n"):
                break
            done.add(_scored_by(line, f"line {number}", out, verifier, done))
            whole += len(line)
    os.ftruncate(file, whole)
    return done


def _scored_by(line: bytes, record: str, out: Path, verifier: str, done: set[bytes]) -> bytes:
    try:
        row = orjson.loads(line)
        attempt_id, author = row["attempt_id"], row["verifier"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise RecordError(str(out), record, "not a line of swe-rm score, so it cannot be resumed") from None
    if author != verifier:
        raise VerifierError(f"{out}: written by {author}, this run is {verifier}: use another --out")
    key = _key(str(attempt_id))
    if key in done:
        raise RecordError(str(out), record, f"attempt {attempt_id} stands there twice")
    return key


def _append(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]
    os.fsync(file)
