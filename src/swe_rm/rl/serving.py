"""A verifier served from this process, on a port of its own, for as long as it is needed."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from swe_rm.errors import SweRmError
from swe_rm.serve import check_installed
from swe_rm.verdict import Verifier

_HOST = "127.0.0.1"
_PATIENCE = 30.0
"""Seconds until it answers."""


@contextmanager
def served(verifier: Verifier) -> Iterator[str]:
    """The URL it answers at.

    Raises MissingExtraError without the server's packages, SweRmError when it does not begin.
    """
    check_installed()
    import uvicorn

    from swe_rm.serve.app import build
    from swe_rm.serve.bearer import Bearers
    from swe_rm.serve.running import listening
    from swe_rm.serve.settings import Settings

    app = build(verifier, Settings(host=_HOST, port=0), Bearers([]))
    with listening(_HOST, 0) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, ws="none", lifespan="on"))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            until = time.monotonic() + _PATIENCE
            while not server.started:
                if not thread.is_alive() or time.monotonic() > until:
                    raise SweRmError(f"{verifier.name} could not be served on {_HOST}")
                time.sleep(0.01)
            yield f"http://{_HOST}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(_PATIENCE)
