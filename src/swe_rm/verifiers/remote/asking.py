"""How an engine is asked over HTTP: one function carries a request; around it retries, a deadline, typed errors."""

import asyncio
import random
import threading
import time
import weakref
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import CancelledError
from typing import Any, NamedTuple, Protocol

import orjson
from pydantic import Field

from swe_rm.errors import MissingExtraError, VerifierError
from swe_rm.trajectory import Noun

AGAIN = frozenset((408, 425, 429, 500, 502, 503, 504))
"""Statuses that another try may mend."""
LARGEST = 64 << 20
"""Bytes of an answer at most; the largest that is asked for, llama.cpp's whole vocabulary, has about 10 MB."""
_WITHDRAWN = "the question was withdrawn"
_SHOWN = 200
"""Characters of a server's own words that an error repeats."""


class EngineError(VerifierError):
    """An engine gave no answer that could be a verdict."""


class EngineDownError(EngineError):
    """Nobody answered, or only with failures of its own, until the deadline."""


class EngineRefusedError(EngineError):
    """The engine answered that it will not do what was asked; asking again is no use."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class EngineAnswerError(EngineError):
    """The engine answered with something that is no answer to the question."""


class UnreachableError(Exception):
    """A carrier's word for: no answer came (refused, cut off, or not in time)."""


class Reply(NamedTuple):
    """What came back."""

    status: int
    data: bytes
    retry_after: float | None = None
    """Seconds, where the server said when to come again."""


class Carry(Protocol):
    """The seam: carries one request and brings its reply."""

    def __call__(self, method: str, path: str, body: bytes | None, seconds: float) -> Reply:
        """Raises UnreachableError where no reply came within the seconds, EngineAnswerError for one not to be read."""
        ...


class Patience(Noun):
    """How long an engine is asked for one thing."""

    tries: int = Field(default=12, ge=1)
    seconds: float = Field(default=300, gt=0)
    """For one try; 256k tokens are read in up to 80 s, and a request may stand in a queue."""
    deadline: float = Field(default=180, gt=0)
    """Seconds after which no other try begins: a restart of an engine takes a minute or two."""
    pause: float = Field(default=0.5, ge=0)
    """Before the second try; doubled before each other, up to `longest_pause`."""
    longest_pause: float = Field(default=15, ge=0)


