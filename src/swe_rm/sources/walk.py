"""Files found under the given paths, each recognised by its content: attempts of a format, labels, or set aside."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple

from swe_rm.errors import RecordError
from swe_rm.labels import read_labels, recognised
from swe_rm.sources import (
    attempts,
    chat,
    mini_swe_agent,
    naming,
    openhands,
    openhands_completions,
    predictions,
    shards,
    streams,
    swe_agent,
)
from swe_rm.sources.outline import Outline, outline
from swe_rm.sources.placement import Placed
from swe_rm.sources.reader import Reader, Refusal, Unit, records, refused
from swe_rm.sources.unread import UNREAD, Unread

SPECIFIC: tuple[Reader, ...] = (
    shards,
    attempts,
    *UNREAD,
    mini_swe_agent,
    swe_agent,
    openhands,
    openhands_completions,
    predictions,
)
"""Formats with keys of their own, asked in this order; `chat`, which any log resembles, is asked last."""

ROWS = frozenset({shards.NAME, attempts.NAME, chat.NAME})
"""Formats whose rows say themselves whose attempt they are: the files beside them say nothing of them."""

DAMAGED_LINES = 8
"""How many lines of a file may be damaged before it is of no known format."""

HEADS = (1 << 16, 1 << 22)
"""Bytes of a file that are looked at: a second look for files whose first fields are long."""

_SIDE_ENDINGS = frozenset({
    ".bash", ".cfg", ".conf", ".config", ".css", ".csv", ".diff", ".html", ".ini", ".ipynb", ".jinja", ".jinja2",
    ".lock", ".log", ".md", ".out", ".patch", ".pdf", ".png", ".py", ".rst", ".sh", ".svg", ".toml", ".tsv", ".txt",
    ".xml", ".yaml", ".yml",
})  # fmt: skip
"""Logs, configurations, patches and pictures beside runs. Only in walked folders: a file that is named is meant."""
_SIDE_NAMES = frozenset({"manifest.json", "metadata.json", "config.json", "cost_report.jsonl"})
_KEYS_SHOWN = 6


class Source(NamedTuple):
    """A reader and what it is to read."""

    reader: Reader
    unit: Unit


class Finds(NamedTuple):
    """Every file found, in exactly one of the four."""

    sources: list[Source]
    labels: list[Placed]
    side_files: list[Path]
    """Among them the files of `labels`."""
    refusals: list[tuple[Path, Refusal]]


class _Found(NamedTuple):
    path: Path
    named: bool
    """Whether the user named it, rather than a folder above it."""


def find(paths: Sequence[Path]) -> Finds:
    """Walk the paths and recognise every file.

    Folders are walked in the order of names, hidden ones are not; a file met twice counts once. Raises RecordError
    for a path that does not exist or a folder without files.
    """
    finds = Finds([], [], [], [])
    folders: dict[tuple[str, Path], list[Path]] = {}
    for found in _walk(paths):
        kind = _recognise(found)
        if isinstance(kind, Refusal):
            finds.refusals.append((found.path, kind))
        elif kind == "side":
            finds.side_files.append(found.path)
        elif kind == "labels":
            _add_labels(finds, found.path)
        elif kind.FOLDER:
            files = folders.setdefault((kind.NAME, found.path.parent), [])
            if not files:
                finds.sources.append(Source(kind, Unit(found.path.parent, ())))
            files.append(found.path)
        else:
            finds.sources.append(Source(kind, Unit(found.path, (found.path,))))
    return _grouped(finds, folders)


def label_file(path: Path) -> Placed:
    """The labels of one file. Raises RecordError when it cannot be read or holds none."""
    values = []
    for record in records(path):
        if isinstance(record, Refusal):
            raise RecordError(record.file, record.record, record.reason)
        values.append(record.value)
    if len(values) == 1 and isinstance(values[0], list):
        values = values[0]
    try:
        return Placed(path.absolute(), read_labels(values, path.absolute().parent.name))
    except ValueError as error:
        raise RecordError(streams.display(path), "", f"not read as labels: {error}") from None


def _add_labels(finds: Finds, path: Path) -> None:
    try:
        finds.labels.append(label_file(path))
    except RecordError as error:
        finds.refusals.append((path, refused(error)))
    else:
        finds.side_files.append(path)


def _grouped(finds: Finds, folders: dict[tuple[str, Path], list[Path]]) -> Finds:
    """Files of one folder brought together; what is refused beside an unread format is part of its folder."""
    unread = {s.unit.path: s.reader.NAME for s in finds.sources if isinstance(s.reader, Unread) and s.reader.FOLDER}
    refusals = []
    for path, refusal in finds.refusals:
        if path.parent in unread:
            folders[unread[path.parent], path.parent].append(path)
        else:
            refusals.append((path, refusal))
    sources = [
        source._replace(unit=Unit(source.unit.path, tuple(sorted(folders[source.reader.NAME, source.unit.path]))))
        if source.reader.FOLDER
        else source
        for source in finds.sources
    ]
    return finds._replace(sources=sources, refusals=refusals)


# --- the files -------------------------------------------------------------------------------------------------------


def _walk(paths: Iterable[Path]) -> Iterator[_Found]:
    seen: set[Path] = set()
    for path in paths:
        if not path.exists() and not path.is_symlink():
            raise RecordError(streams.display(path), "", "does not exist")
        if not path.is_dir():
            yield from _once(_Found(path, True), seen)
            continue
        empty = True
        for found in _files(path, set()):
            empty = False
            yield from _once(_Found(found, False), seen)
        if empty:
            raise RecordError(streams.display(path), "", "the folder holds no files")


def _once(found: _Found, seen: set[Path]) -> Iterator[_Found]:
    real = found.path.resolve()
    if real not in seen:
        seen.add(real)
        yield found


def _files(folder: Path, above: set[Path]) -> Iterator[Path]:
    """Files below a folder; links are followed unless they lead back up."""
    real = folder.resolve()
    if real in above:
        return
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        yield folder
        return
    for entry in entries:
        if not entry.is_dir():
            yield entry
        elif not entry.name.startswith("."):
            yield from _files(entry, above | {real})


# --- what they are ---------------------------------------------------------------------------------------------------


def _recognise(found: _Found) -> Reader | Refusal | Literal["labels", "side"]:
    """The reader of a file, what else it is, or the refusal of it."""
    name = naming.unpacked(found.path.name)
    aside = not found.named and (_ending(name) in _SIDE_ENDINGS or name in _SIDE_NAMES or name.startswith("."))
    if not found.path.is_file():
        return Refusal(file=streams.display(found.path), reason="is no file that can be read")
    try:
        reader, head = _specific(found.path, name)
    except RecordError as error:
        return refused(error)
    shape = outline(head)
    if reader is not None:
        return reader
    if recognised(name, shape.keys):
        return "labels"
    if chat.sniff(name, head):
        return chat
    if aside or _is_dataset(shape) or _is_verdicts(shape) or shape.has("swe_rm_store"):
        return "side"
    if (reader := _after_damage(name, head)) is not None:
        return reader
    return Refusal(file=streams.display(found.path), reason=_unknown(head, shape))


def _specific(path: Path, name: str) -> tuple[Reader | None, bytes]:
    """The first specific format that claims the file, and the bytes that were looked at last."""
    for size in HEADS:
        head, whole = streams.head(path, size)
        reader = next((reader for reader in SPECIFIC if reader.sniff(name, head)), None)
        if reader is not None or whole or outline(head).whole:
            break
    return reader, head


def _after_damage(name: str, head: bytes) -> Reader | None:
    """The format of JSON lines whose first lines are damaged, by the lines after them; those are refused one by one."""
    starts = (match.end() for match in re.finditer(rb"\n(?=\{)", head))
    for start in islice(starts, DAMAGED_LINES):
        reader = next((reader for reader in (*SPECIFIC, chat) if reader.sniff(name, head[start:])), None)
        if reader is not None:
            return reader
    return None


def _ending(name: str) -> str:
    return Path(name).suffix.lower()


def _is_dataset(shape: Outline) -> bool:
    """Rows of a benchmark: tasks with their gold patches, which are nobody's attempts."""
    return shape.has("instance_id", "problem_statement", "base_commit") or shape.has("instance_id", "test_patch")


def _is_verdicts(shape: Outline) -> bool:
    """Recorded verdicts, which `recorded:` reads."""
    return shape.has("score") and bool(shape.keys.keys() & {"attempt_id", "instance_id", "task_id"})


def _unknown(head: bytes, shape: Outline) -> str:
    if not head.strip():
        return "the file is empty"
    if shape.kind == "other":
        return "no known format (not JSON)" if b"\0" not in head else "no known format (binary)"
    keys = ", ".join(list(shape.keys)[:_KEYS_SHOWN])
    more = ", ..." if len(shape.keys) > _KEYS_SHOWN else ""
    return f"no known format (JSON {shape.kind}{f' with the keys {keys}{more}' if keys else ''})"
