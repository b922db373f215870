"""verifiers itself (and so prime-rl, which uses it as it is): the judge plugged into a task by its name, and scored."""

import asyncio
import tomllib
from typing import Any

import pytest

pytest.importorskip("verifiers.v1", reason="verifiers has an environment of its own: make test-bridges")
pytestmark = pytest.mark.bridges

from verifiers.v1 import reward  # noqa: E402
from verifiers.v1.configs.agent import AgentConfig  # noqa: E402
from verifiers.v1.configs.task import TaskConfig  # noqa: E402
from verifiers.v1.dialects.chat import parse_message  # noqa: E402
from verifiers.v1.errors import TaskError  # noqa: E402
from verifiers.v1.graph import MessageNode  # noqa: E402
from verifiers.v1.task import Task, TaskData  # noqa: E402
from verifiers.v1.trace import AgentInfo, Trace, TraceTask  # noqa: E402

from swe_rm.bridges.verifiers import client  # noqa: E402
from tests.bridges.documented import snippet  # noqa: E402
from tests.bridges.servers import LIES, Process, Stub, free_port, patch, said, wanted  # noqa: E402


class Lamp(TaskData):
    """A task's row, with its solution in it."""

    resolved: float = 1.0
    patch: str = "the solution"
    problem_statement: str = "The lamp hums."


class Lamps(Task[Lamp]):
    """A task with tests of its own."""

    @reward
    async def passed(self, task: Any, trace: Any) -> float:
        return float(task.resolved)


def scored(judge: dict[str, Any], *numbers: int, model_patch: bool = True, resolved: float = 1.0) -> list[Any]:
    """The traces of attempts, all of them scored at once by verifiers with the judge that such a config plugs in."""
    config = TaskConfig.model_validate({"judges": [{"id": "swe_rm_judge", "name": "swe_rm", **judge}]})

    async def one(number: int) -> Any:
        data = Lamp(id=f"tinkers__lantern-{number}", prompt="The lamp hums.", resolved=resolved)
        nodes = [
            MessageNode(message=parse_message(message), parent=at - 1 if at else None)
            for at, message in enumerate(with_ids(said(number, task=number)))
        ]
        about = TraceTask(type="Lamps", data=data)
        trace = Trace(task=about, agent=AgentInfo(config=AgentConfig()), nodes=nodes)
        if model_patch:
            trace.info["model_patch"] = patch(number)
        await Lamps(data, config).score(trace)
        return trace

    async def everyone() -> list[Any]:
        return list(await asyncio.gather(*map(one, numbers)))

    return asyncio.run(everyone())


def with_ids(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As the protocol has them: a call and its answer share an id."""
    found = [dict(message) for message in messages]
    for message in found:
        if "tool_calls" in message:
            message["tool_calls"] = [{**call, "id": "call-1"} for call in message["tool_calls"]]
        if message["role"] == "tool":
            message["tool_call_id"] = "call-1"
    return found


def test_a_thousand_traces_at_once_get_their_own_scores(server: Process) -> None:
    traces = scored({"url": server.url}, *range(1000))
    assert [trace.rewards["swe_rm"].score for trace in traces] == [wanted(number) for number in range(1000)]
    assert set(client(server.url, 240.0).failures) <= {"retry"}


def test_the_whole_chat_and_the_attempts_own_patch_are_judged(stub: Stub) -> None:
    (trace,) = scored({"url": stub.url, "weight": 0.5}, 40)
    ((row,),) = stub.requests
    assert [message["role"] for message in row["messages"]] == ["system", "user", "assistant", "tool", "assistant"]
    assert row["messages"][2]["tool_calls"][0]["function"]["name"] == "bash"
    assert (row["patch"], row["instance_id"]) == (patch(40), "tinkers__lantern-40")
    assert "the solution" not in str(row)
    assert trace.rewards["swe_rm"].value == 0.5 * 0.04
    assert trace.reward == pytest.approx(1.0 + 0.5 * 0.04)


def test_a_hybrid_reads_the_tasks_own_tests(stub: Stub) -> None:
    judge = {"url": stub.url, "kind": "hybrid", "tests": "passed"}
    assert scored(judge, 250)[0].rewards["swe_rm"].score == 1.25
    assert scored(judge, 250, resolved=0.0)[0].rewards["swe_rm"].score == 0.25
    assert scored(judge, 250, resolved=0.0, model_patch=False)[0].rewards["swe_rm"].score == -0.25
    with pytest.raises(TaskError, match="not tested"):
        scored({"url": stub.url, "kind": "hybrid"}, 250)


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_an_error_of_the_task(lie: str) -> None:
    with Stub(LIES[lie]) as liar:
        client(liar.url, 240.0).verifier = "numbered@1"
        with pytest.raises(TaskError, match="BadAnswer"):
            scored({"url": liar.url}, 1)
        assert client(liar.url, 240.0).failures == {"BadAnswer": 1}


def test_a_dead_and_a_slow_server_are_errors_of_the_task() -> None:
    with pytest.raises(TaskError, match="Unreachable"):
        scored({"url": f"http://127.0.0.1:{free_port()}", "deadline": 1}, 1)
    with Stub(seconds=2) as slow, pytest.raises(TaskError, match="Deadline"):
        scored({"url": slow.url, "deadline": 0.3}, 1)


def test_the_documented_lines_plug_it_in(stub: Stub) -> None:
    held = tomllib.loads(snippet("verifiers and prime-rl", "toml"))
    (judge,) = held["orchestrator"]["train"]["source"]["env"]["taskset"]["task"]["judges"]
    (trace,) = scored({**judge, "name": "", "url": stub.url}, 40)
    assert trace.rewards["swe_rm_judge"].value == 0.04