class Asker:
    """Asks one server; may be used from several threads."""

    def __init__(
        self,
        carry: Carry,
        where: str,
        patience: Patience | None = None,
        *,
        extra: Mapping[str, Any] | None = None,
        sleep: Callable[[float], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`where` names the server in errors; `extra` is put into every body, and a null there takes a key out."""
        self.where = where
        self._carry = carry
        self._patience = patience or Patience()
        self._extra = dict(extra or {})
        self._closed = threading.Event()
        self._sleep, self._clock = sleep or self._closed.wait, clock
        self._lock = threading.Lock()
        self._down_since: float | None = None

    def get(self, path: str) -> Any:
        """The JSON document at a path; raises what `post` raises."""
        return self._document(path, self._reply("GET", path, None))

    def reply(self, path: str, enough: Callable[[Reply], bool]) -> Reply:
        """What is at a path, whatever its status; one that another try may mend is taken where it is `enough`.

        Raises EngineDownError.
        """
        return self._reply("GET", path, None, enough)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """The JSON document that answers a body.

        Raises EngineDownError past the deadline, EngineRefusedError for a status that no other try mends, and
        EngineAnswerError for an answer that is not JSON.
        """
        whole = {key: value for key, value in {**body, **self._extra}.items() if value is not None}
        return self._document(path, self._reply("POST", path, orjson.dumps(whole)))

    def close(self) -> None:
        """Nobody waits any more: what is under way ends at once with EngineDownError, and nothing more is asked."""
        self._closed.set()
        closing = getattr(self._carry, "close", None)
        if closing:
            closing()

    def _reply(
        self, method: str, path: str, body: bytes | None, enough: Callable[[Reply], bool] = lambda reply: False
    ) -> Reply:
        started, pause = self._clock(), self._patience.pause
        for number in range(1, self._patience.tries + 1):
            if self._closed.is_set():
                raise EngineDownError(f"{self.where}{path}: not asked any more: nobody waits for the answer")
            reply, trouble = self._try(method, path, body)
            if reply is not None and (reply.status not in AGAIN or enough(reply)):
                with self._lock:
                    self._down_since = None
                return reply
            since = self._failed(started)
            wait = max(random.uniform(0.5, 1.0) * pause, (reply and reply.retry_after) or 0.0)
            if number == self._patience.tries or self._clock() + wait - since > self._patience.deadline:
                break
            self._sleep(wait)
            pause = min(2 * pause, self._patience.longest_pause)
        raise EngineDownError(f"{self.where}{path}: {trouble}, after {number} tries")

    def _try(self, method: str, path: str, body: bytes | None) -> tuple[Reply | None, str]:
        try:
            reply = self._carry(method, path, body, self._patience.seconds)
        except UnreachableError as error:
            return None, str(error) or "no answer"
        except EngineAnswerError as error:
            raise EngineAnswerError(f"{self.where}{path}: {error}") from None
        return reply, f"status {reply.status}: {words(reply.data)}"

    def _failed(self, started: float) -> float:
        """When the server was first found failing, or this question was begun: one that is down is not waited for anew
        by each question."""
        with self._lock:
            if self._down_since is None:
                self._down_since = self._clock()
            return min(started, self._down_since)

    def _document(self, path: str, reply: Reply) -> Any:
        if not 200 <= reply.status < 300:
            raise EngineRefusedError(f"{self.where}{path}: status {reply.status}: {words(reply.data)}", reply.status)
        try:
            return orjson.loads(reply.data)
        except orjson.JSONDecodeError:
            raise EngineAnswerError(f"{self.where}{path}: answered with no JSON: {words(reply.data)}") from None


def words(data: bytes) -> str:
    """A server's own words on one line, its message alone where it is written as most are."""
    text = data[: 16 * _SHOWN].decode("utf-8", "replace")
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError:
        document = None
    if isinstance(document, dict):
        found = document.get("error") or document.get("detail") or document.get("message") or text
        text = str(found.get("message", found) if isinstance(found, dict) else found)
    return "".join(c if c.isprintable() else " " for c in " ".join(text.split()))[:_SHOWN] or "(nothing)"


class Http:
    """The carrier that is used: connections are kept and shared by threads; no redirect is followed.

    An answer is taken in up to LARGEST bytes, also as unpacked.

    Requests run on a loop in a thread of their own, where the time of one is bounded as a whole: a blocking client
    waits for each piece anew, and a server that sends a byte now and then would hold it for ever.
    """

    def __init__(self, url: str, token: str = "", connections: int = 64) -> None:
        """`token` goes as a bearer token. Raises MissingExtraError without httpx2, VerifierError for no URL."""
        try:
            import httpx2
        except ImportError:
            raise MissingExtraError("httpx2", "remote") from None
        self._errors = httpx2.TransportError
        headers = {"content-type": "application/json", "accept-encoding": "gzip"}
        headers |= {"authorization": f"Bearer {token}"} if token else {}
        limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
        try:
            self._client = httpx2.AsyncClient(
                base_url=url, headers=headers, limits=limits, trust_env=False, timeout=httpx2.Timeout(None, connect=10)
            )
        except (httpx2.InvalidURL, UnicodeError, ValueError) as error:
            raise VerifierError(f"{url}: {error}") from None
        self._closed = False
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=_run, args=(self._loop,), name="http", daemon=True).start()
        weakref.finalize(self, _close, self._client, self._loop)

    def __call__(self, method: str, path: str, body: bytes | None, seconds: float) -> Reply:
        """See `Carry`."""
        asked = asyncio.run_coroutine_threadsafe(self._carried(method, path, body, seconds), self._loop)
        try:
            return asked.result()
        except CancelledError:
            raise UnreachableError(_WITHDRAWN) from None
        finally:
            asked.cancel()  # where this thread was interrupted

    def close(self) -> None:
        """Withdraw what is under way, and carry nothing more."""
        self._closed = True
        self._loop.call_soon_threadsafe(lambda: [task.cancel() for task in asyncio.all_tasks(self._loop)])

    async def _carried(self, method: str, path: str, body: bytes | None, seconds: float) -> Reply:
        if self._closed:
            raise UnreachableError(_WITHDRAWN)
        try:
            async with asyncio.timeout(seconds), self._client.stream(method, path, content=body) as reply:
                data = await _read(reply.aiter_raw(), reply.headers.get("content-encoding", ""))
        except TimeoutError:
            raise UnreachableError(f"no whole answer within {seconds:g} seconds") from None
        except self._errors as error:
            raise UnreachableError(f"{type(error).__name__}: {error}".rstrip(": ")) from None
        return Reply(reply.status_code, data, _seconds(reply.headers.get("retry-after", "")))


async def _read(pieces: AsyncIterator[bytes], coding: str) -> bytes:
    """A body, unpacked; never more than LARGEST bytes of it. Raises EngineAnswerError."""
    if coding.lower() not in ("", "identity", "gzip", "x-gzip"):
        raise EngineAnswerError(f"answers in {coding!r:.40}, and was asked for gzip or nothing")
    unpacking = zlib.decompressobj(16 + zlib.MAX_WBITS) if "gzip" in coding.lower() else None
    data = bytearray()
    async for piece in pieces:
        try:
            data += unpacking.decompress(piece, LARGEST + 1 - len(data)) if unpacking else piece
        except zlib.error:
            raise EngineAnswerError("answers with gzip that cannot be unpacked") from None
        if len(data) > LARGEST:
            raise EngineAnswerError(f"answers with more than {LARGEST >> 20} MB")
    return bytes(data)


def _run(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    loop.close()


def _close(client: Any, loop: asyncio.AbstractEventLoop) -> None:
    """End the connections, and the thread with them."""
    closing = asyncio.run_coroutine_threadsafe(client.aclose(), loop)
    closing.add_done_callback(lambda _: loop.call_soon_threadsafe(loop.stop))


def _seconds(header: str) -> float | None:
    """A Retry-After in seconds; its form with a date is for web pages."""
    try:
        return min(max(0.0, float(header)), 600.0)
    except ValueError:
        return None
