"""Runs commands and tests of an attempt confined, each in a folder of scratch and within limits.

This is the side that asks; `cell` is the program that carries it out, `confinement` what it is confined by.
"""

import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import orjson
from pydantic import Field

import swe_rm
from swe_rm.errors import SweRmError
from swe_rm.playground.shortcuts import last_lines, without_a_shell
from swe_rm.trajectory import Noun

_GRACE = 15.0
"""Seconds beyond the limit of a run until the program that watches it is taken for dead."""
_PATH = "/usr/local/bin:/usr/bin:/bin"
_START = "import sys; sys.path.insert(0, {!r}); from swe_rm.playground import cell; sys.path.pop(0); cell.serve()"

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  # folders made there have random names and are ours alone
_ROOMY = 2**31
"""Bytes: many attempts at once, each with all the disk it may use."""

End = Literal["", "wall", "disk", "processes"]
"""Why a run was ended from outside; empty when it came to its own end."""


class SandboxError(SweRmError):
    """A failure of ours or of the machine: nothing was learnt about what was to be run."""


class Limits(Noun):
    """What one run may use. `swe-rm doctor` says which of them hold on a machine."""

    cpu_seconds: int = Field(default=2, ge=1)
    """Of each process: a hundred times what the tests of a package take, and all that an endless loop costs."""
    wall_seconds: int = Field(default=15, ge=1)
    memory_mb: int = Field(default=512, ge=64)
    """Address space of each process."""
    file_mb: int = Field(default=16, ge=1)
    """Largest file."""
    disk_mb: int = Field(default=48, ge=1)
    """All files of the scratch folder together."""
    processes: int = Field(default=32, ge=1)
    """At once."""
    open_files: int = Field(default=128, ge=16)
    output_kb: int = Field(default=64, ge=1)
    """Kept of an output: its beginning and its end."""


class Ran(Noun):
    """How a run went."""

    ended: End
    code: int
    """Exit code; of a process ended by a signal, minus its number."""
    output: str
    tests: dict[str, str]
    """Result by name of the test: passed, failed, skipped. A test that is not there was not reached."""
    seconds: float
    cpu_seconds: float
    killed: bool = False
    """Whether a SIGKILL that was not ours ended it, which is the machine's doing; a pipe hides that in its code."""


class Scratch(Noun):
    """The folder one attempt works in."""

    root: Path
    """All of it may be written, and nothing else of the machine."""

    @property
    def checkout(self) -> Path:
        """Where the code lies and commands run."""
        return self.root / "testbed"

    @property
    def variables(self) -> dict[str, str]:
        """All that commands see; nothing of this process's own surroundings."""
        return {
            "PATH": f"{self.root / 'bin'}:{_PATH}",
            "HOME": str(self.root / "home"),
            "TMPDIR": str(self.root / "tmp"),
            "GIT_CEILING_DIRECTORIES": str(self.root),
            "LANG": "C.UTF-8",
            "PAGER": "cat",
            # A file changed twice within a second would be run from what was compiled before.
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONHASHSEED": "0",
        }


@contextmanager
def scratch(content: Path | None = None, within: Path | None = None) -> Iterator[Scratch]:
    """A new folder with a copy of `content` as its checkout, made in `within` if given; gone afterwards.

    Raises SandboxError where it cannot be made: the disk is full.
    """
    with ExitStack() as stack:
        with ours("a scratch folder cannot be made"):
            root = room(within)
            stack.callback(remove, root)
            made = Scratch(root=root)
            for name in ("home", "tmp", "bin"):
                (root / name).mkdir()
            (root / "bin" / "python").symlink_to(_python())
            (root / "bin" / "python3").symlink_to(_python())
            if content is None:
                made.checkout.mkdir()
            else:
                shutil.copytree(content, made.checkout, symlinks=True)
        yield made


@contextmanager
def ours(what: str) -> Iterator[None]:
    """Files that we write for a run: where that fails, a SandboxError that begins with `what`."""
    try:
        yield
    except shutil.Error as error:  # of copytree, a list of all that failed
        raise SandboxError(f"{what}: {error.args[0][0][2]}") from None
    except OSError as error:
        raise SandboxError(f"{what}: {error.strerror or error}") from None


