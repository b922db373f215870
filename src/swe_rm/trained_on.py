"""Which tasks a verifier was trained on, as far as its checkpoint's card, its mix, or lists tell."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import orjson

from swe_rm.errors import RecordError, SweRmError
from swe_rm.mix.evaluation_list import read_evaluation
from swe_rm.trajectory import Task
from swe_rm.verifiers import SHIPPED, ShippedFile, calibrated

CARD, MIX = "swe_rm.json", "mix.json"


def trained_tasks(paths: Sequence[Path]) -> frozenset[str]:
    """Ids of the tasks that were trained on, of checkpoints, calibrators, mixes, attempts, rows, or ids in .txt files.

    Of a mix with splits those parts count that were sampled from (the first, unless it says others). A card names its
    files without their folders: they are looked for beside the checkpoint and in the working directory. Raises
    RecordError for what cannot be read, SweRmError where a file that a card names is not found.
    """
    return frozenset().union(*(_tasks(path) for path in paths))


def told_by_card(verifier: str, evaluated: Sequence[Path]) -> frozenset[str]:
    """Tasks of the evaluated files that a verifier's card names among its training data; none where it has no card.

    Files are known by their names alone: a card keeps no more. All that is shipped was trained on the same files.
    """
    folders = sorted(SHIPPED.iterdir()) if verifier in ShippedFile.model_fields else [Path(verifier)]
    found: set[str] = set()
    for config in [_card(folder) for folder in folders if (folder / CARD).is_file()]:
        named = [file for name in _files(config) for path in evaluated for file in _called(path, name)]
        found |= _without_held_out(config, read_evaluation(named))
    return frozenset(found)


def _called(path: Path, name: str) -> list[Path]:
    """What is evaluated under that name: the path itself, or files in it."""
    return [path] if path.name == name else sorted(path.rglob(name)) if path.is_dir() else []


def _tasks(path: Path) -> frozenset[str]:
    if (path / CARD).is_file():
        config = _card(path)
        return _without_held_out(config, read_evaluation([_found(path, name) for name in _files(config)]))
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


def _files(config: dict[str, Any]) -> list[str]:
    return [str(name) for key in ("data", "auxiliary") for name in config.get(key) or ()]


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
