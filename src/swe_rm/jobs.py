"""Several jobs at once, each a process with a folder of its own; what is finished is not run again."""

import fcntl
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, Generic, NamedTuple, Protocol, TypeVar

from swe_rm.errors import SweRmError

_PAUSE = 0.2
"""Seconds between two looks at the processes."""


class Job(Protocol):
    """A process that leaves a result in a folder, and can be called again after a kill."""

    @property
    def name(self) -> str:
        """What lines about it begin with."""

    @property
    def out(self) -> Path:
        """Its folder; what it says goes into a file beside it, NAME.log."""

    @property
    def begins_with(self) -> Path:
        """What it makes where it is not there, and others may need too: these wait for the job that makes it."""

    def prepare(self) -> Sequence[str]:
        """Write what the process reads, and give its command."""

    def result(self) -> Mapping[str, Any] | None:
        """What it left; None where it is not finished. Raises SweRmError where the folder is another's."""

    def told(self, result: Mapping[str, Any]) -> str:
        """The result in a few words."""


J = TypeVar("J", bound=Job)


class Done(NamedTuple, Generic[J]):
    """What became of one job."""

    job: J
    result: Mapping[str, Any] | None
    """None where it failed."""
    reason: str = ""
    """Why it failed."""


class _Working(NamedTuple, Generic[J]):
    """A job at work."""

    job: J
    process: "subprocess.Popen[bytes]"
    said: IO[bytes]
    """What it says; locked for as long as it or we live, so that no other process works in the same folder."""
    begun: float


def run_all(jobs: Sequence[J], parallel: int, threads: int, say: Callable[[str], None] = print) -> list[Done[J]]:
    """Run what is not finished yet, in order, so many at once, each with so many threads; what became of each.

    A job that fails has its reason and the others go on. Called again after a kill, jobs go on where they saved.
    """
    found = {job.name: done for job in jobs if (done := _known(job))}
    for done in found.values():
        say(_line(done, "was finished already"))
    waiting = [job for job in jobs if job.name not in found]
    working: list[_Working[J]] = []
    with ExitStack() as stack:
        stack.callback(_stop, working)
        while waiting or working:
            for one in [one for one in working if one.process.poll() is not None]:
                working.remove(one)
                found[one.job.name] = done = _ended(one)
                say(_line(done, f"done in {time.monotonic() - one.begun:.0f} s"))
            while len(working) < parallel and (ready := _next(waiting, working)):
                waiting.remove(ready)
                if (begun := _begun(ready, threads)) is None:
                    found[ready.name] = done = Done(ready, None, f"another process is at work in {ready.out}")
                    say(_line(done))
                else:
                    working.append(begun)
                    say(f"{ready.name}: begun, says what it does in {begun.said.name}")
            if working:
                time.sleep(_PAUSE)
    return [found[job.name] for job in jobs]


def _known(job: J) -> Done[J] | None:
    """A job that is finished, or that cannot be begun as its folder is another's."""
    try:
        result = job.result()
    except SweRmError as error:
        return Done(job, None, str(error))
    return None if result is None else Done(job, result)


def _next(waiting: Sequence[J], working: Sequence[_Working[J]]) -> J | None:
    """The first that may begin: of jobs that begin alike one makes the beginning, and the others wait for it."""
    made = {one.job.begins_with for one in working}
    return next((job for job in waiting if job.begins_with.is_dir() or job.begins_with not in made), None)


def _begun(job: J, threads: int) -> _Working[J] | None:
    """Its process; None where the folder is another's."""
    job.out.parent.mkdir(parents=True, exist_ok=True)
    said = job.out.with_name(f"{job.out.name}.log").open("ab")
    try:
        fcntl.flock(said, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        said.close()
        return None
    process = subprocess.Popen(
        job.prepare(),
        stdin=subprocess.DEVNULL,
        stdout=said,
        stderr=said,
        env={**os.environ, **{name: str(threads) for name in _THREADS}},
        start_new_session=True,  # Ctrl-C is ours to pass on, once
    )
    return _Working(job, process, said, time.monotonic())


_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def _ended(one: _Working[J]) -> Done[J]:
    one.said.close()
    if (known := _known(one.job)) is not None:
        return known  # done, however its process ended afterwards
    code = one.process.returncode
    if code < 0:
        return Done(one.job, None, f"ended by signal {-code}")
    if not code:
        return Done(one.job, None, "ended well and wrote no result")
    return Done(one.job, None, _last_words(Path(one.said.name)) or f"ended with exit code {code}")


def _last_words(file: Path) -> str:
    lines = file.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip().removeprefix("swe-rm: ") for line in reversed(lines) if line.strip()), "")


def _stop(working: Sequence[_Working[J]]) -> None:
    """End what is at work, in order: each cleans up after itself and can go on from where it saved."""
    for one in working:
        one.process.terminate()
    for one in working:
        one.process.wait()
        one.said.close()


def _line(done: Done[J], how: str = "") -> str:
    if done.result is None:
        return f"{done.job.name}: FAILED: {done.reason}"
    return f"{done.job.name}: {how}: {done.job.told(done.result)}"
