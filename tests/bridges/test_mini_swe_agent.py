"""mini-swe-agent itself: several attempts at a task, each in an environment of its own, and the best one comes out."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("minisweagent", reason="mini-swe-agent has an environment of its own: make test-bridges")
pytestmark = pytest.mark.bridges

from minisweagent.agents.default import DefaultAgent  # noqa: E402
from minisweagent.environments.local import LocalEnvironment  # noqa: E402
from minisweagent.models.test_models import DeterministicModel, make_output  # noqa: E402

from swe_rm.bridges.mini_swe_agent import best_of, judged  # noqa: E402
from swe_rm.client import BadAnswer, Client, Deadline, Unreachable  # noqa: E402
from tests.bridges.documented import snippet  # noqa: E402
from tests.bridges.servers import LIES, Process, Stub, free_port, wanted  # noqa: E402

TEMPLATES = {"system_template": "You mend lamps.", "instance_template": "<issue>{{task}}</issue>"}
SUBMIT = "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT && cat patch.diff"


def agents(folder: Path, *numbers: int, steps: int = 2) -> Callable[[int], DefaultAgent]:
    """Makers of agents that do as they are told: each says its number, changes its own folder and submits."""

    def make(at: int) -> DefaultAgent:
        number = numbers[at]
        place = folder / f"{at}-{number}"
        place.mkdir()
        outputs = [
            make_output(f"This is try {number}.", [{"command": f"echo '+lit = {number}' > patch.diff"}]),
            make_output("I submit.", [{"command": SUBMIT}]),
        ]
        environment = LocalEnvironment(cwd=str(place))
        return DefaultAgent(DeterministicModel(outputs=outputs), environment, step_limit=steps, **TEMPLATES)

    return make


def test_the_best_of_four_comes_out_and_they_are_one_request(stub: Stub, tmp_path: Path) -> None:
    client = Client(stub.url)
    best = best_of(4, agents(tmp_path, 100, 900, 300, 900), "The lamp hums.", client, "tinkers__lantern-12")
    assert best["info"]["submission"] == "+lit = 900\n"
    told = {"scores": [0.1, 0.9, 0.3, 0.9], "chosen": 1, "verifier": "numbered@1"}
    assert best["info"]["swe_rm"] == told, "of equal ones the first"
    assert best["trajectory_format"].startswith("mini-swe-agent")
    ((*rows,),) = stub.requests
    assert [row["patch"] for row in rows] == [f"+lit = {number}\n" for number in (100, 900, 300, 900)]
    assert {row["instance_id"] for row in rows} == {"tinkers__lantern-12"}


def test_what_ends_a_run_that_was_cut_off_is_no_patch(stub: Stub, tmp_path: Path) -> None:
    best_of(1, agents(tmp_path, 5, steps=1), "The lamp hums.", Client(stub.url))
    ((row,),) = stub.requests
    assert row["patch"] == ""
    assert row["finished"] is False


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_an_error(lie: str, tmp_path: Path) -> None:
    with Stub(LIES[lie]) as liar:
        client = Client(liar.url, verifier="numbered@1")
        with pytest.raises(BadAnswer):
            best_of(2, agents(tmp_path, 1, 2), "The lamp hums.", client)
        assert client.failures == {"BadAnswer": 2}


def test_a_dead_and_a_slow_server_are_errors(tmp_path: Path) -> None:
    made = agents(tmp_path, 1)(0)
    made.run("The lamp hums.")
    with pytest.raises(Unreachable):
        judged([made], Client(f"http://127.0.0.1:{free_port()}", deadline=1))
    with Stub(seconds=2) as slow, pytest.raises(Deadline):
        judged([made], Client(slow.url, deadline=0.3))


def test_a_thousand_groups_at_once_get_their_own_scores(server: Process, tmp_path: Path) -> None:
    """The attempts are made by a few threads, then all groups ask at the same moment."""
    client = Client(server.url)

    def run(number: int) -> list[Any]:
        folder = tmp_path / str(number)
        folder.mkdir()
        make = agents(folder, number, 999 - number)
        made = [make(0), make(1)]
        for agent in made:
            agent.run(f"The lamp of room {number} hums.")
        return made

    with ThreadPoolExecutor(8) as pool:
        groups = list(pool.map(run, range(1000)))
    ready = threading.Barrier(1000)

    def ask(group: list[Any]) -> list[float]:
        ready.wait()
        return judged(group, client)

    with ThreadPoolExecutor(1000) as pool:
        found = list(pool.map(ask, groups))
    assert found == [[wanted(number), wanted(999 - number)] for number in range(1000)]
    assert set(client.failures) <= {"retry"}


def test_the_documented_lines_choose_among_four(stub: Stub, tmp_path: Path) -> None:
    names: dict[str, Any] = {"url": stub.url, "make_agent": agents(tmp_path, 100, 900, 300, 200)}
    exec(snippet("mini-swe-agent", "python"), names)
    assert names["patch"] == "+lit = 900\n"