def room(within: Path | None = None) -> Path:
    """A new folder that others can pass through, in `within`, else in memory where that is possible."""
    folder = Path(tempfile.mkdtemp(prefix="swe-rm-playground-", dir=within or _memory())).resolve()
    folder.chmod(0o711)
    return folder


def _memory() -> Path | None:
    """A folder in memory, where there is a roomy one and no TMPDIR asks for another; on a disk, removing is slow."""
    if "TMPDIR" in os.environ or not _SHARED_MEMORY.is_dir() or not os.access(_SHARED_MEMORY, os.W_OK):
        return None
    return _SHARED_MEMORY if shutil.disk_usage(_SHARED_MEMORY).free > _ROOMY else None


def remove(folder: Path) -> None:
    """Remove a tree, also one with folders that an attempt made unwritable."""
    with suppress(OSError):
        shutil.rmtree(folder)
        return
    for above, folders, _ in os.walk(folder):
        for name in folders:
            inner = Path(above, name)
            with suppress(OSError):  # another process may be removing it as well
                if not inner.is_symlink():
                    inner.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


class Sandbox:
    """Runs one thing at a time; a `with` block ends its program. Threads take turns: give each a sandbox of its own."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the program that watches over runs, and with it a run under way."""
        if self._process is not None:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            with suppress(BrokenPipeError):
                self._process.stdin.close()
            try:
                self._process.wait(_GRACE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process.stdout.close()
            self._process = None

    def run(self, within: Scratch, command: str) -> Ran:
        """Run a command of the shell in the checkout. Raises SandboxError when it could not be run."""
        if "\0" in command:
            return Ran(ended="", code=2, output="bash: a command holds no NUL\n", tests={}, seconds=0, cpu_seconds=0)
        if (short := without_a_shell(command)) is None:
            return self._ask(within, {"command": command, "shell": _shell()})
        lines = short.pop("tail")
        ran = self._ask(within, short)
        # The exit code of a pipe is that of its last command.
        code = ran.code if lines is None else 0
        killed = ran.code == -int(signal.SIGKILL)
        return ran.model_copy(update={"output": last_lines(ran.output, lines), "code": code, "killed": killed})

    def run_tests(self, within: Scratch, names: Sequence[str] | None = None) -> Ran:
        """Run these tests of the checkout (`tests.test_lamp.TestLamp.test_off`), all it has without names.

        Raises SandboxError when they could not be run.
        """
        return self._ask(within, {"tests": names})

    def _ask(self, within: Scratch, what: dict[str, Any]) -> Ran:
        request = {
            **what,
            "root": str(within.root),
            "folder": str(within.checkout),
            "variables": within.variables,
            "limits": self.limits.model_dump(),
            "word": secrets.token_hex(8),
        }
        with self._lock:
            answer = self._answer(orjson.dumps(request) + b"\n")
        if answer["ended"] not in ("", "wall", "disk", "processes"):
            raise SandboxError(f"a run could not be begun: {' '.join(answer['output'].split())[-300:]}")
        return Ran.model_validate(answer)

    def _answer(self, request: bytes) -> dict[str, Any]:
        if self._process is None:
            self._process = _started()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(request)
            self._process.stdin.flush()
            ready, _, _ = select.select([self._process.stdout], [], [], self.limits.wall_seconds + _GRACE)
            line = self._process.stdout.readline() if ready else b""
        except BrokenPipeError:
            line = b""
        if not line.endswith(b"\n"):
            self._process.kill()
            self.close()
            raise SandboxError("the program that watches over runs was ended, or does not answer")
        return dict(orjson.loads(line))


def _started() -> "subprocess.Popen[bytes]":
    above = Path(swe_rm.__file__).resolve().parents[1]
    return subprocess.Popen(
        [_python(), "-S", "-c", _START.format(str(above))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PATH": _PATH, "LANG": "C.UTF-8", "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"},
        cwd="/",
        start_new_session=True,
    )


def _python() -> str:
    """The interpreter itself, without a virtual environment's packages."""
    return os.path.realpath(getattr(sys, "_base_executable", sys.executable))


def _shell() -> str:
    found = shutil.which("bash", path=_PATH) or shutil.which("bash")
    if found is None:
        raise SandboxError("bash is not installed")
    return found
