"""Files, found under the given paths or received, each recognised by its content: attempts, labels, or set aside."""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

from swe_rm import label_table
from swe_rm.errors import RecordError
from swe_rm.labels import names_ids, read_labels, recognised
from swe_rm.printable import printable
from swe_rm.sources import naming, streams
from swe_rm.sources.formats import LAST, SPECIFIC
from swe_rm.sources.label_account import Placed
from swe_rm.sources.outline import Outline, outline
from swe_rm.sources.reader import Grouping, Reader, Refusal, Unit, nothing, records, refused
from swe_rm.sources.streams import File

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
_SIDE_NAMES = frozenset({
    "manifest.json", "mix.json", "metadata.json", "config.json", "lock.json", "cost_report.jsonl",
    "dataset_dict.json", "dataset_info.json", "dataset_infos.json",
})  # fmt: skip
_RECORDS = frozenset({".json", ".jsonl", ".ndjson", ".parquet"})
"""What files of records in a data set end in; a licence beside them may have no ending."""
_NO_ATTEMPTS = frozenset({".cache", ".collect", ".git", ".github", ".ipynb_checkpoints", ".venv"})
"""Hidden folders in which nobody keeps attempts."""
_KEYS_SHOWN = 6
_KEY_SHOWN = 40
"""Characters."""


class Source(NamedTuple):
    """A reader and what it is to read."""

    reader: Reader
    unit: Unit


class Finds(NamedTuple):
    """Every file found, in exactly one of `sources`, `side_files` and `refusals`."""

    sources: list[Source]
    labels: list[Placed]
    side_files: list[File]
    """Among them the files of `labels`."""
    refusals: list[tuple[File, Refusal]]
    notes: list[str]


class _Found(NamedTuple):
    file: File
    named: bool
    """Whether the user named it, rather than a folder above it."""


class _Nowhere(NamedTuple):
    """A path that leads to no file."""

    path: Path
    reason: str


def find(paths: Sequence[Path]) -> Finds:
    """Walk the paths and recognise every file.

    Folders are walked in the order of names, hidden ones are not; a file met twice counts once. A path that does not
    exist and a folder without files are refused as files are.
    """
    hidden: list[Path] = []
    finds = _recognised(_walk(paths, hidden))
    if hidden:
        more = f" and {len(hidden) - 1} more" if len(hidden) > 1 else ""
        finds.notes.append(f"{streams.display(hidden[0])}{more}: hidden folders are not walked; name them to read them")
    return finds


def find_among(files: Sequence[File]) -> Finds:
    """Recognise files that were received; one that came alone is meant to be read, as one that is named is."""
    return _recognised(_Found(file, len(files) == 1) for file in files)


def data_files(folder: Path) -> list[Path]:
    """JSON, JSON lines and Parquet below a folder, compressed or not, in the order of names; no hidden folders."""
    files = [(path, naming.unpacked(path.name)) for path in _files(folder, set(), [])]
    return [path for path, name in files if _ending(name) in _RECORDS and not _is_aside(name)]


class _Claimed(NamedTuple):
    """A file and the reader that claims it."""

    reader: Reader
    file: File


def _recognised(found: Iterable[_Found | _Nowhere]) -> Finds:
    finds = Finds([], [], [], [], [])
    claimed: list[_Claimed] = []
    for one in found:
        if isinstance(one, _Nowhere):
            refusal = Refusal(file=streams.display(one.path), reason=one.reason)
            finds.refusals.append((File(one.path), refusal))
            continue
        kind = _recognise(one)
        if isinstance(kind, Refusal):
            finds.refusals.append((one.file, kind))
        elif kind == "side":
            finds.side_files.append(one.file)
        elif kind == "labels":
            _add_labels(finds, one.file)
        else:
            claimed.append(_Claimed(kind, one.file))
    return _grouped(finds, claimed)


