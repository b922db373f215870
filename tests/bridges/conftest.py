"""The servers that the bridges' tests share."""

from collections.abc import Iterator

import pytest

from tests.bridges.servers import PYTHON, Process, Stub, real


@pytest.fixture(scope="session")
def server() -> Iterator[Process]:
    """The real server, in the environment that holds it."""
    if not PYTHON.exists():
        pytest.skip("no environment with the server: make test-bridges makes it")
    with real() as process:
        yield process


@pytest.fixture
def stub() -> Iterator[Stub]:
    """A server that counts its requests and does not lie."""
    with Stub() as found:
        yield found
