"""The small server: answers while its block lasts, whoever asks at once, and not after it."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest

from swe_rm.loopback import Loopback


class Echo(Loopback):
    def respond(self, method: str, path: str, body: dict[str, Any], authorization: str) -> tuple[int, bytes]:
        return 200, json.dumps([method, path, body, authorization]).encode()


def asked(url: str, body: Any = None, **headers: str) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(url, data, headers), timeout=10) as answer:
        return json.load(answer)


def test_it_answers_while_the_block_lasts() -> None:
    with Echo() as server:
        assert asked(f"{server.url}/lamp") == ["GET", "/lamp", {}, ""]
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda n: asked(server.url, {"n": n}, Authorization=f"Bearer {n}"), range(40)))
        assert found == [["POST", "/", {"n": n}, f"Bearer {n}"] for n in range(40)]
    with pytest.raises(URLError):
        asked(server.url)


def test_a_port_that_is_named_is_taken() -> None:
    with Echo() as first, pytest.raises(OSError, match="in use"):
        Echo(int(first.url.rpartition(":")[2]))
