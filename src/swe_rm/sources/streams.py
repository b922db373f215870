"""A file, on disk or received, as bytes: decompressed, in UTF-8, in lines or parsed; damage is told where it is."""

import codecs
import io
import os
import re
import shutil
import tempfile
import weakref
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

import orjson
import zstandard

from swe_rm.errors import RecordError
from swe_rm.sources import parquet

CHUNK = 1 << 16
"""Bytes read at a time."""

FEED = 1 << 11
"""Compressed bytes that are decompressed at a time: what they become, a thousand times as much in places, is held."""


IN_MEMORY = 1 << 24
"""Bytes of a received stream that are held in memory; a longer one goes to a temporary file."""


class File(NamedTuple):
    """Bytes that can be read again and again, and a name: a file on disk unless `source` says otherwise."""

    path: Path
    """Where it lies, or what its sender calls it: names of tasks and runs are taken from it."""
    source: Callable[[], IO[bytes]] | None = None
    """Opens the bytes where they are on no disk; what it gives can seek."""

    def open(self) -> IO[bytes]:
        """The bytes from the start. Raises OSError."""
        return self.source() if self.source else self.path.open("rb")

    def is_readable(self) -> bool:
        """Whether there is anything to read: not a broken link, and no pipe that would be waited on for ever."""
        return self.source is not None or os.path.isfile(self.path)  # noqa: PTH113  # raises nothing


def received(name: str, content: bytes | IO[bytes]) -> File:
    """A file that was never on our disk, such as the body of a request.

    The name may hold folders; it is taken as lying under a root of its own and never leads to a file of this machine.
    Raises RecordError for a name that names nothing.
    """
    path = Path("/", *(part for part in Path(name).parts if part not in ("/", "..")))
    if not path.name:
        raise RecordError(repr(name), "", "is no name of a file")
    if isinstance(content, bytes | bytearray | memoryview):
        held = bytes(content)
        return File(path, lambda: io.BytesIO(held))
    return File(path, _Spool(content))


class _Spool:
    """A stream kept so that it can be read again; closed with the last reader."""

    def __init__(self, content: IO[bytes]) -> None:
        self.file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115  # lives as long as self
        weakref.finalize(self, self.file.close)
        shutil.copyfileobj(content, self.file)

    def __call__(self) -> IO[bytes]:
        return io.BufferedReader(_View(self))


