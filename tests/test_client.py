"""The client: every failure is an exception or None and is counted, nothing is lost or swapped, nothing is imported."""

import ast
import asyncio
import functools
import json
import os
import pickle
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_rm import client as module
from swe_rm.client import (
    BadAnswer,
    Busy,
    Client,
    ClientError,
    Deadline,
    Failed,
    Refused,
    Unreachable,
    Unscored,
    attempt,
    attempt_of,
)
from tests.bridges.servers import LIES, Stub, free_port, honest, patch, said, wanted

FILE = Path(module.__file__)
Ask = Callable[[Client, list[Any]], list[float]]


def row(number: int, task: int = 1) -> dict[str, Any]:
    return attempt(said(number, task), patch=patch(number), instance_id=f"tinkers__lantern-{task}")


def sync(client: Client, attempts: list[Any]) -> list[float]:
    return client.score(attempts)


def on_a_loop(client: Client, attempts: list[Any]) -> list[float]:
    return asyncio.run(client.ascore(attempts))


BOTH = pytest.mark.parametrize("ask", [sync, on_a_loop])


@pytest.fixture(scope="module")
def stub() -> Iterator[Stub]:
    with Stub() as server:
        yield server


@BOTH
def test_a_group_is_one_request_and_each_attempt_gets_its_own_score(stub: Stub, ask: Ask) -> None:
    before = len(stub.requests)
    client = Client(stub.url)
    assert ask(client, [row(number) for number in (7, 900, 7, 1)]) == [0.007, 0.9, 0.007, 0.001]
    assert len(stub.requests) == before + 1
    assert client.failures == {}
    assert client.verifier == "numbered@1"


@BOTH
def test_nothing_asked_is_nothing_sent(ask: Ask) -> None:
    assert ask(Client(f"http://127.0.0.1:{free_port()}"), []) == []


@BOTH
@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_never_a_number(ask: Ask, lie: str) -> None:
    known = "numbered@1" if lie == "of another verifier" else None
    with Stub(LIES[lie]) as server:
        client = Client(server.url, verifier=known)
        with pytest.raises(BadAnswer):
            ask(client, [row(1), row(2)])
        assert client.failures == {"BadAnswer": 2}
        assert client.score_or_none([row(1), row(2)]) == [None, None]
        assert asyncio.run(client.ascore_or_none([row(1), row(2)])) == [None, None]
        assert client.failures == {"BadAnswer": 6}


@BOTH
@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"no HTTP at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{",
    ],
)
def test_an_answer_that_is_not_whole_is_asked_for_again(ask: Ask, raw: bytes) -> None:
    with Stub(raw=raw) as server:
        client = Client(server.url, tries=2)
        with pytest.raises(Unreachable):
            ask(client, [row(1)])
        assert client.failures == {"retry": 1, "Unreachable": 1}


@pytest.mark.parametrize("text", ["<html>a proxy's page</html>", "", "[" * 100_000, '{"verdicts": [{"score": 0.5}]}'])
def test_an_answer_of_another_kind_is_no_answer(text: str) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(text)}\r\n\r\n"
    with Stub(raw=head.encode() + text.encode()) as server, pytest.raises(BadAnswer):
        Client(server.url).score([row(1)])


def test_chunks_are_put_together() -> None:
    def chunked(body: bytes) -> bytes:
        parts = [body[at : at + 7] for at in range(0, len(body), 7)]
        return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"

    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with Stub(raw=head + chunked(json.dumps(honest([{}])).encode())) as server:
        assert Client(server.url).score(["a text"]) == [0.5]


@BOTH
@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_what_another_try_may_mend_gets_one(ask: Ask, status: int) -> None:
    with Stub(statuses=[status]) as server:
        client = Client(server.url)
        assert ask(client, [row(3)]) == [0.003]
        assert client.failures == {"retry": 1}
        assert server.requests[0] == server.requests[1], "the same names: a cache knows them again"


