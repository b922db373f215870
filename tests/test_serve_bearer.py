"""Who may ask: with tokens whoever has one, without any this machine alone, and only under its own name."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_rm.errors import SweRmError
from swe_rm.serve.bearer import ENVIRONMENT, Bearers, check_address, read_bearers
from swe_rm.serve.failures import RequestError

FIRST, SECOND = "wick-trimmed-at-dusk", "oil-before-the-night"


def refused(bearers: Bearers, authorization: str, host: str = "lamp.example") -> str:
    with pytest.raises(RequestError) as error:
        bearers.check(authorization, host)
    return error.value.type


def test_each_token_opens_and_nothing_else_does() -> None:
    bearers = Bearers([FIRST, SECOND])
    for token in (FIRST, SECOND):
        bearers.check(f"Bearer {token}", "lamp.example")
        bearers.check(f"bearer  {token} ", "lamp.example")
    for wrong in ("", "Bearer", f"Basic {FIRST}", f"Bearer {FIRST}x", f"Bearer {FIRST[:-1]}", FIRST, "Bearer é\udcff"):
        assert refused(bearers, wrong) == "unauthorized"


@given(st.text(max_size=40))
def test_no_other_text_opens(text: str) -> None:
    if text.strip() not in (FIRST, SECOND):
        assert refused(Bearers([FIRST, SECOND]), f"Bearer {text}") == "unauthorized"


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:8000", "127.8.9.1", "[::1]:8000", "[::1]"])
def test_without_tokens_this_machine_asks_under_its_own_name(host: str) -> None:
    Bearers([]).check("", host)


@pytest.mark.parametrize(
    "host", ["", "lamp.example", "lamp.example:8000", "192.168.0.7:8000", "localhost.example", ":80"]
)
def test_a_name_that_was_made_to_point_here_is_refused(host: str) -> None:
    assert refused(Bearers([]), "", host) == "forbidden_host"


def test_tokens_come_from_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tokens").write_text(f"# of the night shift\n{FIRST}\n\n  {SECOND}  \n")
    monkeypatch.setenv(ENVIRONMENT, "never-read-in-this-test")
    from_file = read_bearers(tmp_path / "tokens")
    monkeypatch.setenv(ENVIRONMENT, f"{FIRST}, {SECOND}")
    for bearers in (from_file, read_bearers(None)):
        bearers.check(f"Bearer {FIRST}", "")
        bearers.check(f"Bearer {SECOND}", "")
        assert refused(bearers, "Bearer never-read-in-this-test") == "unauthorized"
    monkeypatch.delenv(ENVIRONMENT)
    assert not read_bearers(None)


def test_a_file_without_tokens_or_with_weak_ones_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("# nobody\n")
    (tmp_path / "weak").write_text("1234\n")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\xff")
    for name, reason in (
        ("empty", "holds no token"),
        ("weak", "characters"),
        ("bytes", "no tokens"),
        ("no", "no tokens"),
    ):
        with pytest.raises(SweRmError, match=reason):
            read_bearers(tmp_path / name)


def test_an_address_that_others_reach_asks_for_tokens() -> None:
    for host in ("0.0.0.0", "::", "192.168.0.7", "lamp.example", ""):
        with pytest.raises(SweRmError, match="no tokens are configured"):
            check_address(host, Bearers([]))
        check_address(host, Bearers([FIRST]))
    for host in ("127.0.0.1", "::1", "localhost"):
        check_address(host, Bearers([]))
