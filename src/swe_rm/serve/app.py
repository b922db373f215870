"""The application: the routes of every protocol around one engine, behind one doorway."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.exceptions import HTTPException

import swe_rm
from swe_rm.serve import failures
from swe_rm.serve.asking import FAILURES
from swe_rm.serve.bearer import Bearers
from swe_rm.serve.cache import Cache
from swe_rm.serve.document import describe
from swe_rm.serve.doorway import Doorway
from swe_rm.serve.engine import Engine
from swe_rm.serve.routes import chat, decisions, nemo_gym, openhands, openrlhf, operations, own, progress, slime
from swe_rm.serve.settings import Settings
from swe_rm.verdict import Verifier, judges_together, reads_origin

ROUTERS = (own, progress, decisions, openrlhf, slime, nemo_gym, openhands, chat, operations)
"""One a protocol, in the order of the OpenAPI document."""


def build(verifier: Verifier, settings: Settings, bearers: Bearers) -> Doorway:
    """The ASGI application. Raises SweRmError where the cache cannot be one."""
    by_content = not judges_together(verifier) and not reads_origin(verifier)
    cache = Cache(settings.cache, verifier.name) if settings.cache and by_content else None
    engine = Engine(verifier, settings, cache)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        engine.start()
        yield
        await engine.close()

    app = FastAPI(
        title="swe-rm",
        version=swe_rm.__version__,
        description="Did this attempt resolve its issue? Verdicts of one verifier, in the protocols of its callers.",
        lifespan=lifespan,
        redirect_slashes=False,  # to an address made of the Host header, and with no body
        docs_url=None,  # both pages load scripts from elsewhere
        redoc_url=None,
        responses=FAILURES,
    )
    app.state.engine = engine
    describe(app)
    for protocol in ROUTERS:
        app.include_router(protocol.router)
    app.add_exception_handler(failures.RequestError, failures.answer_failure)
    app.add_exception_handler(HTTPException, failures.answer_http_error)
    app.add_exception_handler(Exception, failures.answer_bug)
    return Doorway(app, bearers, settings, engine)