@pytest.mark.parametrize(
    ("status", "kind"), [(429, Busy), (408, Busy), (503, Failed), (500, Failed), (401, Refused), (413, Refused)]
)
def test_what_it_does_not_mend_has_a_type(status: int, kind: type[ClientError]) -> None:
    with Stub(statuses=[status] * 9) as server:
        client = Client(server.url, tries=2)
        with pytest.raises(kind, match=f"status {status}: made to fail"):
            client.score([row(1), row(2)])
        assert client.failures[kind.__name__] == 2
        assert len(server.requests) == (1 if kind is Refused else 2)


def test_it_comes_again_when_the_server_says_and_not_at_all_where_that_is_too_late() -> None:
    with Stub(statuses=[429], retry_after="1") as server:
        started = time.monotonic()
        assert Client(server.url).score([row(1)]) == [0.001]
        assert time.monotonic() - started >= 1
    with Stub(statuses=[429], retry_after="60") as server:
        with pytest.raises(Busy):
            Client(server.url, deadline=5).score([row(1)])
        assert len(server.requests) == 1
    with Stub(statuses=[503], retry_after="Sun, 22 Nov 2026 03:00:00 GMT") as server:
        assert Client(server.url).score([row(1)]) == [0.001]


@BOTH
def test_nobody_there(ask: Ask) -> None:
    client = Client(f"http://127.0.0.1:{free_port()}", tries=2)
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1"):
        ask(client, [row(1)])
    assert client.failures == {"retry": 1, "Unreachable": 1}
    with pytest.raises(Unreachable):
        ask(Client("http://nowhere.invalid", tries=1), [row(1)])


@BOTH
def test_a_server_that_is_too_slow(ask: Ask) -> None:
    with Stub(seconds=3) as server:
        client = Client(server.url, deadline=0.3)
        started = time.monotonic()
        with pytest.raises(Deadline):
            ask(client, [row(1)])
        assert time.monotonic() - started < 3
        assert client.failures == {"Deadline": 1}


@BOTH
@pytest.mark.parametrize("word", [b"x", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b""])
def test_a_server_that_dribbles_or_does_not_read(ask: Ask, word: bytes) -> None:
    """It sends a byte now and then for ever, so no single wait is long; or it takes a long body and never reads."""
    done = threading.Event()

    def dribble(listening: socket.socket) -> None:
        link, _ = listening.accept()
        with link:
            while word and not done.wait(0.05):
                link.sendall(word[:1])
            done.wait(5)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=dribble, args=(listening,))
        thread.start()
        big = attempt(said(1), patch="+x\n" * (10 if word else 4_000_000))
        started = time.monotonic()
        with pytest.raises(ClientError):
            ask(Client(f"http://127.0.0.1:{listening.getsockname()[1]}", deadline=0.5, tries=1), [big])
        assert time.monotonic() - started < 4
        done.set()
        thread.join()


@BOTH
@pytest.mark.parametrize("tears", [False, True])
def test_an_answer_that_is_whole_is_taken_though_the_link_is_not_ended(ask: Ask, stub: Stub, tears: bool) -> None:
    done = threading.Event()

    def answer(listening: socket.socket) -> None:
        link, _ = listening.accept()
        with link, socket.create_connection(("127.0.0.1", int(stub.url.rpartition(":")[2]))) as onward:
            onward.sendall(link.recv(1 << 20))
            link.sendall(onward.recv(1 << 20))
            if tears:
                link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                done.wait(5)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer, args=(listening,))
        thread.start()
        client = Client(f"http://127.0.0.1:{listening.getsockname()[1]}", deadline=4, tries=1)
        assert ask(client, [row(9)]) == [0.009]
        done.set()
        thread.join()


