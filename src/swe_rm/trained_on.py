"""Which tasks a verifier was trained on, as far as its name, its checkpoint's card, its mix, or lists tell."""

import hashlib
import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, get_args

import orjson

from swe_rm.calibrate import Method
from swe_rm.errors import RecordError, SweRmError
from swe_rm.mix.evaluation_list import read_evaluation
from swe_rm.trajectory import Noun, Task
from swe_rm.verdict import NUMBERS
from swe_rm.verifiers import SHIPPED, calibrated, model_folders
from swe_rm.verifiers.arrays import read_card

CARD, MIX = "swe_rm.json", "mix.json"
SHIPPED_TASKS = SHIPPED / "trained_tasks.json"
_CALIBRATED = re.compile(rf"(?:{'|'.join(get_args(Method))})\(")
"""How the name of a calibrated verifier begins, anywhere in a name made of several."""


class ShippedTasks(Noun):
    """`trained_tasks.json`: what all that is shipped was trained on and calibrated with."""

    verifiers: tuple[str, ...]
    """name@version of what is shipped and of its parts."""
    tasks: frozenset[str]
    """`task_hash` of every task: whether a known task is among them can be told, their list cannot be had."""


def task_hash(instance_id: str) -> str:
    """The first 8 hex digits of its sha256: of 500 other tasks one is taken for one of ours once in 20,000 pools."""
    return hashlib.sha256(instance_id.encode()).hexdigest()[:8]


def trained_tasks(paths: Sequence[Path]) -> frozenset[str]:
    """Ids of the tasks that were trained on, of checkpoints, calibrators, mixes, attempts, rows, or ids in .txt files.

    Of a mix with splits those parts count that were sampled from (the first, unless it says others). A card names its
    files without their folders: they are looked for beside the checkpoint and in the working directory. Raises
    RecordError for what cannot be read, SweRmError where a file that a card names is not found.
    """
    return frozenset().union(*(_tasks(path) for path in paths))


def shipped_tasks(verifier: str | None, tasks: Iterable[str]) -> frozenset[str]:
    """Those of the tasks that a shipped verifier, or one made of it, was trained on; known by its name@version alone.

    So it is told of a verifier that judges and of verdicts somebody recorded; none where the name is another.
    """
    shipped = read_card(SHIPPED_TASKS, ShippedTasks)
    if verifier is None or _without(verifier, shipped.verifiers) == NUMBERS.sub("", verifier):
        return frozenset()
    return frozenset(task for task in tasks if task_hash(task) in shipped.tasks)


def untold(verifier: str | None, spec: str | None, trained_on: Sequence[Path]) -> tuple[str, ...]:
    """What was fitted on tasks that nobody named: checkpoints in `spec`, calibrators in the name of recorded verdicts.

    `spec` is None for a file of verdicts; a calibrator that judges is refused on its own tasks instead. `trained_on`
    holds what the user named.
    """
    given = {path.absolute() for path in trained_on}
    folders = [Path(folder) for folder in model_folders(spec)] if spec else []
    own = [str(folder) for folder in folders if SHIPPED not in folder.parents and folder.absolute() not in given]
    known = [*read_card(SHIPPED_TASKS, ShippedTasks).verifiers]
    known += [calibrated.read(path).name for path in trained_on if (path / calibrated.FILE).is_file()]
    recorded = spec is None or "recorded:" in spec
    if verifier and recorded and _CALIBRATED.search(_without(verifier, known)):
        own.append(f"the calibrator of {verifier}")
    return tuple(own)


def _without(verifier: str, names: Collection[str]) -> str:
    """A verifier's name without the parts called so, the longest first, in whatever numbers their weights are."""
    rest = NUMBERS.sub("", verifier)
    for name in sorted(names, key=len, reverse=True):
        rest = re.sub(rf"(?<![\w.-]){re.escape(NUMBERS.sub('', name))}(?![\w.])", "", rest)
    return rest


def _tasks(path: Path) -> frozenset[str]:
    if (path / CARD).is_file():
        config = _card(path)
        fitted, watched = ([_found(path, name) for name in names] for names in _files(config))
        return _without_held_out(config, read_evaluation(fitted)) | frozenset(read_evaluation(watched))
    if (path / calibrated.FILE).is_file():
        return frozenset(calibrated.read(path).tasks)
    if (path / MIX).is_file():
        return frozenset(read_evaluation(_parts(path)))
    return frozenset(read_evaluation([path]))


def _card(folder: Path) -> dict[str, Any]:
    """The training config on the card."""
    document = _read(folder / CARD)
    training = document.get("training") if isinstance(document, dict) else None
    config = training.get("config") if isinstance(training, dict) else None
    if not isinstance(config, dict):
        raise RecordError(str(folder / CARD), "training", "does not say what it was trained on")
    return config


def _files(config: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Files that the weights were fitted on, and those whose outcomes chose when to stop."""
    fitted = [str(name) for key in ("data", "auxiliary") for name in config.get(key) or ()]
    return fitted, [str(name) for name in config.get("dev") or ()] if config.get("stop") else []


def _found(folder: Path, name: str) -> Path:
    places = [place / name for place in (folder, folder.absolute().parent, Path.cwd())]
    for place in places:
        if place.exists():
            return place
    raise SweRmError(f"{folder / CARD}: trained on {name}, which is not found: give its path with --trained-on")


def _without_held_out(config: dict[str, Any], tasks: Iterable[str]) -> frozenset[str]:
    held = config.get("hold_out")
    return frozenset(
        task for task in tasks if not held or Task(instance_id=task).fold(int(held["folds"])) != int(held["fold"])
    )


def _parts(folder: Path) -> list[Path]:
    document = _read(folder / MIX)
    config = document.get("config") if isinstance(document, dict) else None
    if not isinstance(config, dict):
        raise RecordError(str(folder / MIX), "config", "is missing")
    splits = config.get("splits")
    if not splits:
        return [folder]
    return [folder / name for name in splits.get("sampled") or list(splits["parts"])[:1]]


def _read(file: Path) -> Any:
    try:
        return orjson.loads(file.read_bytes())
    except orjson.JSONDecodeError as error:
        raise RecordError(str(file), "", f"is no JSON: {error}") from None
