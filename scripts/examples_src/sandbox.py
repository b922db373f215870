"""Sandbox: a scratch git copy of a package, commands run in it with a time limit, and their output made repeatable."""

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .issues import Tree

TESTBED = "/testbed"
"""Where the logs say the copy is."""

COMMAND_SECONDS = 20
"""A command of an agent that runs longer is killed, its children with it."""

TIMED_OUT = 124
"""Return code of a command that was stopped."""

_COMMIT_DATE = "2024-01-01T00:00:00+0000"


@dataclass(frozen=True)
class Observation:
    """What a command said."""

    returncode: int
    output: str


@dataclass(frozen=True)
class Sandbox:
    """A git copy of a package in its own folder, with one commit."""

    root: Path
    environment: dict[str, str]

    def run(self, command: str, seconds: float = COMMAND_SECONDS) -> Observation:
        """Run `command` with bash in the copy; standard output and error together, made repeatable.

        The command has a process group of its own, which is killed as a whole after `seconds`.
        """
        process = subprocess.Popen(
            ["bash", "-c", command],
            cwd=self.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            note = f"The command ran longer than {seconds:g} seconds and was stopped.\n"
            return Observation(TIMED_OUT, self._repeatable(output) + note)
        return Observation(process.returncode, self._repeatable(output))

    def read(self, file: str) -> str:
        """The text of a file of the copy."""
        return (self.root / file).read_text(encoding="utf-8")

    def write(self, tree: Tree) -> None:
        """Write files over the copy."""
        for file, text in tree.items():
            path = self.root / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def git(self, *arguments: str, text: str | None = None) -> str:
        """The output of a git command that must succeed."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.root,
            env=self.environment,
            input=text,
            capture_output=True,
            encoding="utf-8",
            check=True,
            timeout=COMMAND_SECONDS,
        )
        return done.stdout

    def apply(self, patch: str) -> bool:
        """Apply a patch; False where git refuses it."""
        try:
            self.git("apply", "-", text=patch)
        except subprocess.CalledProcessError:
            return False
        return True

    def _repeatable(self, output: str) -> str:
        output = output.replace(str(self.root), TESTBED)
        output = output.replace(sysconfig.get_path("stdlib"), "/usr/lib/python3")
        output = re.sub(r"(Ran \d+ tests?) in [\d.]+s", r"\1 in 0.001s", output)
        return re.sub(r"\b0x[0-9a-f]{6,}\b", "0x7f0000000000", output)


@contextmanager
def sandbox(tree: Tree, message: str) -> Iterator[Sandbox]:
    """A sandbox holding `tree` as one commit, removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="swe-rm-examples-") as folder:
        base = Path(folder).resolve()
        root = base / "testbed"
        root.mkdir()
        box = Sandbox(root, _environment(base))
        box.write(tree)
        box.git("init", "--quiet", "--initial-branch=main")
        box.git("config", "core.abbrev", "8")
        box.git("add", "--all")
        box.git("commit", "--quiet", "--message", message)
        yield box


def _environment(base: Path) -> dict[str, str]:
    """A small environment: nothing of the caller's settings can reach the logs."""
    tools = base / "bin"
    tools.mkdir()
    python = tools / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')  # -S: no package of ours is in reach
    python.chmod(0o755)
    home = base / "home"
    home.mkdir()
    path = os.pathsep.join([str(tools), os.environ.get("PATH", os.defpath)])
    who = {"NAME": "swe-rm examples", "EMAIL": "examples@swe-rm.invalid", "DATE": _COMMIT_DATE}
    return {
        "PATH": path,
        "HOME": str(home),
        "TMPDIR": str(home),
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "PAGER": "cat",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNODEBUGRANGES": "1",  # the marks under a traceback's lines differ between Python versions
        "PYTHON_COLORS": "0",
        **{f"GIT_{role}_{field}": value for role in ("AUTHOR", "COMMITTER") for field, value in who.items()},
    }


def missing_tools() -> list[str]:
    """The programs the agents need that this machine lacks."""
    return [tool for tool in ("bash", "git", "sed", "grep") if shutil.which(tool) is None]