def test_a_name_that_nobody_resolves_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    done = threading.Event()
    monkeypatch.setattr(module.socket, "getaddrinfo", lambda *_, **__: done.wait(20))
    with pytest.raises(Deadline):
        Client("http://lamp.example", deadline=0.2).score([row(1)])
    done.set()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # which is the point
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_fork_does_not_inherit_a_lock_that_is_held(stub: Stub) -> None:
    client = Client(stub.url)
    client.verifier = None
    with client._lock:
        child = os.fork()
        if not child:
            signal.alarm(20)  # a child that hangs is ended
            os._exit(0 if client.score([row(9)]) == [0.009] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@BOTH
def test_a_length_beyond_numbers_is_no_answer(ask: Ask) -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 40 + b"\r\n\r\n{}"
    with Stub(raw=raw) as server, pytest.raises(Unreachable):
        ask(Client(server.url, tries=1, deadline=5), [row(1)])


def test_one_attempt_is_not_taken_for_several(stub: Stub) -> None:
    for one in ("a text", row(1)):
        with pytest.raises(TypeError, match="a list of attempts"):
            Client(stub.url).score(one)  # type: ignore[arg-type]


def test_the_environment_may_say_whose_scores_are_taken(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWE_RM_VERIFIER", "other@9")
    with pytest.raises(BadAnswer, match="other@9 is expected"):
        Client(stub.url).score([row(1)])


def test_an_answer_without_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LONGEST_REPLY", 1000)
    with (
        Stub(raw=b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 200_000) as server,
        pytest.raises(Unreachable, match="1000 bytes"),
    ):
        Client(server.url, tries=1).score([row(1)])


def test_a_server_begun_anew_is_waited_for(stub: Stub) -> None:
    """Nobody listens at first; then the port is there."""
    port = free_port()

    def later() -> None:
        time.sleep(0.6)
        with socket.create_server(("127.0.0.1", port)) as listening:
            link, _ = listening.accept()
            link.close()  # hangs up on the first
            link, _ = listening.accept()
            with link, socket.create_connection(("127.0.0.1", int(stub.url.rpartition(":")[2]))) as onward:
                onward.sendall(link.recv(1 << 20))
                link.sendall(onward.recv(1 << 20))

    thread = threading.Thread(target=later)
    thread.start()
    client = Client(f"http://127.0.0.1:{port}")
    assert client.score([row(9)]) == [0.009]
    assert client.failures["retry"] >= 2
    thread.join()


def test_one_begun_anew_with_another_verifier_is_found_out() -> None:
    names = iter(["first@1", "second@1"])
    with Stub(lambda told: {**told, "verifier": next(names)}) as server:
        client = Client(server.url)
        assert client.score([row(1)]) == [0.001]
        with pytest.raises(BadAnswer, match=r"second@1; first@1 is expected"):
            pickle.loads(pickle.dumps(client)).score([row(1)])


def test_some_without_a_score(stub: Stub) -> None:
    def first_unscored(told: dict[str, Any]) -> dict[str, Any]:
        first, *rest = told["verdicts"]
        reason = {"attempt": first.get("attempt"), "reason": "too long\nby far"}
        refused = {"file": "attempt 2", "record": "", "reason": "neither patch nor turns"}
        return {**told, "verdicts": rest[1:], "unscored": [reason], "refused": [refused]}

    with Stub(first_unscored) as server:
        client = Client(server.url)
        with pytest.raises(Unscored, match="2 of 3 attempts; number 1: too long by far") as caught:
            client.score([row(1), row(2), row(3)])
        assert caught.value.scores == [None, None, 0.003]
        assert caught.value.reasons == {0: "too long by far", 1: "neither patch nor turns"}
        assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
        assert client.failures == {"Unscored": 2}
        assert client.score_or_none([row(1), row(2), row(3)]) == [None, None, 0.003]
        # without names it cannot be told whose the one score is
        assert client.score_or_none(["one", "two", "three"]) == [None, None, None]


def test_none_that_could_be_read() -> None:
    with Stub(statuses=[422]) as server, pytest.raises(Unscored, match="2 of 2"):
        Client(server.url).score([row(1), row(2)])


def test_texts_and_other_formats_keep_their_order(stub: Stub) -> None:
    native = {"info": {"submission": "", "exit_status": "Submitted"}, "messages": said(40)}
    assert Client(stub.url).score(["a text: try 8", native, row(2)]) == [0.008, 0.04, 0.002]
    assert "run" not in stub.requests[-1][1]


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=12), st.randoms())
def test_scores_come_back_in_order_whatever_the_servers(numbers: list[int], chance: Any) -> None:
    def shuffled(rows: list[dict[str, Any]]) -> dict[str, Any]:
        told = honest(rows)
        chance.shuffle(told["verdicts"])
        return told

    rows = [{**row(number), "run": f"name-{at}"} for at, number in enumerate(numbers)]
    found, verifier = module._placed(shuffled(rows), rows)
    assert [found[at] for at in range(len(numbers))] == [wanted(number) for number in numbers]
    assert verifier == "numbered@1"


