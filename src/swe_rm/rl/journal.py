"""The folder of one run: what it resumes from, its log, its result, and whose run it is."""

import json
import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from swe_rm import made_with, output
from swe_rm.errors import RecordError, SweRmError
from swe_rm.rl.config import NOT_DECIDING, RLConfig

LOG_FILE = "log.jsonl"
RESULT_FILE = "result.json"
STATE_FOLDER = "state"
RUN_FILE = "run.json"
_LAST_WRITTEN = "trainer_state.json"
"""Of a checkpoint: where it is and whole, all is."""
_LIBRARIES = ("torch", "transformers", "trl", "mini-swe-agent")


class Journal:
    """Reads and writes it."""

    def __init__(self, config: RLConfig) -> None:
        """Raises SweRmError when the folder holds a run of another config or world, and names the keys; RecordError
        for a file there that is not as it was written.
        """
        self.out = config.out
        self.resumed = 0
        """Steps of the optimiser that were done before."""
        self._config = config
        self._digest = config.digest()
        self._refuse_other()

    @property
    def state(self) -> Path:
        """Where checkpoints lie."""
        return self.out / STATE_FOLDER

    @property
    def verifier(self) -> str | None:
        """name@version of the verifier this run was begun with, where that is known."""
        found = self._run().get("verifier")
        return str(found) if found else None

    def result(self) -> dict[str, Any] | None:
        """Of a run that is done. Raises SweRmError where it is of another config."""
        file = self.out / RESULT_FILE
        if not file.is_file():
            return None
        if (found := document(file)).get("digest") != self._digest:
            raise SweRmError(f"{file}: is the result of another config; give another out")
        return found

    def begin(self) -> Path | None:
        """The checkpoint to go on from, the log cut to it; None at the start of a run.

        Raises RecordError for a log that is no text.
        """
        self.out.mkdir(parents=True, exist_ok=True)
        if not self._run():
            self.note_run({})
        checkpoint = self._checkpoint()
        self.resumed = int(checkpoint.name.rpartition("-")[2]) if checkpoint else 0
        log = self.out / LOG_FILE
        if log.is_file():
            kept = [line for line in _lines(log) if _is_until(line, self.resumed)]
            output.put(log, "".join(f"{line}\n" for line in kept if checkpoint))
        return checkpoint

    def alone(self) -> AbstractContextManager[None]:
        """Nobody else works in the folder meanwhile. Raises SweRmError where somebody does."""
        return output.alone(self.out, wait=False)

    def note_run(self, more: Mapping[str, Any]) -> None:
        """Write down whose run it is."""
        libraries = made_with.versions(_LIBRARIES)
        config = self._config.model_dump(mode="json", exclude={"out", "world", "cache"})
        content = {"digest": self._digest, "config": config, "libraries": libraries, **self._run(), **more}
        _write(self.out / RUN_FILE, content)

    def log(self, record: Mapping[str, Any]) -> None:
        """Add a line; it has a `step`, and the lines of a run that goes on begin where it was saved."""
        with (self.out / LOG_FILE).open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def logged(self) -> list[dict[str, Any]]:
        """The log so far."""
        file = self.out / LOG_FILE
        return [json.loads(line) for line in _lines(file)] if file.is_file() else []

    def finish(self, result: Mapping[str, Any]) -> None:
        """Write the result; of what only an unfinished run needs nothing stays."""
        _write(self.out / RESULT_FILE, {"digest": self._digest, **result})
        shutil.rmtree(self.state, ignore_errors=True)

    def _run(self) -> dict[str, Any]:
        file = self.out / RUN_FILE
        return document(file) if file.is_file() else {}

    def _refuse_other(self) -> None:
        run = self._run()
        if run and run.get("digest") != self._digest:
            now = self._config.model_dump(mode="json")
            then = run.get("config") or {}
            keys = sorted(key for key in then if key not in NOT_DECIDING and then[key] != now.get(key))
            named = ", ".join(keys) or "its world, its verifier's files or the edits that are offered"
            raise SweRmError(f"{self.out}: holds a run of another config (differs in {named}); give another out")

    def _checkpoint(self) -> Path | None:
        whole = [folder for folder in self.state.glob("checkpoint-*") if _is_whole(folder)]
        return max(whole, key=lambda folder: int(folder.name.rpartition("-")[2]), default=None)


def _is_whole(folder: Path) -> bool:
    try:
        json.loads((folder / _LAST_WRITTEN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True


def _is_until(line: str, step: int) -> bool:
    try:
        return float(json.loads(line)["step"]) <= step
    except (ValueError, TypeError, KeyError):
        return False  # cut off by the kill


def document(file: Path) -> dict[str, Any]:
    """What is in a JSON file of a run. Raises RecordError where that is no object, or cannot be read."""
    try:
        found = json.loads(read_text(file))
    except ValueError:
        raise RecordError(str(file), "", "is no JSON") from None
    if not isinstance(found, dict):
        raise RecordError(str(file), "", "is no JSON object")
    return found


def read_text(file: Path) -> str:
    """A file of a run. Raises RecordError where it is no text, or cannot be read."""
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise RecordError(str(file), "", error.strerror or "cannot be read") from None
    except UnicodeDecodeError as error:
        raise RecordError(str(file), "", f"is no text: {error.reason}") from None


def _lines(file: Path) -> list[str]:
    return read_text(file).splitlines()


def _write(file: Path, content: Mapping[str, Any]) -> None:
    output.put(file, json.dumps(content, indent=1) + "\n")
