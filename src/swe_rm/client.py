"""What a trainer or an agent imports to ask a swe-rm server: standard library only, nothing of the package, picklable.

The file may be copied by itself into an environment that holds no other part of swe-rm: Python 3.10 and newer read it.
"""

import asyncio
import hashlib
import http.client
import io
import json
import os
import random
import socket
import ssl
import threading
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary, WeakSet

AGAIN = frozenset((408, 425, 429))
"""Statuses below 500 that another try may mend; from 500 on every one may."""
SOURCE = "swe-rm client"
"""The source of rows that `attempt` makes: only they carry a name that the server repeats, and are joined by it."""
CONNECTIONS = 64
"""Requests of one client that are under way at once on one event loop; the others wait their turn in it."""
_CONNECT = 10.0
"""Seconds for a connection: a machine that is gone does not use up the deadline in one try."""
_CHUNK = 1 << 16
_LENGTH = b"content-length:"
_LONGEST_REPLY = 1 << 26
"""Bytes; a verdict is 500."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 8.0
"""Seconds between tries, doubled each time: ten tries are worth a server's restart of 40 seconds."""
_UNREADABLE = 422
"""The status where none of the attempts is one."""
_LONGEST_DEADLINE = 1e6
"""Seconds: 11 days; threads cannot wait for ever."""
_SHOWN = 200
"""Characters of a server's own words that an error repeats."""


_T = TypeVar("_T")


_CLIENTS: "WeakSet[Client]" = WeakSet()
"""All of this process: a fork leaves their locks as other threads held them."""


class ClientError(Exception):
    """No score, and why. There is never a number in its place."""


class Unreachable(ClientError):  # noqa: N818  # a trainer's log reads "Unreachable: ..."
    """Nobody answered, or not to the end."""


class Busy(ClientError):  # noqa: N818
    """The server's line was full at every try (429), or it was too slow to take the request (408)."""


class Failed(ClientError):  # noqa: N818
    """The server answered each try with a failure of its own or its verifier's (5xx)."""


class Deadline(ClientError):  # noqa: N818
    """The time was over before an answer was whole."""


class Refused(ClientError):  # noqa: N818
    """The server will not do what was asked (4xx): asking again is no use."""


class BadAnswer(ClientError):  # noqa: N818
    """An answer that cannot be true: no JSON, NaN, out of range, a wrong count, of other attempts, another verifier."""


class Unscored(ClientError):  # noqa: N818
    """The server judged, but not all of the attempts."""

    def __init__(self, reasons: Mapping[int, str], scores: Sequence[float | None]) -> None:
        first = min(reasons)
        super().__init__(f"no score for {len(reasons)} of {len(scores)} attempts; number {first + 1}: {reasons[first]}")
        self.reasons = dict(reasons)
        """Why, by position in the request (from 0)."""
        self.scores = list(scores)
        """One for each attempt: None where there is no score, or where it cannot be told whose the scores are."""

    def __reduce__(self) -> tuple[Any, ...]:  # its message alone would not make it anew in another process
        return type(self), (self.reasons, self.scores)


class _Reply(NamedTuple):
    status: int
    data: bytes
    retry_after: float


_Carry = Callable[[bytes, float], Awaitable[bytes]]
"""Carries a whole request within so many seconds and brings what came back over the wire; raises OSError."""
_Rest = Callable[[float], Awaitable[None]]


def attempt(
    messages: Sequence[Mapping[str, Any]] = (),
    *,
    patch: str | None = None,
    instance_id: str | None = None,
    statement: str | None = None,
    finished: bool | None = None,
) -> dict[str, Any]:
    """An attempt as the server reads it best: chat messages with their tool calls, and the patch the agent made.

    `patch` is the attempt's own diff and never the task's solution, which data sets of tasks call by the same name.
    Without `instance_id` the task is named after its statement, or after what the agent was told first: attempts at one
    task meet. An attempt without a patch counts as not finished.
    """
    told = [str(message.get("content")) for message in messages if message.get("role") in ("system", "user")]
    task = hashlib.sha256((statement or "\n".join(told[:2])).encode("utf-8", "replace")).hexdigest()[:10]
    row = {"source": SOURCE, "instance_id": instance_id or f"task-{task}", "policy": "in training"}
    more = {"problem_statement": statement, "finished": finished}  # the keys by which the format is known come first
    return {**row, "patch": patch or "", "messages": [*messages], **{k: v for k, v in more.items() if v is not None}}


