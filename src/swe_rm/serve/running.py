"""A server from its first request to SIGTERM: what was accepted is finished, and the exit code is 0."""

from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from swe_rm.serve.app import build
from swe_rm.serve.bearer import Bearers, check_address
from swe_rm.serve.request_log import log_to_stderr
from swe_rm.serve.settings import Settings
from swe_rm.serve.stop_signals import stop_signals
from swe_rm.verdict import Verifier

BACKLOG = 2048
"""Connections that wait to be accepted."""


def run(verifier: Verifier, settings: Settings, bearers: Bearers) -> None:
    """Serve until SIGTERM or SIGINT. Raises SweRmError for an address that others can reach without tokens.

    A second SIGINT does not wait for what was accepted.
    """
    check_address(settings.host, bearers)
    app = build(verifier, settings, bearers)
    log_to_stderr()
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        backlog=BACKLOG,
        log_config=None,
        access_log=False,  # the doorway writes a better one
        ws="none",
        server_header=False,
        lifespan="on",
    )
    _Quiet(config).run()


class _Quiet(uvicorn.Server):
    """uvicorn's server, which once it has stopped would send itself the signal it was stopped by."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Let SIGTERM and SIGINT ask for the end."""
        with stop_signals(self.handle_exit):
            yield
