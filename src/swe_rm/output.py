"""Files that appear whole or not at all, compressed as their ending says, and folders that one process works in."""

import fcntl
import gzip
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import orjson
import zstandard

from swe_rm.errors import SweRmError

LEVEL = 9
"""Of zstd: logs get a third smaller than at the default, and reading is as quick."""


class Sink(Protocol):
    """What bytes are written to."""

    def write(self, data: bytes, /) -> int:
        """Take bytes."""
        ...


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A folder in which the folder `path` is made ready, on the same disk, so that it appears whole or not at all.

    Folders above it are made, and go again where nothing comes of it. Raises SweRmError when nothing can be written
    there.
    """
    made = [folder for folder in path.absolute().parents if not folder.exists()]
    try:
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SweRmError(f"{path}: cannot be written: {error.strerror}") from None
    try:
        with _made_ready(path) as inner:
            yield inner
    finally:
        for folder in made:  # the innermost first; one that holds something stays
            with suppress(OSError):
                folder.rmdir()


@contextmanager
def _made_ready(path: Path) -> Iterator[Path]:
    try:
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.absolute().parent) as folder:
            inner = Path(folder) / path.name
            inner.mkdir()
            yield inner
    except OSError as error:
        raise SweRmError(f"{path}: cannot be written: {error.strerror}") from None


@contextmanager
def whole(file: Path) -> Iterator[Path]:
    """A file to write in place of `file`, which it becomes at the end; a device or a pipe is written as it is.

    Raises SweRmError when nothing can be written there.
    """
    if file.exists() and not file.is_file():
        yield file
        return
    with _made_ready(file.resolve()) as folder:
        partial = folder / file.name
        yield partial
        partial.replace(file.resolve())


def put(file: Path, text: str) -> None:
    """Write a small file in place of what is there; what a kill leaves beside it, the next call writes over.

    Raises SweRmError when nothing can be written there.
    """
    partial = file.with_name(f".{file.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(file)
    except OSError as error:
        raise SweRmError(f"{file}: cannot be written: {error.strerror}") from None


@contextmanager
def alone(folder: Path, *, wait: bool) -> Iterator[None]:
    """No other process that asks for it works in the folder, which is made, meanwhile.

    Raises SweRmError where another one does and there is no `wait`, or when the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise SweRmError(f"{folder}: cannot be written: {error.strerror}") from None
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise SweRmError(f"{folder}: another process is at work there") from None
        yield
    finally:
        os.close(held)


@contextmanager
def lines(file: Path) -> Iterator[Sink]:
    """A file to write bytes to, compressed as its ending (.gz, .zst) says."""
    with file.open("wb") as raw:
        if file.suffix == ".zst":
            with zstandard.ZstdCompressor(level=LEVEL).stream_writer(raw) as compressed:
                yield compressed
        elif file.suffix == ".gz":
            with gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as compressed:
                yield compressed
        else:
            yield raw


def line(row: dict[str, Any]) -> bytes:
    """A row as a line of JSON."""
    return orjson.dumps(row) + b"\n"
