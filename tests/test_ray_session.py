"""A Ray cluster that is not there is one line, at once."""

import socket

import pytest

from swe_rm.errors import SweRmError
from swe_rm.ray_session import library, session


def closed_port() -> int:
    """One that nothing listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "ray://127.0.0.1:{}"])
def test_an_address_where_nothing_answers_is_refused(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", form.format(closed_port()))
    with pytest.raises(SweRmError, match="no Ray cluster answers at"), session(library(), 1):
        pass


def test_an_address_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "somewhere:else")
    with pytest.raises(SweRmError, match="is not HOST:PORT"), session(library(), 1):
        pass
