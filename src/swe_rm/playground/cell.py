"""Runs foreign code confined, one run after the other: a program of its own that `sandbox` starts and talks to.

It has `unittest` loaded and forks a process for each run, so tests begin within milliseconds. Standard library only. On
Linux it adopts whatever a run leaves behind, and nothing of a run outlives it. A request is a line of JSON on standard
input, the answer one on standard output; when the input ends, so do the run and the program.
"""

import ctypes
import json
import os
import selectors
import signal
import sys
import time
import traceback
import types
import unittest
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from swe_rm.playground import confinement

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_LOOK = 0.05
"""Seconds between two looks at what a run uses."""
_BLOCK = 4096
"""Bytes that an entry takes at least, however empty: a million empty files fill a disk too."""
_MOST_TOLD = 4 * 2**20
"""Bytes: results of tests are short, and who would tell more has other things in mind."""
_GIVE_UP = 10.0
"""Seconds until a run that cannot be ended is left to whoever started this program."""
_PASSED, _FAILED, _SKIPPED, _TAMPERED = "passed", "failed", "skipped", "tampered"
_READY = "ready"
"""Told when the run is confined and begins; without it what went wrong is ours."""
_CANNOT_RUN = 126
"""Exit code of a command that could not be started, as shells have it."""


def serve() -> None:
    """Answer requests until there are no more."""
    if confinement.LINUX:
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    answers = os.dup(1)
    os.dup2(2, 1)  # what is printed by mistake is no answer
    account = confinement.account_of(os.getpid())
    confinement.readable()
    for line in sys.stdin.buffer:
        if not line.endswith(b"\n"):
            return  # whoever asked was ended in the middle of it
        request = json.loads(line)
        try:
            answer = _Run(request, account).answer()
        except FileNotFoundError:
            if Path(request["root"]).is_dir():
                raise
            return  # whoever asked is gone, and the folder with it
        try:
            os.write(answers, json.dumps(answer).encode() + b"\n")
        except BrokenPipeError:
            return  # nobody waits for the answer


