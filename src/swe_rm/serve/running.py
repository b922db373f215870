"""A server from its first request to SIGTERM: what was accepted is finished, and the exit code is 0."""

import logging
import math
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from swe_rm.errors import SweRmError
from swe_rm.serve.app import build
from swe_rm.serve.bearer import Bearers, check_address
from swe_rm.serve.request_log import log_to_stderr
from swe_rm.serve.settings import Settings
from swe_rm.serve.stop_signals import stop_signals
from swe_rm.verdict import Verifier

FORCED = 130
"""The exit code of a second SIGINT: a shell's for what was interrupted."""
BACKLOG = 2048
"""Connections that wait to be accepted."""

log = logging.getLogger("swe_rm.serve")


def run(verifier: Verifier, settings: Settings, bearers: Bearers) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises SweRmError for an address that others can reach without tokens, or that cannot be listened on.

    What was accepted is waited for as long as a request may take; a second SIGINT does not wait. A verifier that is
    still at work then is left, and the process with it.
    """
    check_address(settings.host, bearers)
    app = build(verifier, settings, bearers)
    listener = listening(settings.host, settings.port)
    log_to_stderr()
    log.info("running on http://%s:%d", settings.host, listener.getsockname()[1])
    config = uvicorn.Config(
        app,
        backlog=BACKLOG,
        log_config=None,
        access_log=False,  # the doorway writes a better one
        ws="none",
        server_header=False,
        lifespan="on",
        timeout_graceful_shutdown=math.ceil(settings.deadline) + 1,
    )
    server = _Quiet(config)
    server.run([listener])
    if server.force_exit or app.engine.is_busy:
        logging.shutdown()
        os._exit(FORCED if server.force_exit else 0)  # python would wait for the verifier's thread, maybe for ever


def listening(host: str, port: int) -> socket.socket:
    """A socket at that address. Raises SweRmError where there can be none."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except OSError as error:
        raise SweRmError(f"{host}:{port} cannot be listened on: {error.strerror or error}") from None


class _Quiet(uvicorn.Server):
    """uvicorn's server, which once it has stopped would send itself the signal it was stopped by."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Let SIGTERM and SIGINT ask for the end."""
        with stop_signals(self.handle_exit):
            yield