class _View(io.RawIOBase):
    """A spool read from a place of its own, so that several readers do not move each other's."""

    def __init__(self, spool: _Spool) -> None:
        self._spool, self._at = spool, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at}
        self._at = start[whence] + offset if whence in start else self._spool.file.seek(offset, whence)
        return self._at

    def readinto(self, buffer: Any) -> int:
        self._spool.file.seek(self._at)
        data = self._spool.file.read(len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


def display(path: Path) -> str:
    """The path as it stands in messages: one line that can be printed whatever bytes the name holds."""
    return " ".join(str(path).encode("utf-8", "replace").decode().split())


def chunks(file: File) -> Iterator[bytes]:
    """The content of a file, decompressed (gzip, zstd, by content) and in UTF-8 without a byte order mark.

    Of a Parquet file its rows, as JSON lines.
    Raises RecordError, after everything that could be read, when the file cannot be opened, its compressed data are
    damaged or end early, or it is not in the encoding its byte order mark announces.
    """
    try:
        with file.open() as opened:
            if opened.read(len(parquet.MAGIC)) == parquet.MAGIC:
                yield from parquet.lines(opened, display(file.path))
                return
            opened.seek(0)
            yield from _utf8(_decompressed(iter(lambda: opened.read(CHUNK), b"")))
    except OSError as error:
        raise RecordError(display(file.path), "", error.strerror or "cannot be read") from None
    except (zlib.error, zstandard.ZstdError):
        raise RecordError(display(file.path), "", "the compressed data are damaged") from None
    except EOFError:
        raise RecordError(display(file.path), "", "the compressed data end early") from None
    except UnicodeDecodeError as error:
        raise RecordError(display(file.path), "", f"not valid {error.encoding}") from None


def _decompressed(raw: Iterator[bytes]) -> Iterator[bytes]:
    first = next(raw, b"")
    if first.startswith(b"\x1f\x8b"):
        return _inflated(_with_first(first, raw), lambda: zlib.decompressobj(wbits=31))
    if re.match(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18", first):
        return _inflated(_with_first(first, raw), lambda: zstandard.ZstdDecompressor().decompressobj())
    return _with_first(first, raw)


def _inflated(raw: Iterable[bytes], start: Callable[[], _Decompressor]) -> Iterator[bytes]:
    """Decompressed members or frames, one after another; EOFError when the last one is not whole."""
    member = start()
    for data in (chunk[at : at + FEED] for chunk in raw for at in range(0, len(chunk), FEED)):
        while data:
            if member.eof:
                data = data.lstrip(b"\0")
                if not data:
                    break
                member = start()
            yield member.decompress(data)
            data = member.unused_data if member.eof else b""
    if not member.eof:
        raise EOFError


_MARKS = (
    (codecs.BOM_UTF8, None),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks, UTF-32 first: its little-endian mark begins with that of UTF-16."""


def _utf8(data: Iterator[bytes]) -> Iterator[bytes]:
    head = b""
    for chunk in data:
        head += chunk
        if len(head) >= 4:
            break
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            if encoding is None:
                return _with_first(head[len(mark) :], data)
            return _recoded(_with_first(head, data), encoding)
    return _with_first(head, data)


def _recoded(data: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)()
    for chunk in data:
        yield decoder.decode(chunk).encode()
    yield decoder.decode(b"", final=True).encode()


def _with_first(first: bytes, rest: Iterable[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def head(file: File, size: int) -> tuple[bytes, bool]:
    """The first `size` bytes of the content, and whether that is all of it.

    Raises RecordError only when nothing at all can be read: later damage is for whoever reads on.
    """
    held: list[bytes] = []
    found = 0
    try:
        for chunk in chunks(file):
            held.append(chunk)
            found += len(chunk)
            if found > size:
                break
    except RecordError:
        if not found:
            raise
    return b"".join(held)[:size], found <= size


def lines(file: File) -> Iterator[tuple[int, bytes]]:
    """(number from 1, line without its end) for every line that is whole; memory stays at one line.

    Raises RecordError naming the line at which damage begins, and no line of a file that cannot be opened.
    """
    pending: list[bytes] = []
    number = 1
    try:
        for chunk in chunks(file):
            start = 0
            while (end := chunk.find(b"\n", start)) >= 0:
                pending.append(chunk[start:end])
                yield number, b"".join(pending)
                pending.clear()
                number, start = number + 1, end + 1
            pending.append(chunk[start:])
    except RecordError as damage:
        raise RecordError(damage.file, f"line {number}" if file.is_readable() else "", damage.reason) from None
    if any(pending):
        yield number, b"".join(pending)


_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.", re.DOTALL
)


def parse(text: bytes) -> Any:
    """The JSON value of `text`, lone surrogates replaced by U+FFFD.

    Raises ValueError saying what is wrong; NaN, infinity and nesting beyond 1,024 levels are refused.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        reason = error
    if _SURROGATE.search(text):
        try:
            return orjson.loads(_ESCAPE.sub(lambda found: rb"\ufffd" if found[1] else found[0], text))
        except orjson.JSONDecodeError as error:
            reason = error
    if "UTF-8" in reason.msg:
        raise ValueError("not valid UTF-8")
    near = " ".join(reason.doc[reason.pos : reason.pos + 20].split())
    raise ValueError(f"broken JSON: {reason.msg} at character {reason.pos}" + (f", near {near!r}" if near else ""))


def document(file: File) -> Any:
    """The whole file as one JSON value. Raises RecordError."""
    return value_of(file, b"".join(chunks(file)))


def value_of(file: File, text: bytes) -> Any:
    """The JSON value of a file's content. Raises RecordError."""
    try:
        return parse(text)
    except ValueError as error:
        raise RecordError(display(file.path), "", str(error)) from None