class _Run:
    """One run: the process forked for it, what it says, and what it uses."""

    def __init__(self, request: Mapping[str, Any], account: confinement.Account | None) -> None:
        self._request = request
        self._limits: dict[str, int] = request["limits"]
        self._root: str = request["root"]
        # git asks access(2), which looks at rights alone: another user's scratch folder must not lie in a private one.
        self._account = account if all(above.stat().st_mode & 1 for above in Path(self._root).parents) else None
        self._output = _Kept(self._limits["output_kb"] << 9)
        self._told = bytearray()
        self._pid = 0
        self._status: int | None = None

    def answer(self) -> dict[str, Any]:
        """Carry it out and say how it ended, when nothing of it is left."""
        if self._account is not None and Path(self._root).stat().st_uid != self._account.number:
            # Once, while all in it is ours: a link of theirs may lead anywhere.
            _hand_over(self._root, self._account.number)
        began = time.monotonic()
        said, told = os.pipe(), os.pipe()
        self._pid = os.fork()
        if not self._pid:
            os.close(said[0])
            os.close(told[0])
            self._become(said[1], told[1])
        os.close(said[1])
        os.close(told[1])
        ended = self._watch(said[0], told[0], began + self._limits["wall_seconds"])
        used = os.times()
        status = self._end()
        after = os.times()
        _drain(said[0], self._output.add)
        _drain(told[0], self._hear)
        told_of = self._tests()
        if not told_of.pop(_READY, ""):
            ended = "not begun"
        return {
            "ended": ended or self._overused(),
            "code": os.waitstatus_to_exitcode(status),
            "output": self._output.text(),
            "tests": told_of,
            "seconds": time.monotonic() - began,
            "cpu_seconds": after.children_user + after.children_system - used.children_user - used.children_system,
        }

    def _tests(self) -> dict[str, str]:
        """What was told of each test, by those who know this run's word; a line cut off by the end is none."""
        word = self._request["word"]
        lines = (line.split(" ", 2) for line in self._told.decode("utf-8", "replace").split("\n")[:-1])
        return {parts[2]: parts[1] for parts in lines if len(parts) == 3 and parts[0] == word}

    def _watch(self, said: int, told: int, until: float) -> str:
        """Read what it says until its process has ended; the reason when it is to be ended before."""
        took = os.pidfd_open(self._pid) if hasattr(os, "pidfd_open") else -1
        with selectors.DefaultSelector() as selector:
            for descriptor, take in ((said, self._output.add), (told, self._hear)):
                selector.register(descriptor, selectors.EVENT_READ, take)
            for descriptor in (0, *([took] if took >= 0 else [])):
                selector.register(descriptor, selectors.EVENT_READ, None)
            look = time.monotonic() + _LOOK
            try:
                while True:
                    for key, _ in selector.select(max(0.0, min(look, until) - time.monotonic())):
                        if key.fd == 0:
                            return "gone"  # nobody waits for the answer
                        if key.data and not _read(key.fd, key.data):
                            selector.unregister(key.fd)
                    if self._is_over():
                        return ""
                    if time.monotonic() >= until:
                        return "wall"
                    if time.monotonic() >= look:
                        if why := self._overused():
                            return why
                        look = time.monotonic() + _LOOK
            finally:
                if took >= 0:
                    os.close(took)

    def _hear(self, chunk: bytes) -> None:
        if len(self._told) < _MOST_TOLD:
            self._told += chunk

    def _is_over(self) -> bool:
        """Whether its first process has ended; left to be asked how where that can be, so that its number stays its."""
        if confinement.LINUX:
            return os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        pid, status = os.waitpid(self._pid, os.WNOHANG)
        self._status = status if pid else None
        return pid == self._pid

    def _overused(self) -> str:
        """What no limit of the kernel counts: everything it has written together, and all its processes."""
        if _used(self._root, self._limits["disk_mb"] << 20):
            return "disk"
        others = [pid for pid in _below(os.getpid()) if pid != self._pid]
        return "processes" if sum(not _reaped(pid) for pid in others) > self._limits["processes"] else ""

    def _end(self) -> int:
        """Kill what is left of it, and what that starts meanwhile; the wait status of its first process."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._pid, signal.SIGKILL)
        status = os.waitpid(self._pid, 0)[1] if self._status is None else self._status
        until = time.monotonic() + _GIVE_UP
        while time.monotonic() < until:
            try:
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            except ChildProcessError:
                return status
            for pid in _below(os.getpid()):
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.001)
        os._exit(1)

    def _become(self, said: int, told: int) -> None:
        """In the new process: be confined, then be the command or run the tests; never returns."""
        code = _CANNOT_RUN
        try:
            os.setsid()
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(said, 1)
            os.dup2(said, 2)
            os.chdir(self._request["folder"])
            os.umask(0o022)
            confinement.confine(self._limits, [self._root], self._account)
            if confinement.LINUX:
                ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            os.write(told, f"{self._request['word']} {_READY} {_READY}\n".encode())
            code = self._be(told)
            sys.stdout.flush()
            sys.stderr.flush()
        except SystemExit as end:
            code = _code(end)
        finally:
            if (error := sys.exc_info()[1]) is not None:
                code = 1
                _print(error)
            os._exit(code)

    def _be(self, told: int) -> int:
        """Be the command, run the script or the tests; the exit code."""
        asked = self._request
        if "command" in asked:
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            os.execve(asked["shell"], ["bash", "-c", asked["command"]], asked["variables"])  # noqa: S606
        os.environ.clear()
        os.environ.update(asked["variables"])
        sys.path.insert(0, str(Path.cwd()))
        if "tests" in asked:
            return _run_tests(asked["tests"], told, asked["word"])
        if "unittest" in asked:
            unittest.main(module=None, argv=["python -m unittest", *asked["unittest"]])
        script = types.ModuleType("__main__")
        sys.modules["__main__"] = script
        sys.argv = ["-"]
        exec(compile(asked["script"], "<stdin>", "exec"), vars(script))  # noqa: S102  # what the sandbox is for
        return 0


def _print(error: BaseException) -> None:
    """The traceback that Python prints at its end, without the lines of this program."""
    sys.stdout.flush()
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    traceback.print_exception(type(error), error, trace)
    sys.stderr.flush()


def _code(end: SystemExit) -> int:
    """The exit code of a Python that ends so; what it says is said."""
    sys.stdout.flush()
    if end.code is None or isinstance(end.code, int):
        sys.stderr.flush()
        return (end.code or 0) & 0xFF
    print(end.code, file=sys.stderr, flush=True)  # noqa: T201
    return 1


class _Kept:
    """The first and last bytes of an output that may be endless."""

    def __init__(self, half: int) -> None:
        self._half = half
        self._start, self._end = bytearray(), bytearray()
        self._left_out = 0

    def add(self, chunk: bytes) -> None:
        room = self._half - len(self._start)
        self._start += chunk[:room]
        self._end += chunk[room:]
        if (beyond := len(self._end) - self._half) > 0:
            del self._end[:beyond]
            self._left_out += beyond

    def text(self) -> str:
        gap = f"\n[{self._left_out:,} bytes left out]\n".encode() if self._left_out else b""
        return (self._start + gap + self._end).decode("utf-8", "replace")


class _Told(unittest.TestResult):
    """Tells each test's result as soon as it is known, so that a crash loses no more than its own test."""

    def __init__(self, descriptor: int, word: str) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._word = word
        self.all_passed = True

    def tell(self, name: str, result: str) -> None:
        self.all_passed &= result == _PASSED
        os.write(self._descriptor, f"{self._word} {result} {name}\n".encode())

    def addSuccess(self, test: unittest.TestCase) -> None:  # noqa: N802  # unittest's name, and below
        self.tell(test.id(), _PASSED)

    def addError(self, test: unittest.TestCase, err: Any) -> None:  # noqa: N802
        super().addError(test, err)
        self.tell(test.id(), _FAILED)

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:  # noqa: N802
        super().addFailure(test, err)
        self.tell(test.id(), _FAILED)

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:  # noqa: N802
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.tell(test.id(), _FAILED)

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:  # noqa: N802
        self.tell(test.id(), _SKIPPED)