def label_file(file: File) -> Placed:
    """The labels of one file. Raises RecordError when it cannot be read or holds none."""
    path, name = file.path.absolute(), naming.unpacked(file.path.name)
    try:
        if label_table.is_text(name):
            values = label_table.records(name, b"".join(streams.chunks(file)).decode())
        else:
            values = _values(file)
        return Placed(path, read_labels(values, path.parent.name, name))
    except ValueError as error:
        raise RecordError(streams.display(file.path), "", f"not read as labels: {error}") from None


def _values(file: File) -> list[Any]:
    values = []
    for record in records(file):
        if isinstance(record, Refusal):
            raise RecordError(record.file, record.record, record.reason)
        values.append(record.value)
    return values[0] if len(values) == 1 and isinstance(values[0], list) else values


def _add_labels(finds: Finds, file: File) -> None:
    try:
        finds.labels.append(label_file(file))
    except RecordError as error:
        finds.refusals.append((file, refused(error)))
    else:
        finds.side_files.append(file)


def _grouped(finds: Finds, claimed: Sequence[_Claimed]) -> Finds:
    """The claimed files as units, in the order met; a folder takes what its format owns below it."""
    folders: dict[Path, Reader] = {}
    for reader, file in claimed:
        folder = reader.GROUP.folder(file.path)
        if folder is not None and (reader.GROUP.owns, reader.GROUP.takes) != (nothing, nothing):
            folders.setdefault(folder, reader)
    units: dict[tuple[str, Path], tuple[Reader, list[File]]] = {}
    taken: Counter[tuple[str, str]] = Counter()
    for reader, file in claimed:
        owner = _owner(file, folders, lambda group: group.owns)
        if owner and folders[owner] is not reader:
            taken[reader.NAME, folders[owner].NAME] += 1
        folder = owner or reader.GROUP.folder(file.path) or file.path
        reader = folders[owner] if owner else reader
        units.setdefault((reader.NAME, folder), (reader, []))[1].append(file)
    refusals = []
    for file, refusal in finds.refusals:
        if owner := _owner(file, folders, lambda group: group.owns):
            units[folders[owner].NAME, owner][1].append(file)
        else:
            refusals.append((file, refusal))
    side_files = []
    for file in finds.side_files:
        if owner := _owner(file, folders, lambda group: group.takes):
            units[folders[owner].NAME, owner][1].append(file)
        else:
            side_files.append(file)
    sources = [
        Source(reader, Unit(path, tuple(sorted(files, key=lambda file: file.path))))
        for (_, path), (reader, files) in units.items()
    ]
    notes = [
        f"{n} files that read like {inner} lie within attempts of {outer}: not attempts of their own"
        for (inner, outer), n in taken.items()
    ]
    return finds._replace(sources=sources, side_files=side_files, refusals=refusals, notes=notes)


def _owner(
    file: File, folders: Mapping[Path, Reader], claims: Callable[[Grouping], Callable[[Path], bool]]
) -> Path | None:
    """The outermost folder of a format whose `claims` hold for the file."""
    return next(
        (
            folder
            for folder in reversed(file.path.parents)
            if folder in folders and claims(folders[folder].GROUP)(file.path.relative_to(folder))
        ),
        None,
    )


# --- the files -------------------------------------------------------------------------------------------------------


def _walk(paths: Iterable[Path], hidden: list[Path]) -> Iterator[_Found | _Nowhere]:
    """The files; hidden folders that were left out are put into `hidden`."""
    seen: set[Path] = set()
    for path in paths:
        if not os.path.lexists(path):
            yield _Nowhere(path, "does not exist, or its folder cannot be entered")
            continue
        if not os.path.isdir(path):  # noqa: PTH112  # Path.is_dir raises in a folder that cannot be entered
            yield from _once(_Found(File(path), True), seen)
            continue
        empty = True
        for found in _files(path, set(), hidden):
            empty = False
            yield from _once(_Found(File(found), False), seen)
        if empty:
            yield _Nowhere(path, "the folder holds no files")


def _once(found: _Found, seen: set[Path]) -> Iterator[_Found]:
    real = Path(os.path.realpath(found.file.path))
    if real not in seen:
        seen.add(real)
        yield found


