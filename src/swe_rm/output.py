"""Files that appear whole or not at all, compressed as their ending says."""

import gzip
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
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
    """A folder in which `path` is made ready, on the same disk, so that it appears whole or not at all.

    Raises SweRmError when nothing can be written there.
    """
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
    with beside(file.resolve()) as folder:
        partial = folder / file.name
        yield partial
        partial.replace(file.resolve())


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