def test_a_thousand_at_once_on_a_loop(stub: Stub) -> None:
    client = Client(stub.url)

    async def all_of_them() -> list[list[float]]:
        return await asyncio.gather(*(client.ascore([row(number), row(1000 - number)]) for number in range(1000)))

    assert asyncio.run(all_of_them()) == [[wanted(number), wanted(1000 - number)] for number in range(1000)]


def test_many_threads_share_one(stub: Stub) -> None:
    client = Client(stub.url)
    with ThreadPoolExecutor(50) as pool:
        found = list(pool.map(lambda number: client.score([row(number)]), range(300)))
    assert found == [[wanted(number)] for number in range(300)]


def test_loops_of_their_own_share_one(stub: Stub) -> None:
    client = Client(stub.url)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: asyncio.run(client.ascore([row(number)])), range(40)))
    assert found == [[wanted(number)] for number in range(40)]
    assert len(client._turns) <= 8


def test_who_stops_waiting_leaves_nothing_behind(stub: Stub) -> None:
    async def cancelled() -> None:
        with Stub(seconds=5) as slow:
            asking = asyncio.create_task(Client(slow.url).ascore([row(1)]))
            await asyncio.sleep(0.2)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking

    asyncio.run(cancelled())


def test_it_travels_to_other_processes(stub: Stub) -> None:
    client = Client(stub.url, deadline=7, token="told")
    client.score_or_none([row(1)])
    copy = pickle.loads(pickle.dumps(client))
    assert (copy.url, copy.deadline, copy.failures) == (client.url, 7, {})
    with get_context("spawn").Pool(1) as pool:
        assert pool.apply(functools.partial(client.score, [row(5)])) == [0.005]