def _run_tests(names: Sequence[str] | None, told: int, word: str) -> int:
    """Run these tests, or with None all that `tests` holds, telling of each; the exit code.

    What the code under test may not do is rewrite unittest: its modules and classes are compared afterwards.
    """
    watched = _watched()
    before = [_content(one) for one in watched]
    result = _Told(told, word)
    loader = unittest.TestLoader()
    suite = loader.discover("tests", top_level_dir=".") if names is None else loader.loadTestsFromNames(names)
    suite.run(result)
    for test, text in [*result.failures, *result.errors]:
        print(f"FAIL: {test.id()}\n{text}")  # noqa: T201  # to the run's own output
    for one, known in zip(watched, before, strict=True):
        if _content(one) != known:
            result.tell(one.__name__, _TAMPERED)
    return 0 if result.all_passed else 1


def _watched() -> list[Any]:
    """What decides of a test's end: the modules of unittest that run tests, and every class in them."""
    modules = [unittest.case, unittest.suite, unittest.loader, unittest.result]
    classes = [one for module in modules for one in vars(module).values() if isinstance(one, type)]
    return [*modules, *dict.fromkeys(one for one in classes if one.__module__.startswith("unittest.")), _Told]


def _content(one: Any) -> dict[str, Any]:
    """What a module or class holds, but for a note that unittest itself leaves at classes whose tests it runs."""
    return {name: value for name, value in vars(one).items() if name != "tearDown_exceptions"}


def _read(descriptor: int, take: Any) -> bool:
    chunk = os.read(descriptor, 1 << 16)
    take(chunk)
    return bool(chunk)


def _drain(descriptor: int, take: Any) -> None:
    """What is left in a pipe that nobody writes to any more."""
    with open(descriptor, "rb") as pipe:  # a file descriptor
        take(pipe.read())


def _hand_over(root: str, account: int) -> None:
    """Give a folder and all in it to another user."""
    os.chown(root, account, account)
    for above, folders, files in os.walk(root):
        for name in (*folders, *files):
            os.chown(f"{above}/{name}", account, account, follow_symlinks=False)


def _used(root: str, most: int) -> bool:
    """Whether a folder holds more bytes than that."""
    total, waiting = 0, [root]
    while waiting:
        with suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                with suppress(OSError):
                    total += max(_BLOCK, entry.stat(follow_symlinks=False).st_blocks * 512)
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                if total > most:
                    return True
    return False


def _below(top: int) -> list[int]:
    """Every descendant of a process; Linux only."""
    found: list[int] = []
    waiting = [top]
    while waiting:
        pid = waiting.pop()
        with suppress(OSError):
            for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208  # pathlib would take twice as long
                children = Path(f"/proc/{pid}/task/{thread}/children").read_text()
                found += map(int, children.split())
                waiting += map(int, children.split())
    return found


def _reaped(pid: int) -> bool:
    """Whether it has ended, being one that its own parent left behind."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return False