def attempt_of(told: Mapping[str, Any]) -> dict[str, Any]:
    """The attempt that a trainer carries along under these keys: messages, model_patch, instance_id,
    problem_statement, finished; only the first must be there.

    `patch` is not looked at: in data sets of tasks it is the solution. Raises KeyError without messages.
    """
    return attempt(
        told["messages"],
        patch=told.get("model_patch"),
        instance_id=told.get("instance_id"),
        statement=told.get("problem_statement"),
        finished=told.get("finished"),
    )


class Client:
    """Asks one swe-rm server for scores; may be used from threads, event loops and, pickled, from other processes."""

    def __init__(
        self,
        url: str = "",
        *,
        token: str | None = None,
        deadline: float = 100.0,
        tries: int = 10,
        verifier: str | None = None,
    ) -> None:
        """The server at `url`, or where SWE_RM_URL says; `token`, or SWE_RM_TOKEN, goes along as a bearer token.

        `deadline` are the seconds after which a call ends whatever happens: less than the trainer's own limit.
        `verifier` is the name@version expected, or SWE_RM_VERIFIER; without them that of the first answer, so that a
        server begun anew with another one is found out by this process. Raises ValueError for what is no URL.
        """
        self.url = url or os.environ.get("SWE_RM_URL", "")
        self.deadline, self.tries = deadline, tries
        self.verifier = verifier or os.environ.get("SWE_RM_VERIFIER") or None
        self._token = os.environ.get("SWE_RM_TOKEN", "") if token is None else token
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            raise ValueError(f"swe-rm needs the http(s):// URL of its server, as an argument or in SWE_RM_URL: {url!r}")
        if not (self.url + self._token).isascii() or not (self.url + self._token).isprintable():
            raise ValueError("the URL and the token of a swe-rm server are printable ASCII")
        parts.hostname.encode("idna")  # a UnicodeError is a ValueError, and better now than at every request
        if not 0 < deadline <= _LONGEST_DEADLINE or tries < 1:
            raise ValueError(f"deadline must be positive and at most {_LONGEST_DEADLINE:g}, and tries at least 1")
        self._host, self._netloc, self._secure = parts.hostname, parts.netloc, parts.scheme == "https"
        self._port = parts.port or (443 if self._secure else 80)
        self._path = parts.path.rstrip("/") + "/v1/score"
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._failures: Counter[str] = Counter()
        self._turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()
        _CLIENTS.add(self)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key not in ("_lock", "_failures", "_turns")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._begin()

    @property
    def failures(self) -> dict[str, int]:
        """How many attempts got no score from this client in this process, by the name of the error, and `retry`: how
        many requests were made again."""
        with self._lock:
            return dict(self._failures)

    def score(self, attempts: Sequence[Mapping[str, Any] | str]) -> list[float]:
        """P(resolved) of each attempt, in their order; all of them go in one request.

        An attempt is what `attempt` returns, a JSON object in any format that swe-rm reads, or a text. Raises a
        ClientError; Unscored where some attempts could be judged and others not.
        """
        return _at_once(self._asked(attempts, self._carry, _sleep))

    async def ascore(self, attempts: Sequence[Mapping[str, Any] | str]) -> list[float]:
        """As `score`, on the event loop of whoever asks."""
        return await self._asked(attempts, self._acarry, asyncio.sleep)

    def score_or_none(self, attempts: Sequence[Mapping[str, Any] | str]) -> list[float | None]:
        """As `score`, for trainers that know rewards which do not apply: None, and a counted failure, for each attempt
        without a score."""
        return _at_once(_or_none(self._asked(attempts, self._carry, _sleep), len(attempts)))

    async def ascore_or_none(self, attempts: Sequence[Mapping[str, Any] | str]) -> list[float | None]:
        """As `score_or_none`, on the event loop of whoever asks."""
        return await _or_none(self._asked(attempts, self._acarry, asyncio.sleep), len(attempts))

    def _count(self, kind: str, number: int) -> None:
        with self._lock:
            self._failures[kind] += number

    async def _asked(self, attempts: Sequence[Mapping[str, Any] | str], carry: _Carry, rest: _Rest) -> list[float]:
        if isinstance(attempts, (str, Mapping)):
            raise TypeError("a list of attempts is asked for, not one attempt")
        try:
            return await self._answered(attempts, carry, rest) if attempts else []
        except ClientError as error:
            self._count(type(error).__name__, len(error.reasons) if isinstance(error, Unscored) else len(attempts))
            raise

    async def _answered(self, attempts: Sequence[Mapping[str, Any] | str], carry: _Carry, rest: _Rest) -> list[float]:
        name = uuid.uuid4().hex
        rows = [_named(one, f"{name}-{at}") for at, one in enumerate(attempts)]
        body = json.dumps({"attempts": rows}, allow_nan=False, default=_plain).encode()
        until, pause = time.monotonic() + self.deadline, _FIRST_PAUSE
        for number in range(1, self.tries + 1):
            after = 0.0
            try:
                left = _left(until)
                reply = _reply(await carry(self._request(body, name, left), left))
            except TimeoutError:
                trouble: ClientError = Deadline(f"{self.url}: no answer in time; {self.deadline:g} s for all of it")
            except (OSError, OverflowError, http.client.HTTPException) as error:
                trouble = Unreachable(f"{self.url}: {_line(str(error)) or type(error).__name__}")
            else:
                if reply.status == 200:
                    return self._scores(reply.data, rows)
                trouble, after = self._trouble(reply, len(rows)), reply.retry_after
            wait = max(random.uniform(0.5, 1.0) * pause, after)
            if isinstance(trouble, (Refused, Unscored)) or number == self.tries or time.monotonic() + wait >= until:
                raise trouble
            self._count("retry", 1)
            await rest(wait)
            pause = min(2 * pause, _LONGEST_PAUSE)
        raise AssertionError("the last try raises")

    def _request(self, body: bytes, name: str, left: float) -> bytes:
        """A whole HTTP request; the server is told when nobody waits any more, and to hang up after the answer."""
        head = [
            f"POST {self._path} HTTP/1.1",
            f"Host: {self._netloc}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            f"X-Deadline-Seconds: {max(left, 0.001):.3f}",
            f"X-Request-Id: {name}",
            "Connection: close",
            *([f"Authorization: Bearer {self._token}"] if self._token else []),
        ]
        return "\r\n".join([*head, "", ""]).encode() + body

    def _trouble(self, reply: _Reply, attempts: int) -> ClientError:
        told = f"status {reply.status}: {_words(reply.data)}"
        if reply.status == _UNREADABLE:
            return Unscored(dict.fromkeys(range(attempts), told), [None] * attempts)
        kind = Failed if reply.status >= 500 else Busy if reply.status in AGAIN else Refused
        return kind(f"{self.url}: {told}")

    def _scores(self, data: bytes, rows: Sequence[Mapping[str, Any] | str]) -> list[float]:
        """The scores of an answer, each at the place of its own row. Raises BadAnswer and Unscored."""
        try:
            found, verifier = _placed(json.loads(data), rows)
        except (ValueError, RecursionError) as error:
            raise BadAnswer(f"{self.url}: {_line(str(error))}: {_words(data)}") from None
        with self._lock:
            expected = self.verifier = self.verifier or verifier
        if verifier != expected:
            raise BadAnswer(f"{self.url}: answers as {_line(verifier)}; {expected} is expected")
        reasons = {at: one for at, one in sorted(found.items()) if isinstance(one, str)}
        scores = {at: one for at, one in found.items() if isinstance(one, float)}
        if reasons:
            raise Unscored(reasons, [scores.get(at) for at in range(len(rows))])
        return [scores[at] for at in range(len(rows))]

    async def _carry(self, request: bytes, seconds: float) -> bytes:
        """On the thread of whoever asks, all at once: it waits for no event loop."""
        until, data = time.monotonic() + seconds, bytearray()
        with self._connected(until) as link:
            link.settimeout(_left(until))
            with suppress(ConnectionError):  # who refuses a long body hangs up before it is whole, and says why
                link.sendall(request)
            with suppress(ConnectionError):  # what came before it was torn may be all of it
                while not _is_whole(data) and (more := link.recv(_CHUNK)):
                    _add(data, more)
                    link.settimeout(_left(until))
        return bytes(data)

    def _connected(self, until: float) -> socket.socket:
        """Tries each address of the host; all of it, finding them too, ends in time."""
        trouble: OSError = OSError("the host has no address")
        for family, kind, protocol, _, address in _addresses(self._host, self._port, _left(until)):
            link = socket.socket(family, kind, protocol)
            try:
                link.settimeout(min(_left(until), _CONNECT))
                link.connect(address)
                return _tls().wrap_socket(link, server_hostname=self._host) if self._secure else link
            except OSError as error:
                link.close()
                trouble = error
        _left(until)
        raise OSError(f"no connection: {trouble or type(trouble).__name__}")

    async def _acarry(self, request: bytes, seconds: float) -> bytes:
        try:
            return await asyncio.wait_for(self._carried(request), seconds)
        except asyncio.TimeoutError:  # noqa: UP041  # in Python 3.10 it is not the built-in one
            raise TimeoutError from None

    async def _carried(self, request: bytes) -> bytes:
        data = bytearray()
        async with self._turn():
            opening = asyncio.open_connection(self._host, self._port, ssl=_tls() if self._secure else None)
            try:
                reader, writer = await asyncio.wait_for(opening, _CONNECT)
            except asyncio.TimeoutError:  # noqa: UP041
                raise OSError(f"no connection within {_CONNECT:g} s") from None
            try:
                writer.write(request)
                with suppress(ConnectionError):
                    await writer.drain()
                with suppress(ConnectionError):
                    while not _is_whole(data) and (more := await reader.read(_CHUNK)):
                        _add(data, more)
            finally:
                writer.transport.abort()  # closing in good order would wait for a server that reads no more
        return bytes(data)

    def _turn(self) -> asyncio.Semaphore:
        with self._lock:
            return self._turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(CONNECTIONS))


