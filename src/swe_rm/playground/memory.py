"""What commands gave in earlier attempts: the same command in the same state of a checkout need not run again.

A policy that learns tries the same few edits of a task hundreds of times. What a command shows follows from the task,
the edits made since the last undo, and the command itself; so it is run once, for all runs that share the file.
"""

import hashlib
import json
import platform
import sqlite3
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pydantic import ValidationError

from swe_rm.errors import SweRmError
from swe_rm.playground import deciding
from swe_rm.playground.actions import EDIT, UNDO, Options, is_refusal
from swe_rm.playground.labelling import Label
from swe_rm.playground.sandbox import Limits, Ran, SandboxError
from swe_rm.playground.world import PlaygroundTask
from swe_rm.trajectory import Noun, Outcome

N = TypeVar("N", bound=Noun)

_FORMAT = 3
"""Of the file."""
_NOT_ITS_OWN = (126, 127, 128, 137, -9)
"""Exit codes of a shell whose command could not be begun, or was killed, and git's where it or the disk is at fault."""
_PATIENCE = 60.0
"""Seconds for another run to end its writing."""


class Shell(Protocol):
    """Runs the commands of one attempt in its checkout."""

    def run(self, command: str) -> Ran:
        """Run one. Raises SandboxError when it could not be run."""
        ...


class Memory:
    """A file of results. Threads and processes of one machine may share it; what fails about it costs only time."""

    def __init__(self, file: Path, limits: Limits) -> None:
        """Results under other limits, another Python or other code of ours are others. Raises SweRmError where it is no
        such file.
        """
        code = deciding.digest(deciding.OFFERS | deciding.RUNS)
        self._under = json.dumps([_FORMAT, code, sys.version, platform.platform(), limits.model_dump()])
        self._lock = threading.Lock()
        self._starts: dict[str, tuple[PlaygroundTask, Any]] = {}
        """By task the hash of what its keys begin with: lists of tests, which are long."""
        self.trouble = ""
        """Why reading or writing failed last; empty while all is well."""
        try:
            self._file = sqlite3.connect(file, timeout=_PATIENCE, check_same_thread=False, isolation_level=None)
            self._file.execute("PRAGMA journal_mode=WAL")
            self._file.execute("PRAGMA synchronous=NORMAL")
            self._file.execute("CREATE TABLE IF NOT EXISTS gave (key BLOB PRIMARY KEY, value TEXT) WITHOUT ROWID")
        except sqlite3.Error as error:
            raise SweRmError(f"{file}: no memory of commands: {error}") from None

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def ran(self, task: PlaygroundTask, edits: tuple[str, ...], command: str, run: Callable[[], Ran]) -> Ran:
        """How a command went after these edits; it is run where that is not known, or it came to no end of its own.

        Its limit of processor time is such an end: the same on any machine, and what loops for ever would cost it anew.
        """
        key = self._key(task, [*edits, command])
        if (known := self._read(key, Ran)) is not None:
            return known
        ran = run()
        if _came_to_its_end(ran, is_edit=command.startswith(EDIT)):
            self._write(key, ran.model_dump_json())
        return ran

    def judged(self, task: PlaygroundTask, patch: str, judge: Callable[[], Label]) -> Label:
        """What tests said of a patch; they are run where that is not known, or they said nothing."""
        key = self._key(task, patch)
        if (known := self._read(key, Label)) is not None:
            return known
        judged = judge()
        if judged.outcome is not Outcome.UNKNOWN:
            self._write(key, judged.model_dump_json())
        return judged

    def _key(self, task: PlaygroundTask, what: Any) -> bytes:
        if task.instance_id not in self._starts or self._starts[task.instance_id][0] is not task:
            code = [task.base_commit, task.test_patch, task.fail_to_pass, task.pass_to_pass]
            self._starts[task.instance_id] = task, hashlib.sha256(json.dumps([self._under, code])[:-1].encode())
        found = self._starts[task.instance_id][1].copy()
        found.update(f", {json.dumps(what)}]".encode())
        return bytes(found.digest()[:16])

    def _read(self, key: bytes, kind: type[N]) -> N | None:
        try:
            with self._lock:
                found = self._file.execute("SELECT value FROM gave WHERE key = ?", (key,)).fetchone()
            return kind.model_validate_json(str(found[0])) if found else None
        except (sqlite3.Error, ValidationError) as error:
            self.trouble = f"cannot be read: {str(error).splitlines()[0]}"
            return None

    def _write(self, key: bytes, value: str) -> None:
        try:
            with self._lock:
                self._file.execute("INSERT OR REPLACE INTO gave VALUES (?, ?)", (key, value))
        except sqlite3.Error as error:
            self.trouble = f"cannot be written: {error}"


def _came_to_its_end(ran: Ran, is_edit: bool) -> bool:
    """Whether what a command gave follows from its task and state: nothing cut it off, and no disk was full."""
    if ran.ended or ran.killed or ran.code in _NOT_ITS_OWN:
        return False
    return not is_edit or ran.code in (0, 1)  # `git apply` gives 1 for a patch that does not fit


class Recalling:
    """A shell that runs an action only where it is not known what it gives."""

    def __init__(self, memory: Memory, task: PlaygroundTask, offered: Options, begin: Callable[[], Shell]) -> None:
        """`begin` gives the shell itself, in a checkout as it is at first."""
        self._memory = memory
        self._task = task
        self._begin = begin
        self._edits = {choice.make for choice in offered.choices}
        self._looks = {*offered.commands.values()} - self._edits - {UNDO}
        self._made: tuple[str, ...] = ()
        """Edits since the last undo: with the task, all that the checkout's state follows from."""
        self._true: Shell | None = None
        self._true_made: tuple[str, ...] = ()
        """Those that were made in the checkout itself."""

    def run(self, command: str) -> Ran:
        """Run an action. Raises SandboxError when it could not be run, ValueError for what is no action."""
        if not (command in self._edits or command in self._looks or command == UNDO or is_refusal(command)):
            raise ValueError("it is not known what this command changes")
        ran = self._memory.ran(self._task, self._made, command, lambda: self._run(command))
        self._made = self._after(command, ran)
        return ran

    def _run(self, command: str) -> Ran:
        if self._true is None:
            self._true, self._true_made = self._begin(), ()
        if self._true_made != self._made:
            for earlier in (UNDO, *self._made):
                if self._true.run(earlier).code:
                    self._true = None
                    raise SandboxError("an edit that is remembered could not be made again")
        ran = self._true.run(command)
        self._true_made = self._after(command, ran)
        if not _came_to_its_end(ran, is_edit=command in self._edits):
            self._true = None  # nobody knows what it has done there; what comes is run in a new checkout
        return ran

    def _after(self, command: str, ran: Ran) -> tuple[str, ...]:
        """The edits that are made then; one that does not apply changes nothing."""
        if command == UNDO:
            return ()
        made = command in self._edits and ran.code == 0 and _came_to_its_end(ran, is_edit=True)
        return (*self._made, command) if made else self._made
