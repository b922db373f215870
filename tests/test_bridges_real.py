"""What the bridges of trainers and agents with an environment of their own do where that environment is not needed."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from swe_rm.bridges import trl, verl
from swe_rm.bridges.mini_swe_agent import best_of
from swe_rm.client import BadAnswer, Client
from swe_rm.sources import open_received
from swe_rm.trajectory import Trajectory
from tests.bridges.servers import LIES, Stub, patch, said

RUNS = Path(__file__).parent / "fixtures" / "mini_swe_agent" / "second" / "output" / "bench_run"


@pytest.fixture
def stub() -> Iterator[Stub]:
    with Stub() as server:
        yield server


def read(name: str, document: Any) -> Trajectory:
    (found,) = open_received([(name, json.dumps(document).encode())]).attempts()
    return found.trajectory


class Agent(SimpleNamespace):
    """An agent that has run already."""

    def run(self, task: str) -> None:
        self.task = task

    def serialize(self, more: Any) -> Any:
        return {"messages": self.messages, **more}


@pytest.mark.parametrize("task", ["tinkers__lantern-12", "tinkers__lantern-13"])
def test_mini_swe_agents_attempts_are_those_its_files_tell_of(task: str, stub: Stub) -> None:
    file = RUNS / task / f"{task}.traj.json"
    document = json.loads(file.read_text(encoding="utf-8"))
    best_of(1, lambda _: Agent(messages=document["messages"]), "The lamp hums.", Client(stub.url), task)
    ((row,),) = stub.requests
    assert read("row.json", row).content_hash == read(file.name, document).content_hash


@pytest.mark.parametrize("kind", [trl.SweRm, trl.AsyncSweRm])
def test_trl_gets_an_error_or_none(kind: type[trl.SweRm]) -> None:
    def asked(reward: trl.SweRm) -> Any:
        found: Any = reward([said(1)[:2]], [said(1)[2:]])
        return asyncio.run(found) if asyncio.iscoroutine(found) else found

    with Stub(LIES["NaN"]) as liar:
        with pytest.raises(BadAnswer):
            asked(kind(liar.url))
        assert asked(kind(liar.url, or_none=True)) == [None]


@pytest.mark.parametrize(
    ("kind", "resolved", "diff", "wanted"),
    [
        ("execution-free", None, "", 0.25),
        ("hybrid", True, patch(250), 1.25),
        ("hybrid", False, patch(250), 0.25),
        ("hybrid", None, "", -0.25),
        ("mix", True, patch(250), 0.8125),
        ("execution-based", False, patch(250), 0.0),
    ],
)
def test_verl_gets_the_reward_and_the_score(kind: Any, resolved: Any, diff: str, wanted: float, stub: Stub) -> None:
    carried = {"messages": said(250), "model_patch": diff, "resolved": resolved, "patch": "the solution"}
    found = asyncio.run(verl.compute_score("lantern", "stripped", None, carried, url=stub.url, kind=kind))
    assert found == {"score": wanted, "p_resolved": 0.25}
    assert "the solution" not in str(stub.requests)
    assert "stripped" not in str(stub.requests)


def test_verl_says_that_an_attempt_with_a_diff_was_not_finished(stub: Stub) -> None:
    carried = {"messages": said(250), "model_patch": patch(250), "resolved": False, "finished": False}
    found = asyncio.run(verl.compute_score("lantern", "stripped", None, carried, url=stub.url, kind="hybrid"))
    assert found["score"] == -0.25
