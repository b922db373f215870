"""A verifier over HTTP: everything of `swe-rm serve`.

Its modules import FastAPI, uvicorn and prometheus-client as they are loaded, so only `verbs.serve` loads them, when it
runs; `check_installed` says first whether they are there.
"""

from importlib.util import find_spec

from swe_rm.errors import MissingExtraError


def check_installed() -> None:
    """Raises MissingExtraError where a package of the extra is not installed."""
    for package in ("fastapi", "uvicorn", "prometheus_client"):
        if find_spec(package) is None:
            raise MissingExtraError(package.replace("_", "-"), "serve")