def _files(folder: Path, above: set[Path], hidden: list[Path]) -> Iterator[Path]:
    """Files below a folder; links are followed unless they lead back up."""
    real = Path(os.path.realpath(folder))
    if real in above:
        return
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        yield folder
        return
    for entry in entries:
        if not os.path.isdir(entry):  # noqa: PTH112  # likewise
            yield entry
        elif not entry.name.startswith("."):
            yield from _files(entry, above | {real}, hidden)
        elif entry.name not in _NO_ATTEMPTS:
            hidden.append(entry)


# --- what they are ---------------------------------------------------------------------------------------------------


def _recognise(found: _Found) -> Reader | Refusal | Literal["labels", "side"]:
    """The reader of a file, what else it is, or the refusal of it."""
    file = found.file
    path = file.path.with_name(naming.unpacked(file.path.name))
    aside = not found.named and _is_aside(path.name)
    if not file.is_readable():
        return Refusal(file=streams.display(file.path), reason="is no file that can be read")
    try:
        reader, head = _specific(file, path)
    except RecordError as error:
        return refused(error)
    shape = outline(head)
    if reader is not None:
        return reader
    if head.startswith(b"PK\3\4") or head[257:262] == b"ustar":
        return Refusal(file=streams.display(file.path), reason="is an archive: unpack it first")
    if recognised(path.name, shape.keys) or names_ids(path.name):
        return "labels"
    if LAST.sniff(path, head):
        return LAST
    if aside or _is_dataset(shape) or _is_verdicts(shape) or _is_summary(shape):
        return "side"
    if (reader := _after_damage(path, head)) is not None:
        return reader
    return Refusal(file=streams.display(file.path), reason=_unknown(head, shape))


def _specific(file: File, path: Path) -> tuple[Reader | None, bytes]:
    """The first specific format that claims the file, and the bytes that were looked at last."""
    for size in HEADS:
        head, whole = streams.head(file, size)
        reader = next((reader for reader in SPECIFIC if reader.sniff(path, head)), None)
        if reader is not None or whole or outline(head).whole:
            break
    return reader, head


def _after_damage(path: Path, head: bytes) -> Reader | None:
    """The format of JSON lines whose first lines are damaged, by the lines after them; those are refused one by one."""
    starts = (match.end() for match in re.finditer(rb"\n(?=\{)", head))
    for start in islice(starts, DAMAGED_LINES):
        reader = next((reader for reader in (*SPECIFIC, LAST) if reader.sniff(path, head[start:])), None)
        if reader is not None:
            return reader
    return None


def _is_aside(name: str) -> bool:
    return _ending(name) in _SIDE_ENDINGS or name in _SIDE_NAMES or name[0] == "."


def _ending(name: str) -> str:
    return Path(name).suffix.lower()


def _is_dataset(shape: Outline) -> bool:
    """Rows of a benchmark: tasks with their gold patches, which are nobody's attempts."""
    return shape.has("instance_id", "problem_statement", "base_commit") or shape.has("instance_id", "test_patch")


def _is_verdicts(shape: Outline) -> bool:
    """Recorded verdicts, which `recorded:` reads."""
    return shape.has("score") and bool(shape.keys.keys() & {"attempt_id", "instance_id", "task_id"})


def _is_summary(shape: Outline) -> bool:
    """The manifest of a store of ours, and the result of a Harbor job, which counts those of its trials."""
    return shape.has("swe_rm_store") or shape.has("n_total_trials", "stats")


def _unknown(head: bytes, shape: Outline) -> str:
    if not head.strip():
        return "the file is empty"
    if shape.kind == "other":
        return "no known format (not JSON)" if b"\0" not in head else "no known format (binary)"
    keys = ", ".join(printable(key)[:_KEY_SHOWN] for key in list(shape.keys)[:_KEYS_SHOWN])
    more = ", ..." if len(shape.keys) > _KEYS_SHOWN else ""
    return f"no known format (JSON {shape.kind}{f' with the keys {keys}{more}' if keys else ''})"
