"""A Ray to work on: the one this process has begun, the cluster that RAY_ADDRESS names, or one begun here."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from swe_rm.errors import MissingExtraError, SweRmError


def library() -> Any:
    """The module `ray`, with `ray.data`. Raises MissingExtraError where it is not installed."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ImportError:
        raise MissingExtraError("ray", "ray") from None
    return ray


@contextmanager
def session(ray: Any, workers: int) -> Iterator[None]:
    """A Ray that answers; one that is begun or joined here (RAY_ADDRESS, else `workers` CPUs) is left at the end.

    Raises SweRmError where no cluster answers at RAY_ADDRESS.
    """
    started = not ray.is_initialized()
    if started:
        _begin(ray, workers)
    try:
        logging.getLogger("ray.data").setLevel(logging.ERROR)  # it reports each execution; commands show their own
        ray.data.DataContext.get_current().enable_progress_bars = False
        yield
    finally:
        if started:
            ray.shutdown()


PATIENCE = 10
"""Seconds for a cluster to take a connection; Ray itself tries for more than 100."""


def _begin(ray: Any, workers: int) -> None:
    if address := os.environ.get("RAY_ADDRESS"):
        try:
            _knock(address)
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except OSError:
            raise SweRmError(f"no Ray cluster answers at {address} (RAY_ADDRESS)") from None
    else:
        ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)


def _knock(address: str) -> None:
    """Raises OSError where nothing takes a connection at HOST:PORT; `auto` and `local` name no host."""
    at = urlsplit(address if "://" in address else f"ray://{address}")
    try:
        port = at.port
    except ValueError:
        raise SweRmError(f"{address} (RAY_ADDRESS) is not HOST:PORT") from None
    if at.hostname and port:
        socket.create_connection((at.hostname, port), PATIENCE).close()
