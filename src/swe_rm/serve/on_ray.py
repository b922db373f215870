"""The same application on Ray Serve: replicas on any number of machines, each with a verifier and a line of its own."""

import logging
import threading
from collections.abc import Mapping
from typing import Any

from swe_rm import ray_session
from swe_rm.errors import MissingExtraError, SweRmError
from swe_rm.score_engines import gpus_each
from swe_rm.serve.bearer import Bearers, check_address
from swe_rm.serve.settings import Settings
from swe_rm.serve.stop_signals import stop_signals
from swe_rm.verifiers import absolute_spec, load_verifier

NAME = "swe-rm"


def application(
    spec: str, settings: Settings, bearers: Bearers, *, replicas: int, gpus: int = 0, options: Mapping[str, Any]
) -> Any:
    """What `ray.serve.run` takes: each replica takes one CPU and so many GPUs.

    The line that is full, the deadline and the cache are each replica's own; a cache file is shared by the replicas of
    one machine. Raises MissingExtraError without Ray Serve.
    """
    serve = _library()
    named = absolute_spec(spec)

    def built() -> Any:
        from swe_rm.serve.app import build

        return build(load_verifier(named, options=options), settings, bearers)

    deployment = serve.deployment(
        name=NAME,
        num_replicas=replicas,
        max_ongoing_requests=settings.max_waiting,  # what is too much the application says by itself
        graceful_shutdown_timeout_s=settings.deadline,
        ray_actor_options={"num_cpus": 1, "num_gpus": gpus},
    )
    return deployment(serve.ingress(built)()).bind()


def run(spec: str, settings: Settings, bearers: Bearers, *, workers: int, options: Mapping[str, Any]) -> None:
    """Serve until SIGTERM or SIGINT, on the cluster that RAY_ADDRESS names or a Ray that is begun here.

    Raises SweRmError where it is too small for the workers, or they cannot begin.
    """
    check_address(settings.host, bearers)
    ray, serve = ray_session.library(), _library()
    stop = threading.Event()
    with ray_session.session(ray, workers), stop_signals(lambda *_: stop.set()):
        gpus = gpus_each(ray, workers)
        app = application(spec, settings, bearers, replicas=workers, gpus=gpus, options=options)
        for name in ("ray.serve", "ray"):
            logging.getLogger(name).setLevel(logging.ERROR)
        serve.start(http_options={"host": settings.host, "port": settings.port})
        try:
            serve.run(app, name=NAME, route_prefix="/", logging_config={"log_level": "ERROR"})
            stop.wait()
        except RuntimeError as error:
            raise SweRmError(f"Ray Serve: the workers cannot begin: {' '.join(str(error).split())}") from None
        finally:
            serve.shutdown()


def _library() -> Any:
    """The module `ray.serve`. Raises MissingExtraError where it is not installed."""
    try:
        from ray import serve
    except ImportError:
        raise MissingExtraError("ray[serve]", "ray") from None
    return serve
