"""Asking over HTTP: what is tried again, for how long, and what an error says."""

import gzip
import socket
import threading
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from socketserver import StreamRequestHandler, ThreadingTCPServer

import pytest

from swe_rm.errors import VerifierError
from swe_rm.verifiers.remote import asking as asking_module
from swe_rm.verifiers.remote.asking import (
    Asker,
    EngineAnswerError,
    EngineDownError,
    EngineRefusedError,
    Http,
    Patience,
    Reply,
    UnreachableError,
    words,
)
from swe_rm.verifiers.remote.stand_in import StandIn
from tests.engines import Clock, asking, scripted

GOOD = Reply(200, b'{"x": 1}')


@pytest.mark.parametrize("bad", ["refused", Reply(503, b""), Reply(429, b""), Reply(500, b"oops"), Reply(408, b"")])
def test_what_another_try_may_mend_is_tried_again(bad: Reply | str) -> None:
    ask, clock, carried = asking(bad, bad, GOOD)
    assert ask.post("/p", {"a": [1]}) == {"x": 1}
    assert [body for _, _, body in carried] == [b'{"a":[1]}'] * 3
    assert len(clock.slept) == 2


@pytest.mark.parametrize("status", [301, 400, 401, 404, 413, 422])
def test_a_refusal_is_final_and_has_the_servers_words(status: int) -> None:
    ask, clock, carried = asking(Reply(status, b'{"error": {"message": "no such\\nmodel"}}'))
    with pytest.raises(EngineRefusedError, match=f"http://engine/p: status {status}: no such model") as caught:
        ask.post("/p", {})
    assert caught.value.status == status
    assert (len(carried), clock.slept) == (1, [])


def test_an_engine_that_stays_down_is_an_error_after_so_many_tries() -> None:
    ask, _, carried = asking(*["Connection refused"] * 9)
    with pytest.raises(EngineDownError, match="Connection refused, after 3 tries") as caught:
        ask.get("/p")
    assert isinstance(caught.value, VerifierError)
    assert len(carried) == 3


def test_pauses_double_up_to_the_longest_and_end_before_the_deadline() -> None:
    patience = Patience(tries=50, deadline=60, pause=1, longest_pause=8)
    ask, clock, _ = asking(*["down"] * 50, patience=patience)
    with pytest.raises(EngineDownError):
        ask.get("/p")
    for number, slept in enumerate(clock.slept):
        assert 0.5 * min(2**number, 8) <= slept <= min(2**number, 8)
    assert 40 < clock.now <= 60


def test_a_server_that_says_when_is_heard() -> None:
    ask, clock, _ = asking(Reply(429, b"", retry_after=3.0), GOOD)
    ask.get("/p")
    assert clock.slept == [3.0]


def test_one_that_is_down_is_not_waited_for_anew_by_each_question() -> None:
    patience = Patience(tries=50, deadline=20, pause=1, longest_pause=8)
    ask, clock, carried = asking(*["down"] * 60, patience=patience)
    with pytest.raises(EngineDownError):
        ask.get("/1")
    for path in ("/2", "/3", "/4", "/5"):
        with pytest.raises(EngineDownError):
            ask.get(path)
    assert clock.now <= 20
    assert len(carried) < 20, "six tries and more for each, where each waits anew"


def test_an_answer_ends_the_waiting_time() -> None:
    patience = Patience(tries=50, deadline=20, pause=1, longest_pause=8)
    ask, clock, _ = asking("down", GOOD, *["down"] * 3, GOOD, patience=patience)
    ask.get("/1")
    clock.now += 100
    assert ask.get("/2") == {"x": 1}


@pytest.mark.parametrize("data", [b"", b"<html>busy</html>", b'{"x": NaN}', b'{"x": '])
def test_an_answer_that_is_no_json_is_an_error(data: bytes) -> None:
    ask, _, _ = asking(Reply(200, data))
    with pytest.raises(EngineAnswerError, match="no JSON"):
        ask.get("/p")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'{"detail": "busy"}', "busy"),
        (b'{"message": "a\\u0007b"}', "a b"),
        (b"[1]", "[1]"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"", "(nothing)"),
        (b'{"error": "' + b"x" * 999 + b'"}', "x" * 200),
    ],
)
def test_a_servers_words_are_one_short_line(data: bytes, said: str) -> None:
    assert words(data) == said


def test_over_real_connections() -> None:
    with StandIn("openai", failures=[503], token="secret" * 4, labels=lambda _: [0.5]) as server:
        ask = Asker(Http(server.url, "secret" * 4), server.url, Patience(pause=0.01))
        body = {"model": "m", "input": "x", "questions": []}
        assert ask.post("/v1/decisions", body)["answers"][0]["probability"] == 0.5
        assert len(server.requests) == 2
        with pytest.raises(EngineRefusedError, match="401"):
            Asker(Http(server.url), server.url).get("/v1/models")


