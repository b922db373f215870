"""Attempts out of request bodies: files of any known format, JSON values in one, or text alone."""

import codecs
import io
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from swe_rm.errors import RecordError
from swe_rm.serve import pace
from swe_rm.serve.failures import RequestError
from swe_rm.serve.plain_text import attempt_of_text
from swe_rm.serve.settings import Settings
from swe_rm.sources import Refusal, chat, naming, open_received, streams
from swe_rm.sources.reader import Record, checked
from swe_rm.sources.rows import attempt_of
from swe_rm.trajectory import Trajectory

UNNAMED = "received"
"""What a file is called whose sender does not say."""
_STREAMS = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd")
"""How gzip and zstd begin."""
_COMPRESSED = (*_STREAMS, b"PAR1")
_ZIP = b"PK\x03\x04"


class Attempt(NamedTuple):
    """One attempt of a request."""

    trajectory: Trajectory
    text_only: bool = False
    """Whether it came as text alone: its patch is not known, and who said what may not be."""


class Received(NamedTuple):
    """What a body held."""

    attempts: tuple[Attempt, ...]
    refusals: tuple[Refusal, ...] = ()
    notes: tuple[str, ...] = ()


def read_files(files: Sequence[tuple[str, bytes]], settings: Settings) -> Received:
    """The attempts in these files, in any known format; one file that is in none and is text is one attempt.

    No file of this machine is opened, whatever the names are. Raises RequestError where there is nothing to judge or
    too much.
    """
    _check_size([content for _, content in files], settings.max_body)
    try:
        pile = open_received(files)
    except RecordError as error:
        text = _as_text(files)
        if text is None:
            raise RequestError("unreadable", str(error)) from None
        return Received((read_text(text, files[0][0], settings),))
    found = tuple(Attempt(item.trajectory) for item in pile.attempts())
    if not found:
        raise RequestError("unreadable", f"nothing to judge: {'; '.join(map(str, pile.refusals[:3]))}")
    for one in found:
        check_tokens(one.trajectory, settings)
    return Received(found, tuple(pile.refusals), tuple(pile.notes))


def read_value(value: Any, settings: Settings, name: str = UNNAMED) -> Attempt:
    """The one attempt of a JSON value in any known format. Raises RequestError where it is none, or several."""
    try:
        body = orjson.dumps(value)
    except TypeError:
        raise RequestError("unreadable", "the JSON is nested too deeply") from None
    received = read_files([(f"{name}.json", body)], settings)
    if len(received.attempts) != 1 or received.refusals:
        told = "; ".join(map(str, received.refusals)) or f"holds {len(received.attempts)} attempts"
        raise RequestError("unreadable", f"{name}: one attempt is asked for: {told}")
    return _of_its_issue(received.attempts[0], name)


def _of_its_issue(attempt: Attempt, name: str) -> Attempt:
    """The attempt under the name of its issue where its format names tasks by their files, and `name` is ours.

    So the attempts of one request at one issue are at one task; `name` tells them apart.
    """
    found = attempt.trajectory
    if found.task.instance_id != name:
        return attempt
    task = found.task.model_copy(update={"instance_id": naming.task_of_issue(found.task.statement)})
    origin = found.origin.model_copy(update={"attempt": name})
    kept = {field: getattr(found, field) for field in Trajectory.model_fields}  # without the hashes of before
    return attempt._replace(trajectory=Trajectory(**{**kept, "task": task, "origin": origin}))


def read_messages(messages: Sequence[Any], name: str, settings: Settings, **beside: str) -> Attempt:
    """The attempt that these messages, calls and results are, with the columns beside them. Raises RequestError."""
    record = Record(Path(f"/{name}"), "", {"messages": list(messages), **beside})
    found = checked(record, lambda row: attempt_of(row, chat.COLUMNS, Counter()))
    if isinstance(found, Refusal):
        raise RequestError("unreadable", f"{name}: {found.reason}")
    check_tokens(found.trajectory, settings)
    return Attempt(found.trajectory)


def read_text(
    text: str, name: str, settings: Settings, prompt: str = "", instance_id: str = "", patch: str = ""
) -> Attempt:
    """The attempt a text tells of, its patch given apart or not known. Raises RequestError where it tells of none."""
    _check_length(len(text), name, settings)  # before it is taken apart into what may be a million messages
    try:
        trajectory = attempt_of_text(text, name, prompt, instance_id, patch)
    except ValueError as error:
        raise RequestError("unreadable", f"{name}: {error}") from None
    check_tokens(trajectory, settings)
    return Attempt(trajectory, text_only=not trajectory.patch)


def parsed(body: bytes) -> Any:
    """The JSON value of a body. Raises RequestError."""
    try:
        return streams.parse(body)
    except ValueError as error:
        raise RequestError("bad_request", f"the body is no JSON: {error}") from None


