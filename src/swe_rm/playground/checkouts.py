"""Code of tasks on disk: the repositories that `make` writes, a checkout of each task, made once and then copied."""

import difflib
import hashlib
import io
import os
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from swe_rm.errors import SweRmError
from swe_rm.playground.sandbox import remove, room
from swe_rm.playground.world import PlaygroundTask

_WHO = "swe-rm <swe-rm@localhost> 1700000000 +0000"
"""Author and date of every commit: the same content has the same hash, whenever and wherever it is made."""
TESTS = "tests"


class BrokenTaskError(SweRmError):
    """A task that contradicts itself: its own patch and its test patch do not apply to its code."""


def diff(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """What turns some files into others, as git writes it; paths that are on one side only are made or deleted."""
    parts = []
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if old == new:
            continue
        parts.append(f"diff --git a/{path} b/{path}\n")
        parts += ["new file mode 100644\n"] if old is None else []
        parts += ["deleted file mode 100644\n"] if new is None else []
        names = ("/dev/null" if old is None else f"a/{path}", "/dev/null" if new is None else f"b/{path}")
        old_lines, new_lines = (text.splitlines(keepends=True) if text else [] for text in (old, new))
        parts += difflib.unified_diff(old_lines, new_lines, *names)
    return "".join(parts)


def write_repository(folder: Path, contents: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """A bare repository with a branch of one commit for each content (files by path); the commits' hashes by branch.

    Raises SweRmError when git cannot be run, or fails.
    """
    _git(None, "init", "--quiet", "--bare", "--template=", "--initial-branch=main", str(folder))
    stream = bytearray()
    for number, (branch, files) in enumerate(contents.items(), 1):
        stream += f"commit refs/heads/{branch}\nmark :{number}\ncommitter {_WHO}\ndata 6\nstart\n".encode()
        for path, text in sorted(files.items()):
            stream += f"M 100644 inline {path}\ndata {len(text.encode())}\n".encode() + text.encode() + b"\n"
    _git(folder, "fast-import", "--quiet", f"--export-marks={folder / 'marks'}", given=bytes(stream))
    marks = dict(line.split() for line in (folder / "marks").read_text().splitlines())
    (folder / "marks").unlink()
    return {branch: marks[f":{number}"] for number, branch in enumerate(contents, 1)}


class Checkouts:
    """Makes each task's checkout when it is first asked for, in a folder that goes with the `with` block."""

    def __init__(self, world: Path, within: Path | None = None) -> None:
        """`world` holds the tasks' repositories; the folder is made in `within`, if given."""
        self._world = world
        self.folder = room(within)
        """Attempts make their scratch folders in it too, so that it holds all there is to remove."""

    def __enter__(self) -> "Checkouts":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Remove the checkouts."""
        remove(self.folder)

    def start(self, task: PlaygroundTask) -> Path:
        """What the agent is given: a repository at the task's commit. To be copied, never worked in.

        Raises SweRmError when the commit is not there.
        """
        return self._made(task, "start", self._check_out)

    def code(self, task: PlaygroundTask) -> Path:
        """The same files without a repository. Raises SweRmError when the commit is not there."""
        return self._made(task, "code", self._extract)

    def tests(self, task: PlaygroundTask) -> Path:
        """The tests that decide, all of them. Raises BrokenTaskError when the task's patches do not apply."""
        return self._made(task, "tests", self._restore)

    def _made(self, task: PlaygroundTask, what: str, make: Callable[[PlaygroundTask, Path], None]) -> Path:
        # By content: tasks of one name may come from two folders in one process.
        digest = hashlib.sha256(task.model_dump_json().encode()).hexdigest()[:16]
        folder = self.folder / f"{digest}-{what}"
        if not folder.exists():
            partial = Path(tempfile.mkdtemp(dir=self.folder))
            make(task, partial)
            try:
                partial.rename(folder)
            except OSError:  # another thread was quicker
                shutil.rmtree(partial)
        return folder

    def _repository(self, task: PlaygroundTask) -> Path:
        repository = (self._world / task.repo_path).resolve()
        if not repository.is_dir():
            raise SweRmError(f"{task.instance_id}: repo_path {repository} is no folder")
        return repository

    def _extract(self, task: PlaygroundTask, folder: Path) -> None:
        packed = _git(self._repository(task), "archive", "--format=zip", task.base_commit)
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            archive.extractall(folder)

    def _check_out(self, task: PlaygroundTask, folder: Path) -> None:
        repository = self._repository(task)
        _git(folder, "init", "--quiet", "--template=")
        _git(folder, "fetch", "--quiet", "--no-tags", str(repository), task.base_commit)
        _git(folder, "checkout", "--quiet", "--detach", task.base_commit)
        (folder / ".git" / "FETCH_HEAD").unlink(missing_ok=True)

    def _restore(self, task: PlaygroundTask, folder: Path) -> None:
        shutil.copytree(self.code(task), folder, dirs_exist_ok=True)
        # Its own patch too, though no test needs it: a second run of git to try it would be a tenth of a label's time.
        patches = [patch if patch.endswith("\n") else f"{patch}\n" for patch in (task.patch, task.test_patch)]
        try:
            _git(folder, "apply", "--whitespace=nowarn", given="".join(patches).encode("utf-8", "replace"))
        except SweRmError as error:
            raise BrokenTaskError(f"its own patch and its test_patch do not apply: {error}") from None


def _git(folder: Path | None, *words: str, given: bytes = b"") -> bytes:
    """What git says. Raises SweRmError when it fails."""
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    where = {} if folder is None else {"GIT_CEILING_DIRECTORIES": str(folder.parent)}
    command: Sequence[str] = ["git", *(["-C", str(folder)] if folder else []), "-c", "core.hooksPath=/dev/null", *words]
    try:
        done = subprocess.run(command, input=given, capture_output=True, check=False, env=surroundings | where)
    except FileNotFoundError:
        raise SweRmError("git is not installed") from None
    if done.returncode:
        raise SweRmError(f"git {words[0]} failed: {' '.join(done.stderr.decode('utf-8', 'replace').split())[-300:]}")
    return done.stdout