def _begin_anew() -> None:
    for client in list(_CLIENTS):
        client._begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


def _named(row: Mapping[str, Any] | str, name: str) -> Mapping[str, Any] | str:
    return row if isinstance(row, str) or row.get("source") != SOURCE else {**row, "run": name}


async def _or_none(scores: Awaitable[list[float]], attempts: int) -> list[float | None]:
    try:
        return [*await scores]
    except Unscored as error:
        return error.scores
    except ClientError:
        return [None] * attempts


def _at_once(work: Coroutine[Any, Any, _T]) -> _T:
    """What a coroutine comes to that never waits for an event loop."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]  # what a coroutine returns
    raise AssertionError("it waits for an event loop")


async def _sleep(seconds: float) -> None:
    time.sleep(seconds)


def _plain(value: Any) -> Any:
    """The lists and numbers of numpy's, which is what data sets hold. Raises TypeError for anything else."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is no JSON: messages are made of dicts, lists and text")


def _placed(document: Any, rows: Sequence[Mapping[str, Any] | str]) -> tuple[dict[int, float | str], str]:
    """By position the score of each row, or why it has none; and whose. Raises ValueError where that cannot be true.

    Rows that carry a name of ours are joined by it. Where one does not the server's order holds, which tells nothing
    once a row has no score: then none has one.
    """
    verdicts, unscored, refused = (_listed(document, key) for key in ("verdicts", "unscored", "refused"))
    verifier = document["verifier"] if isinstance(document.get("verifier"), str) else ""
    if not verifier:
        raise ValueError("no word on whose scores these are")
    scores = [_score(row.get("score")) for row in verdicts]
    reasons = [_line(str(row.get("reason"))) for row in (*unscored, *refused)]
    if len(scores) + len(reasons) != len(rows):
        raise ValueError(f"{len(scores)} scores and {len(reasons)} reasons for {len(rows)} attempts")
    names = [row.get("run") for row in rows if not isinstance(row, str) and row.get("source") == SOURCE]
    if len(names) < len(rows):
        unknown = f"of {len(rows)} attempts without names one or more have none: {'; '.join(dict.fromkeys(reasons))}"
        return dict.fromkeys(range(len(rows)), unknown) if reasons else dict(enumerate(scores)), verifier
    places = {name: at for at, name in enumerate(names)}
    places.update((f"attempt {at + 1}", at) for at in range(len(rows)))  # what is no attempt has no name but this
    known_as = [*(row.get("attempt") for row in (*verdicts, *unscored)), *(row.get("file") for row in refused)]
    told: list[float | str] = [*scores, *reasons]
    found = {places[name]: one for name, one in zip(map(str, known_as), told, strict=True) if name in places}
    if len(found) < len(rows):
        raise ValueError("scores of attempts that were not sent, or two of one")
    return found, verifier


