"""A verifier in front of a swe-rm server gives the verdicts of the verifier behind it."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest

pytest.importorskip("fastapi", reason="no FastAPI: pip install 'swe-rm[serve]'")

from starlette.testclient import TestClient

from swe_rm.errors import VerifierError
from swe_rm.serve.app import build
from swe_rm.serve.bearer import Bearers
from swe_rm.serve.settings import Settings
from swe_rm.trajectory import Labelled, Outcome, Trajectory
from swe_rm.verdict import PartlyScoredError, Verdict, Verifier, by_id
from swe_rm.verifiers.foreign import load_file, load_url
from swe_rm.verifiers.remote import Remote
from swe_rm.verifiers.remote.asking import Asker, Carry, EngineAnswerError, Patience, Reply
from swe_rm.verifiers.remote.served import Attempts, Served
from tests.conftest import attempt
from tests.engines import scripted

POOL = [attempt(f"acme__tool-{task}", number=number) for task in (0, 1) for number in range(1, 20)]


class Told:
    """A verifier that says all there is to say; a calibrated one, so that its two scores differ."""

    name = "told@1"

    def __init__(self, broken: frozenset[str] = frozenset()) -> None:
        self._broken = broken
        self.seen: list[Trajectory] = []

    def __call__(self, trajectories: Sequence[Trajectory], /) -> list[Verdict]:
        self.seen += trajectories
        if broken := [t for t in trajectories if t.attempt_id in self._broken]:
            found = [self._verdict(t) for t in trajectories if t not in broken]
            raise PartlyScoredError(self, found, {t.attempt_id: "it is broken" for t in broken})
        return [self._verdict(t) for t in trajectories]

    def _verdict(self, t: Trajectory) -> Verdict:
        raw = int(t.attempt_id[:4], 16) / 0xFFFF
        return Verdict(
            attempt_id=t.attempt_id, score=raw / 2, raw_score=raw, logprob_yes=-150.0, logprob_no=-0.25,
            bounds=(raw / 2, (1 + raw) / 2), prompt_tokens=7, truncated_tokens=3, verifier=self.name,
        )  # fmt: skip


@contextmanager
def connected(verifier: Verifier) -> Iterator[Callable[[str, str], Carry]]:
    """What connects to the application of a verifier, without a socket."""
    app = build(verifier, Settings(), Bearers(()))
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:

        def carry(method: str, path: str, body: bytes | None, seconds: float) -> Reply:
            found = client.request(method, path, content=body, headers={"content-type": "application/json"})
            return Reply(found.status_code, found.content)

        yield lambda url, token: carry


def test_the_verdicts_are_those_of_the_verifier_behind_it() -> None:
    told = Told()
    with connected(told) as connect:
        remote = load_url("http://localhost:8000", connect=connect)
        found = by_id(POOL, remote(POOL))
    wanted = by_id(POOL, Told()(POOL))
    assert remote.name == "told@1"
    for id_, verdict in found.items():
        assert verdict.model_copy(update={"seconds": None}) == wanted[id_]
    assert {t.attempt_id for t in told.seen} == set(wanted)


@pytest.mark.parametrize("bounds", [[0.6, 0.4], [0.5], [0.5, True], [0.5, 2.0], "01"])
def test_bounds_that_are_none_are_an_error(bounds: object) -> None:
    row = {"attempt_id": POOL[0].attempt_id, "verifier": "v@1", "score": 0.5, "raw_score": 0.5, "bounds": bounds}
    carry, _ = scripted(Reply(200, orjson.dumps({"verdicts": [row]})))
    with pytest.raises(EngineAnswerError, match="bounds"):
        Served(Asker(carry, "http://there"), "v@1")([Attempts("v@1")(POOL[0])])


def test_closing_a_verifier_ends_its_waiting() -> None:
    def carry(method: str, path: str, body: bytes | None, seconds: float) -> Reply:
        return Reply(200, b'{"verifier": "v@1"}') if path == "/readyz" else Reply(503, b"")

    remote = load_url("http://there", connect=lambda url, token: carry)
    assert isinstance(remote, Remote)
    timer = threading.Timer(0.1, remote.close)
    timer.start()
    with pytest.raises(PartlyScoredError, match="nobody waits") as caught:
        remote(POOL)
    timer.join()
    assert caught.value.reasons.keys() == {t.attempt_id for t in POOL}


def test_no_outcome_is_sent() -> None:
    item = Labelled(trajectory=POOL[0], outcome=Outcome.RESOLVED, provenance="report")
    document = Attempts("told@1")(item.trajectory).document
    assert document is not None
    assert (document["resolved"], document["label_source"]) == (None, "")


def test_an_attempt_that_got_none_there_gets_none_here() -> None:
    patience = Patience(tries=2, pause=0.0)
    broken = frozenset({POOL[3].attempt_id})
    with connected(Told(broken)) as connect:
        ask = Asker(connect("", ""), "http://localhost", patience)
        remote = Remote(Attempts("told@1"), Served(ask, "told@1"))
        with pytest.raises(PartlyScoredError, match="it is broken") as caught:
            remote(POOL[:8])
    assert set(caught.value.reasons) == broken
    assert len(caught.value.verdicts) == 7


def test_a_server_that_began_anew_with_another_verifier_is_an_error() -> None:
    with connected(Told()) as connect:
        ask = Asker(connect("", ""), "http://localhost", Patience(tries=1))
        with pytest.raises(EngineAnswerError, match="now answers as told@1, it was told@0"):
            Served(ask, "told@0")([Attempts("told@0")(POOL[0])])


def test_a_bare_url_that_is_no_server_of_ours() -> None:
    def carry(method: str, path: str, body: bytes | None, seconds: float) -> Reply:
        return Reply(404, b"{}")

    with pytest.raises(VerifierError, match="no server that is known"):
        load_url("http://localhost:1", connect=lambda url, token: carry)


def test_a_file_may_name_a_server_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "there.yaml"
    path.write_text('name: there\nversion: "1"\nengine: {kind: swe-rm, url: "http://localhost:8000"}\n')
    with connected(Told()) as connect:
        (verdict,) = load_file(path, connect=connect)(POOL[:1])
    assert verdict.verifier == "told@1"