def test_nobody_there_and_too_slow_are_no_answer() -> None:
    with StandIn("openai", seconds=0.5, labels=lambda _: [0.5]) as server:
        carry = Http(server.url)
        with pytest.raises(UnreachableError, match=r"no whole answer within 0\.05 seconds"):
            carry("POST", "/v1/decisions", b'{"model": "m", "input": "x", "questions": []}', 0.05)
    with pytest.raises(UnreachableError, match="ConnectError"):
        Http(server.url)("GET", "/", None, 1.0)


@contextmanager
def answering(data: bytes, *headers: str) -> Iterator[str]:
    """A server that gives each request this body under these headers."""
    whole = "\r\n".join(["HTTP/1.1 200 OK", f"Content-Length: {len(data)}", *headers, "\r\n"]).encode() + data

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            self.request.recv(65_536)
            with suppress(ConnectionError):
                self.wfile.write(whole)

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("packed", [False, True])
def test_an_answer_has_a_largest_size_also_as_unpacked(packed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking_module, "LARGEST", 1 << 20)
    body, headers = b" " * (1 << 20), ["Content-Encoding: gzip"] if packed else []
    for data, fits in ((body, True), (body + b" ", False), (body * 48, False)):
        with answering(gzip.compress(data, 1) if packed else data, *headers) as url:
            ask = Asker(Http(url), url, Patience(tries=5, pause=0))
            tracemalloc.start()
            with pytest.raises(EngineAnswerError, match="no JSON" if fits else f"{url}/p: answers with more than 1 MB"):
                ask.get("/p")
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert fits or peak < 6 << 20, "what is too large is not held"


def test_a_packed_answer_is_unpacked() -> None:
    with answering(gzip.compress(b'{"x": 1}'), "Content-Encoding: GZIP") as url:
        assert Asker(Http(url), url).get("/p") == {"x": 1}


@pytest.mark.parametrize(("coding", "said"), [("gzip", "gzip that cannot be unpacked"), ("br", "answers in 'br'")])
def test_an_answer_that_cannot_be_unpacked_is_an_error(coding: str, said: str) -> None:
    with (
        answering(b"lamp lamp lamp", f"Content-Encoding: {coding}") as url,
        pytest.raises(EngineAnswerError, match=said),
    ):
        Asker(Http(url), url).get("/p")


# --- nobody waits any more --------------------------------------------------------------------------------------------


def test_closing_ends_a_request_under_way() -> None:
    with dripping(b"") as url:
        ask = Asker(Http(url), url, Patience(seconds=60))
        timer = threading.Timer(0.1, ask.close)
        timer.start()
        with pytest.raises(EngineDownError, match=r"withdrawn|nobody waits"):
            ask.get("/p")
        timer.join()
        with pytest.raises(EngineDownError, match="nobody waits"):
            ask.get("/p")


def test_closing_ends_a_pause() -> None:
    carry, carried = scripted(*["down"] * 9)
    ask = Asker(carry, "http://engine", Patience(pause=60, longest_pause=60))
    timer = threading.Timer(0.1, ask.close)
    timer.start()
    with pytest.raises(EngineDownError, match="http://engine/p: not asked any more: nobody waits for the answer"):
        ask.get("/p")
    timer.join()
    assert len(carried) == 1


@contextmanager
def dripping(first: bytes) -> Iterator[str]:
    """A server that sends this at once, and then a byte now and then, for ever."""
    over = threading.Event()

    def drip(listener: socket.socket) -> None:
        wire, _ = listener.accept()
        with wire, suppress(OSError):
            wire.sendall(first)
            while not over.wait(0.02):
                wire.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            over.set()
            thread.join()


@pytest.mark.parametrize(
    "first", [b"", b"HTTP/1.1 200 OK\r\nA: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n"]
)
def test_an_answer_that_only_drips_is_no_answer(first: bytes) -> None:
    with dripping(first) as url, pytest.raises(UnreachableError, match="no whole answer"):
        Http(url)("GET", "/", None, 0.2)


@pytest.mark.parametrize("url", ["http://[", "http://a b:99999999"])
def test_what_is_no_url_is_one_line(url: str) -> None:
    with pytest.raises((VerifierError, UnreachableError)):
        Http(url)("GET", "/", None, 0.2)


def test_a_server_that_wants_other_keys_gets_them() -> None:
    carry, carried = scripted(GOOD)
    extra = {"max_tokens": None, "max_completion_tokens": 9}
    Asker(carry, "http://engine", extra=extra).post("/p", {"model": "m", "max_tokens": 9})
    assert carried[0][2] == b'{"model":"m","max_completion_tokens":9}'


def test_threads_share_one_asker() -> None:
    with StandIn("openai", labels=lambda text: [len(str(text)) / 100]) as server:
        ask = Asker(Http(server.url), server.url)

        def one(length: int) -> bool:
            body = {"model": "m", "input": "x" * length, "questions": []}
            return bool(ask.post("/v1/decisions", body)["answers"][0]["probability"] == length / 100)

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(one, range(60)))
    assert threading.active_count() < 20


def test_the_clock_of_the_tests_moves_by_sleeping_alone() -> None:
    clock = Clock()
    clock.sleep(2)
    assert clock() == 2
