"""For those who run the server: whether it lives, whether it takes requests, its metrics, and a page to try it."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from swe_rm.serve.asking import answer, engine_of
from swe_rm.serve.gauges import CONTENT_TYPE
from swe_rm.serve.start_page import POLICY, start_page
from swe_rm.trajectory import Noun

router = APIRouter(tags=["operations"])


class Health(Noun):
    """The answer of /healthz."""

    alive: bool


class Readiness(Noun):
    """The answer of /readyz."""

    ready: bool
    verifier: str
    waiting: int
    """Attempts in the line and at work."""
    cache: str
    """`off`, `on`, or what is wrong with it; the server goes on without it."""


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", responses={200: {"model": Health}, 503: {"model": Health}})
async def healthz(request: Request) -> Response:
    """Whether the process answers and its batches go on; 503 means that it must be begun anew."""
    alive = engine_of(request).is_working
    response = answer({"alive": alive})
    response.status_code = 200 if alive else 503
    return response


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", responses={200: {"model": Readiness}, 503: {"model": Readiness}})
async def readyz(request: Request) -> Response:
    """Whether another attempt would be taken; 503 where not."""
    engine = engine_of(request)
    cache = "off" if engine.cache is None else engine.cache.trouble or "on"
    ready = engine.is_working and not engine.is_full
    found = {"ready": ready, "verifier": engine.verifier.name, "waiting": engine.n_held, "cache": cache}
    response = answer(found)
    response.status_code = 200 if ready else 503
    return response


@router.get("/metrics", responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}})
async def metrics(request: Request) -> Response:
    """The metrics, as Prometheus reads them."""
    return Response(engine_of(request).gauges.text(), headers={"Content-Type": CONTENT_TYPE})


@router.head("/", include_in_schema=False)
@router.get("/", responses={200: {"content": {"text/html": {"schema": {"type": "string"}}}}})
async def start(request: Request) -> Response:
    """A page with a form: paste or drop an attempt and see its verdict."""
    headers = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
    return Response(start_page(engine_of(request).verifier.name), headers=headers, media_type="text/html")
