"""Verdicts kept in one SQLite file, by verifier and content; what was answered is there after a kill."""

import sqlite3
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from pydantic import ValidationError

from swe_rm.errors import SweRmError
from swe_rm.render import template_hash
from swe_rm.trajectory import Trajectory
from swe_rm.verdict import Verdict

_SCHEMA = """
CREATE TABLE IF NOT EXISTS verdicts (
  verifier TEXT NOT NULL, content TEXT NOT NULL, verdict TEXT NOT NULL, PRIMARY KEY (verifier, content)
) WITHOUT ROWID
"""
_PATIENCE = 5.0
"""Seconds to wait for another process that writes the file."""


class Cache:
    """The verdicts of one verifier. A file that cannot be read or written costs time, not answers: see `trouble`.

    Several processes may share the file (its log is written ahead: WAL). A verdict is written before it is answered; a
    kill of the process loses none, a power cut at most the last ones.
    """

    def __init__(self, path: Path, verifier: str) -> None:
        """Open or make the file. Raises SweRmError where it cannot be a cache."""
        self._path = path
        self._verifier = f"{verifier} {template_hash()}"
        self._reading, self._writing = threading.Lock(), threading.Lock()
        self.trouble = ""
        """Why the last reading or writing failed; empty while all is well."""
        try:
            self._writer, self._reader = self._connected(), self._connected()
            self._writer.execute(_SCHEMA)
            self._reader.execute("SELECT verifier, content, verdict FROM verdicts LIMIT 1")
        except sqlite3.Error as error:
            raise SweRmError(f"{path}: no cache of verdicts: {error}") from None

    def _connected(self) -> sqlite3.Connection:
        made = sqlite3.connect(self._path, timeout=_PATIENCE, check_same_thread=False)
        made.execute("PRAGMA journal_mode=WAL")
        made.execute("PRAGMA synchronous=NORMAL")
        return made

    def read(self, trajectories: Iterable[Trajectory]) -> dict[str, Verdict]:
        """The verdicts that are known, by attempt id."""
        found: dict[str, Verdict] = {}
        with self._reading, closing(self._reader.cursor()) as cursor:
            try:
                for trajectory in trajectories:
                    key = (self._verifier, trajectory.content_hash)
                    cursor.execute("SELECT verdict FROM verdicts WHERE verifier = ? AND content = ?", key)
                    if row := cursor.fetchone():
                        found[trajectory.attempt_id] = _about(trajectory, row[0])
            except (sqlite3.Error, ValidationError) as error:
                self.trouble = f"{self._path} cannot be read: {_line(error)}"
        return found

    def write(self, trajectories: Sequence[Trajectory], verdicts: Mapping[str, Verdict]) -> bool:
        """Keep these verdicts, given by attempt id, all or none; whether they are kept."""
        rows = [
            (self._verifier, trajectory.content_hash, verdicts[trajectory.attempt_id].model_dump_json())
            for trajectory in trajectories
            if trajectory.attempt_id in verdicts
        ]
        with self._writing:
            try:
                with self._writer:
                    self._writer.executemany("INSERT OR REPLACE INTO verdicts VALUES (?, ?, ?)", rows)
            except sqlite3.Error as error:
                self.trouble = f"{self._path} cannot be written: {_line(error)}"
                self._writer.execute("PRAGMA busy_timeout=0")  # the next batch does not wait for it again
                return False
            self._writer.execute(f"PRAGMA busy_timeout={1000 * _PATIENCE:.0f}")
        self.trouble = ""
        return True

    def close(self) -> None:
        """Close the file."""
        with self._reading, self._writing:
            self._reader.close()
            self._writer.close()


def _about(trajectory: Trajectory, text: str) -> Verdict:
    """A kept verdict as one about this attempt, which has the same content."""
    return Verdict.model_validate_json(text).model_copy(update={"attempt_id": trajectory.attempt_id})


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