def read_body(body: bytes, name: str, settings: Settings) -> Received:
    """The attempts of a body: `{"attempts": [...]}` and `{"files": [...]}` of our own, or the bytes of one file.

    A `model` beside them is what other interfaces ask for, and not looked at.

    Of `attempts` each item is a JSON value in any known format, or a text, read by itself. Of `files` each item is
    `{"name", "content"}`: together they are read as a run folder is. Raises RequestError.
    """
    body = body.removeprefix(codecs.BOM_UTF8)
    if not body.strip():
        raise RequestError("unreadable", "the body is empty")
    value = _envelope(_opened(body, settings))
    if isinstance(value.get("attempts"), list):
        return _items(value["attempts"], settings)
    if isinstance(value.get("files"), list):
        return read_files([_file(number, item) for number, item in enumerate(value["files"], 1)], settings)
    received = read_files([(name, body)], settings)
    return received._replace(attempts=tuple(_of_its_issue(one, UNNAMED) for one in received.attempts))


def _opened(body: bytes, settings: Settings) -> bytes:
    """The body decompressed where it is. Raises RequestError where it becomes too long."""
    if not body.startswith(_STREAMS):
        return body
    _check_size([body], settings.max_body)
    try:
        return b"".join(streams.chunks(streams.received(UNNAMED, body)))
    except RecordError:
        return body  # whoever reads it says what is wrong with it


def _envelope(body: bytes) -> Mapping[str, Any]:
    """The object of our own that the body is; empty where it is anything else."""
    head = body[:4096]
    if not head.lstrip().startswith(b"{") or not (b'"attempts"' in head or b'"files"' in head):
        return {}
    try:
        value = streams.parse(body)
    except ValueError:
        return {}  # whoever reads it says what is wrong with it
    own = isinstance(value, dict) and value.keys() <= {"attempts", "files", "model"}
    return value if own else {}


def _items(items: Sequence[Any], settings: Settings) -> Received:
    attempts: list[Attempt] = []
    refusals: list[Refusal] = []
    for number, item in enumerate(items, 1):
        name = f"attempt {number}"
        try:
            if isinstance(item, str):
                attempts.append(read_text(item, name, settings))
            else:
                attempts.append(read_value(item, settings, name))
        except RequestError as failure:
            if failure.type != "unreadable":
                raise
            refusals.append(Refusal(file=name, reason=str(failure)))
    if not attempts:
        told = "; ".join(map(str, refusals[:3])) or "there is none in `attempts`"
        raise RequestError("unreadable", f"nothing to judge: {told}")
    return Received(tuple(attempts), tuple(refusals))


def _file(number: int, item: Any) -> tuple[str, bytes]:
    if not (isinstance(item, dict) and isinstance(item.get("name"), str) and isinstance(item.get("content"), str)):
        raise RequestError("unreadable", f"file {number}: has not the keys name and content, both text")
    return item["name"], item["content"].encode("utf-8", "replace")


def _as_text(files: Sequence[tuple[str, bytes]]) -> str | None:
    """The text of the one file where it is text and no JSON."""
    if len(files) != 1 or files[0][1].lstrip()[:1] in (b"{", b"["):
        return None
    try:
        text = files[0][1].decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def _check_size(contents: Sequence[bytes], limit: int) -> None:
    """Raises RequestError where compressed content would become more than a body may be."""
    total = 0
    try:
        for size in (size for content in contents for size in _sizes(content)):
            total += size
            if total > limit:
                raise RequestError("too_large", f"the body becomes more than {limit} bytes when it is decompressed")
    except (RecordError, zipfile.BadZipFile):
        return  # whoever reads it says what is wrong with it


def _sizes(content: bytes) -> Iterator[int]:
    """What compressed content becomes, part by part; nothing of content that is not."""
    if content.startswith(_ZIP):
        # of each member what it says it becomes: the library reads no more of it
        yield from (member.file_size for member in zipfile.ZipFile(io.BytesIO(content)).infolist())
    elif content.startswith(_COMPRESSED):
        yield from map(len, streams.chunks(streams.received(UNNAMED, content)))


def check_tokens(trajectory: Trajectory, settings: Settings) -> None:
    """Raises RequestError for an attempt that is longer than what is taken."""
    _check_length(pace.characters(trajectory), " / ".join(trajectory.key), settings)


def _check_length(characters: int, name: str, settings: Settings) -> None:
    tokens = characters / pace.CHARACTERS_A_TOKEN
    if tokens > settings.max_tokens:
        message = f"{name}: about {tokens:.0f} tokens, more than the {settings.max_tokens} taken here"
        raise RequestError("too_large", message)