def _listed(document: Any, key: str) -> list[dict[str, Any]]:
    rows = document.get(key) if isinstance(document, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"no list of {key}")
    return rows


def _score(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:  # NaN is not either
        raise ValueError(f"{_line(str(value))} is no probability")
    return float(value)


def _reply(data: bytes) -> _Reply:
    """What came over the wire as an HTTP reply. Raises HTTPException for what is none, or not whole."""
    wire: Any = SimpleNamespace(makefile=lambda *_: io.BytesIO(data))
    response = http.client.HTTPResponse(wire, method="POST")
    response.begin()
    after = response.headers.get("Retry-After", "")  # in seconds; its form with a date is for web pages
    seconds = float(after) if after.isdecimal() and after.isascii() else 0.0
    return _Reply(response.status, response.read(), seconds)


def _is_whole(data: bytearray) -> bool:
    """Whether a reply that says its length is all there: some keep the link open after it, or tear it."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return False
    told = [line.partition(b":")[2].strip() for line in data[:end].lower().split(b"\r\n") if line.startswith(_LENGTH)]
    return len(told) == 1 and told[0].isdigit() and len(data) >= end + 4 + int(told[0])


def _addresses(host: str, port: int, seconds: float) -> list[Any]:
    """What `socket.getaddrinfo` finds, which has no deadline of its own. Raises OSError, TimeoutError after a while."""
    found: list[Any] = []

    def find() -> None:
        try:
            found.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError as error:
            found.append(error)

    finding = threading.Thread(target=find, daemon=True)
    finding.start()
    finding.join(seconds)
    if not found:
        raise TimeoutError
    if isinstance(found[0], OSError):
        raise found[0]
    return list(found[0])


def _left(until: float) -> float:
    """Seconds. Raises TimeoutError."""
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _add(data: bytearray, more: bytes) -> None:
    """Raises OSError for an answer without end."""
    data += more
    if len(data) > _LONGEST_REPLY:
        raise OSError(f"an answer of more than {_LONGEST_REPLY} bytes")


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _words(data: bytes) -> str:
    """A server's own words on one line, its message alone where it is written as ours are."""
    text = data[: 16 * _SHOWN].decode("utf-8", "replace")
    with suppress(ValueError, RecursionError):
        document = json.loads(data)
        error = document.get("error") if isinstance(document, dict) else None
        text = str(error.get("message", error)) if isinstance(error, dict) else text
    return _line(text) or "(nothing)"


def _line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in " ".join(text.split()))[:_SHOWN]
