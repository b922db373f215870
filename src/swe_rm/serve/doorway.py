"""What every request passes: its id, the token, the limit of its body, a client that may hang up, log and metrics."""

import asyncio
import ctypes
import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

from starlette.datastructures import Headers, MutableHeaders

from swe_rm.serve.bearer import Bearers
from swe_rm.serve.engine import Engine
from swe_rm.serve.failures import CLIENT_GONE, RequestError, response
from swe_rm.serve.settings import Settings

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

REQUEST_ID = "X-Request-Id"
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
LARGE = 4 << 20
"""Bytes of a request after which memory is given back: the C library keeps what was freed in pieces."""
OPEN = frozenset({"/", "/healthz", "/readyz", "/openapi.json"})
"""Paths that ask for no token: they tell nothing of anybody's attempts."""
_ELSEWHERE = "elsewhere"
"""The route of paths that are none, in metrics: strangers do not choose what is counted."""

log = logging.getLogger("swe_rm.serve")


class _GoneError(Exception):
    """The client hung up before its request was whole."""


class Doorway:
    """An ASGI application around another one."""

    def __init__(self, app: App, bearers: Bearers, settings: Settings, engine: Engine) -> None:
        self._app = app
        self.engine = engine
        self._bearers = bearers
        self._max_body = settings.max_body
        self._max_held = settings.max_held
        self._held = 0
        self._patience = settings.deadline
        self._gauges = engine.gauges

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or answer it here."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # a web socket: nothing here speaks that
            await send({"type": "websocket.close", "code": 1000})
            return
        visit = _Visit(scope, send)
        try:
            await self._let_in(visit, receive)
        except asyncio.CancelledError:
            if not visit.has_begun:
                late = RequestError("deadline_exceeded", "the server ended before there was an answer")
                await response(late)(scope, receive, visit.send)
            raise
        finally:
            self._held -= visit.held
            if visit.held > LARGE:
                give_back_memory()
            self._account(visit)

    async def _let_in(self, visit: "_Visit", receive: Receive) -> None:
        try:
            if visit.scope["path"] not in OPEN:
                self._bearers.check(visit.headers.get("authorization", ""), visit.headers.get("host", ""))
            async with asyncio.timeout(self._patience):
                body = await self._body(visit, receive)
        except TimeoutError:
            late = RequestError("deadline_exceeded", f"the body was not whole within {self._patience:g} seconds")
            await response(late)(visit.scope, receive, visit.send)
            return
        except RequestError as failure:
            await response(failure)(visit.scope, receive, visit.send)
            return
        except _GoneError:
            visit.status = CLIENT_GONE
            return
        await self._answered(visit, body, receive)

    async def _answered(self, visit: "_Visit", body: bytes, receive: Receive) -> None:
        """Run the application, and stop it where the client hangs up: its attempts then leave the line."""
        hanging_up = asyncio.create_task(_hung_up(receive))
        given = False

        async def replay() -> Message:
            nonlocal given
            if not given:
                given = True
                return {"type": "http.request", "body": body, "more_body": False}
            await asyncio.shield(hanging_up)
            return {"type": "http.disconnect"}

        answering = asyncio.ensure_future(self._app(visit.scope, replay, visit.send))
        try:
            # one deadline to be judged, one to take the answer: a client that does not read is let go
            most = 2 * self._patience
            await asyncio.wait({answering, hanging_up}, timeout=most, return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                answering.cancel()
                visit.status = CLIENT_GONE
                await asyncio.wait({answering})
            if not answering.cancelled():
                answering.result()  # raises what it raised
        finally:
            answering.cancel()
            hanging_up.cancel()

    async def _body(self, visit: "_Visit", receive: Receive) -> bytes:
        """The whole body. Raises RequestError where it is longer than what is taken, or all bodies together are."""
        told = visit.headers.get("content-length", "")
        if told.isdigit() and int(told) > self._max_body:
            raise RequestError("too_large", f"a body of {told} bytes; {self._max_body} are taken")
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _GoneError
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            visit.held += len(parts[-1])
            self._held += len(parts[-1])
            if self._held > self._max_held:
                raise RequestError("too_busy", "the requests under way are too long together; try again in 1 s", 1)
            if size > self._max_body:
                raise RequestError("too_large", f"a body of more than {self._max_body} bytes")
            if not message.get("more_body", False):
                return b"".join(parts)

    def _account(self, visit: "_Visit") -> None:
        seconds = time.perf_counter() - visit.started
        route = getattr(visit.scope.get("route"), "path", _ELSEWHERE)
        self._gauges.requests.labels(route, visit.status).inc()
        self._gauges.seconds.labels(route).observe(seconds)
        told = {
            "request_id": visit.request_id,
            "method": visit.scope["method"],
            "path": visit.scope["path"],
            "status": visit.status,
            "seconds": round(seconds, 4),
            **visit.scope["state"].get("told", {}),
        }
        log.info("request", extra={"told": told})


class _Visit:
    """One request, and what was answered."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.scope = scope
        self.headers = Headers(scope=scope)
        given = self.headers.get(REQUEST_ID, "")
        self.request_id = given if _ID.fullmatch(given) else uuid.uuid4().hex
        self.started = time.perf_counter()
        scope["state"] = {**scope.get("state", {}), "request_id": self.request_id, "started": self.started}
        self.status = 500
        self.held = 0
        """Bytes of its body that are here."""
        self.has_begun = False
        """Whether an answer is under way."""
        self._send = send

    async def send(self, message: Message) -> None:
        """Pass the answer on, with the request's id."""
        if message["type"] == "http.response.start":
            self.has_begun = True
            self.status = message["status"]
            MutableHeaders(scope=message)[REQUEST_ID] = self.request_id
        await self._send(message)


def give_back_memory() -> None:
    """Ask the C library to; others than glibc have no such call, and need none."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
