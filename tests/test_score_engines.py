"""Ray gives the scores and the file that one process gives, resumes it, and names what it could not score."""

import importlib.util
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_rm.errors import MissingExtraError, VerifierError
from swe_rm.score_engines import Begun, Placed, Reply, in_order, on_ray, sent
from swe_rm.scoring import Chunk, Judged, judged
from swe_rm.trajectory import Trajectory
from swe_rm.verdict import Verdict
from tests.mixing import in_own_process, pool, stored
from tests.test_scoring import Length, trajectories

HAS_RAY = importlib.util.find_spec("ray") is not None


PICKED, FATAL = ("acme__tool-1", "agent-2", "0"), ("acme__tool-3", "agent-1", "2")


class Bad(Length):
    """Fails on one attempt of the pile and kills whichever process reads another."""

    def __call__(self, trajectories: list[Trajectory]) -> list[Verdict]:  # type: ignore[override]
        keys = {trajectory.key for trajectory in trajectories}
        if FATAL in keys:
            os.kill(os.getpid(), signal.SIGKILL)
        if PICKED in keys:
            raise VerifierError("the logits are NaN")
        return super().__call__(trajectories)


class Lines:
    """A queue and, at its other end, a worker that answers whichever chunk it is told to."""

    def __init__(self, picks: list[int]) -> None:
        self.picks = picks
        self.waiting: list[Placed] = []
        self.most = 0
        self.verifier = Length()

    def put(self, placed: Placed) -> None:
        assert placed.chunk.fresh, "a chunk with nothing to score needs no worker"
        self.waiting.append(placed)
        self.most = max(self.most, len(self.waiting))

    def replies(self) -> Iterator[Reply]:
        while self.waiting:
            pick = self.picks.pop() if self.picks else 0
            placed = self.waiting.pop(pick % len(self.waiting))
            yield Reply(placed.place, self.verifier.name, judged(placed.chunk, self.verifier))


@given(
    sizes=st.lists(st.integers(0, 3), max_size=12),
    picks=st.lists(st.integers(0, 9), max_size=12),
    ahead=st.integers(1, 5),
)
def test_replies_in_any_order_give_the_order_of_the_input(sizes: list[int], picks: list[int], ahead: int) -> None:
    left = iter(trajectories(sum(sizes)))
    chunks = [Chunk(3, [next(left) for _ in range(size)]) for size in sizes]
    lines = Lines(picks)
    found = list(in_order(sent(chunks, lines, lines.replies(), ahead)))
    assert found == [judged(chunk, Length()) for chunk in chunks]
    assert lines.most <= ahead


def test_an_outcome_waits_for_those_before_it_and_no_longer() -> None:
    outcomes = [Judged(place, [], []) for place in range(3)]
    found = in_order((place, outcomes[place]) for place in (1, 0, 2))
    assert list(found) == outcomes


def test_what_was_begun_and_not_ended_is_counted() -> None:
    begun = Begun()
    assert [begun.add(7), begun.add(7), begun.add(8)] == [1, 2, 1]
    begun.end(7)
    assert [begun.add(7), begun.add(8)] == [2, 2]


@pytest.mark.skipif(HAS_RAY, reason="Ray is installed")
def test_without_ray_the_extra_is_named() -> None:
    with pytest.raises(MissingExtraError, match=r"swe-rm\[ray\]"), on_ray("constant", 2):
        pass


BOTH = """
import json, os, sys
from pathlib import Path
from swe_rm import ray_session
from swe_rm.__main__ import main
from swe_rm.errors import SweRmError
from swe_rm.score_engines import on_ray
from swe_rm.scoring import score_to_file
from swe_rm.sources import open_pile
from swe_rm.verifiers import load_verifier

data, out = Path(sys.argv[1]), Path(sys.argv[2])

def rows(file):
    return [{key: value for key, value in json.loads(line).items() if key != "seconds"} for line in file.open()]

def refused(run):
    try:
        run()
    except SweRmError as error:
        return str(error)

def enter(verifier, workers):
    with on_ray(verifier, workers):
        pass

if __name__ == "__main__":
    with ray_session.session(ray_session.library(), 2):
        whole, cut = out / "whole.jsonl", out / "cut.jsonl"
        command = ["score", str(data), "--verifier", "features", "--out"]
        assert main([*command, str(whole)]) == 0
        cut.write_bytes(whole.read_bytes()[:2_000])
        assert main([*command, str(cut), "--resume", "--engine", "ray", "--workers", "2"]) == 0
        assert rows(cut) == rows(whole)
        assert len(rows(cut)) == 108

        with on_ray("tests.test_score_engines:Bad", 2) as scorer:
            tally = score_to_file(open_pile([data]).attempts(), scorer, out / "bad.jsonl", chunk=9)
        print(*tally.unscored, sep="\\n")
        assert (tally.read, tally.scored, len(tally.unscored)) == (108, 98, 10), tally
        left = {failure.attempt_id for failure in tally.unscored}
        assert [row["attempt_id"] for row in rows(out / "bad.jsonl")] == [
            row["attempt_id"] for row in rows(whole) if row["attempt_id"] not in left
        ]
        missing = str(out / "none")
        assert refused(lambda: enter(missing, 2)) == refused(lambda: load_verifier(missing))
        assert "3 workers need a CPU each" in refused(lambda: enter("constant", 3))
    print("equal")
"""


@pytest.mark.skipif(not HAS_RAY, reason="Ray is not installed: pip install 'swe-rm[ray]'")
def test_two_workers_of_ray_give_the_same_file(tmp_path: Path) -> None:
    """In a process of its own: Ray's own warnings and threads are not ours to answer for."""
    said = in_own_process(BOTH, stored(pool(tasks=9), tmp_path / "data"), tmp_path)
    assert said[-1] == "equal"
    assert f"{' / '.join(PICKED)}: the logits are NaN" in "\n".join(said)
    assert f"{' / '.join(FATAL)}: the worker that read it, among others, died 3 times" in "\n".join(said)