def test_the_environment_says_where_and_who(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWE_RM_URL", stub.url)
    monkeypatch.setenv("SWE_RM_TOKEN", "of the environment")
    assert Client().score([row(1)]) == [0.001]
    assert stub.headers[-1]["Authorization"] == "Bearer of the environment"
    assert float(stub.headers[-1]["X-Deadline-Seconds"]) <= 100
    Client(token="its own").score([row(1)])
    assert stub.headers[-1]["Authorization"] == "Bearer its own"
    Client(token="").score([row(1)])
    assert "Authorization" not in stub.headers[-1]


NO_URLS = ["", "127.0.0.1:8000", "ftp://x", "http://", "http://user:secret@x", "http://x\r\nHost: y", "http://x:99999"]


@pytest.mark.parametrize("url", [*NO_URLS, "http://a..b"])
def test_what_is_no_url_is_refused_at_once(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SWE_RM_URL", raising=False)
    with pytest.raises(ValueError):  # noqa: PT011  # the port's is urllib's own
        Client(url)


@pytest.mark.parametrize("wrong", [{"deadline": 0}, {"deadline": float("nan")}, {"tries": 0}, {"token": "a\r\nb"}])
def test_what_makes_no_sense_is_refused_at_once(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"deadline|ASCII"):
        Client("http://x", **wrong)


@BOTH
def test_over_tls(ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    files = [str(tmp_path / name) for name in ("key.pem", "certificate.pem")]
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run(
        [*make, "-addext", "subjectAltName=DNS:localhost", "-keyout", files[0], "-out", files[1]],
        check=True,
        capture_output=True,
    )
    with Stub() as server:
        keys = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        keys.load_cert_chain(files[1], files[0])
        server.over_tls(keys)
        client = Client(server.url, tries=1)
        with pytest.raises(Unreachable, match="certificate verify failed"):
            ask(client, [row(4)])
        monkeypatch.setattr(module, "_tls", lambda: ssl.create_default_context(cafile=files[1]))
        assert ask(client, [row(4)]) == [0.004]


def test_a_prefix_and_a_slash_in_the_url(stub: Stub) -> None:
    assert Client(f"{stub.url}/").score([row(1)]) == [0.001]
    assert Client(f"{stub.url}/behind/a/proxy/")._path == "/behind/a/proxy/v1/score"


def test_attempts_of_one_task_meet_and_the_solution_is_not_looked_at() -> None:
    one, other = attempt(said(1)), attempt(said(2))
    assert one["instance_id"] == other["instance_id"] != attempt(said(1, task=2))["instance_id"]
    carried = {"messages": said(1), "patch": "the solution", "model_patch": "its own", "instance_id": "a__b-1"}
    assert attempt_of(carried) == attempt(said(1), patch="its own", instance_id="a__b-1")
    with pytest.raises(KeyError):
        attempt_of({"patch": "the solution"})


def test_numbers_and_lists_of_numpy_are_sent_as_they_are(stub: Stub) -> None:
    numpy = pytest.importorskip("numpy")
    messages = numpy.array(said(6), dtype=object)
    assert Client(stub.url).score([attempt(messages)]) == [0.006]
    with pytest.raises(TypeError, match="set is no JSON"):
        Client(stub.url).score([attempt([{"role": "user", "content": {1}}])])
    with pytest.raises(ValueError, match="JSON"):
        Client(stub.url).score([attempt([{"role": "user", "content": float("nan")}])])


def test_it_imports_the_standard_library_alone() -> None:
    imported = set()
    for node in ast.walk(ast.parse(FILE.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert imported
    assert imported <= set(sys.stdlib_module_names)


BY_PATH = """
import asyncio, importlib.util, pickle, sys
spec = importlib.util.spec_from_file_location("client", sys.argv[1])
module = importlib.util.module_from_spec(spec)
sys.modules["client"] = module
spec.loader.exec_module(module)
client = pickle.loads(pickle.dumps(module.Client(sys.argv[2])))
row = module.attempt([{"role": "assistant", "content": "try 12"}])
assert client.score([row]) == asyncio.run(client.ascore([row])) == [0.012]
late = module.Client(sys.argv[2], deadline=1e-9)
assert late.score_or_none([row]) == asyncio.run(late.ascore_or_none([row])) == [None]
down = module.Client("http://127.0.0.1:9", tries=1)
assert down.score_or_none([row]) == asyncio.run(down.ascore_or_none([row])) == [None]
assert (late.failures, down.failures) == ({"Deadline": 2}, {"Unreachable": 2}), (late.failures, down.failures)
print(sys.version_info[:2])
"""


@pytest.mark.parametrize("minor", range(10, 15))
def test_it_runs_by_path_on_other_pythons(minor: int, stub: Stub, tmp_path: Path) -> None:
    found = [path for path in (Path.home() / ".pyenv" / "versions").glob(f"3.{minor}.*/bin/python") if path.exists()]
    found += [Path(path) for path in [shutil.which(f"python3.{minor}")] if path]
    for python in found:
        command = [str(python), "-I", "-W", "error", "-c", BY_PATH, str(FILE), stub.url]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        if "(3, " in done.stdout:
            assert done.returncode == 0, done.stderr
            return
        assert "pyenv" in done.stderr, done.stderr  # a stub of pyenv's for a version that is not there
    pytest.skip(f"no Python 3.{minor} on this machine")
