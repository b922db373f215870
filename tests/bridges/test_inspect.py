"""Inspect itself: the scorer in an evaluation and over a log, found by its entry point."""

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("inspect_ai", reason="Inspect has an environment of its own: make test-bridges")
pytestmark = pytest.mark.bridges

from inspect_ai import Task, eval  # noqa: E402
from inspect_ai.dataset import Sample  # noqa: E402
from inspect_ai.log import read_eval_log  # noqa: E402
from inspect_ai.model import ChatMessageAssistant, ChatMessageTool, ChatMessageUser  # noqa: E402
from inspect_ai.solver import Generate, TaskState, solver  # noqa: E402
from inspect_ai.tool import ToolCall  # noqa: E402

from swe_rm.bridges.inspect_ai import swe_rm  # noqa: E402
from tests.bridges.documented import snippet  # noqa: E402
from tests.bridges.servers import LIES, Process, Stub, free_port, patch, wanted  # noqa: E402


@solver
def mended() -> Any:
    """An agent that mends lamps without a model."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        number = int(state.metadata["number"])
        call = ToolCall(id="call-1", function="bash", arguments={"command": "sed -i s/lit/dim/ lamp.py"})
        state.messages += [
            ChatMessageAssistant(content=f"This is try {number}.", tool_calls=[call]),
            ChatMessageTool(content="lamp.py: dimmed", tool_call_id="call-1", function="bash"),
            ChatMessageAssistant(content="The wick is trimmed."),
        ]
        state.store.set("model_patch", patch(number))
        return state

    return solve


def evaluated(folder: Path, *numbers: int, scorer: Any = None, **options: Any) -> Any:
    samples = [
        Sample(
            input=[ChatMessageUser(content="The lamp hums.")],
            id=f"tinkers__lantern-{number}",
            metadata={"number": number, "patch": "the solution"},
        )
        for number in numbers
    ]
    task = Task(dataset=samples, solver=mended(), scorer=scorer, name="lamps")
    (log,) = eval(task, model="mockllm/model", log_dir=str(folder), display="none", **options)
    return log


def values(log: Any) -> list[Any]:
    return [sample.scores["swe_rm"].value for sample in sorted(log.samples, key=lambda one: one.metadata["number"])]


def test_a_thousand_samples_at_once_get_their_own_scores(server: Process, tmp_path: Path) -> None:
    log = evaluated(tmp_path, *range(1000), scorer=swe_rm(server.url), max_samples=1000, log_samples=True)
    assert log.status == "success"
    assert values(log) == [wanted(number) for number in range(1000)]
    assert log.results.scores[0].metrics["mean"].value == pytest.approx(0.4995)


def test_the_messages_and_the_attempts_own_patch_are_judged(stub: Stub, tmp_path: Path) -> None:
    log = evaluated(tmp_path, 40, scorer=swe_rm(stub.url))
    ((row,),) = stub.requests
    assert [message["role"] for message in row["messages"]] == ["user", "assistant", "tool", "assistant"]
    assert row["messages"][1]["tool_calls"] == [{"name": "bash", "arguments": {"command": "sed -i s/lit/dim/ lamp.py"}}]
    assert (row["patch"], row["instance_id"]) == (patch(40), "tinkers__lantern-40")
    assert "the solution" not in str(row)
    assert log.samples[0].scores["swe_rm"].metadata == {"verifier": "numbered@1"}


def test_a_log_is_scored_afterwards_as_documented_by_the_name_of_the_entry_point(
    server: Process, tmp_path: Path
) -> None:
    log = evaluated(tmp_path, 7, 8)
    documented = snippet("Inspect", "sh").split()
    put_in = {"inspect": str(Path(sys.executable).parent / "inspect"), "logs/night.eval": log.location}
    command = [put_in.get(word, word.replace("http://127.0.0.1:8000", server.url)) for word in documented]
    command += ["--overwrite", "--display", "none"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert values(read_eval_log(log.location)) == [0.007, 0.008]


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_leaves_the_sample_unscored(lie: str, tmp_path: Path) -> None:
    with Stub(LIES[lie] if lie != "of another verifier" else lambda told: {**told, "verifier": 7}) as liar:
        log = evaluated(tmp_path, 1, 2, scorer=swe_rm(liar.url))
        assert all(math.isnan(value) for value in values(log))
        score = log.samples[0].scores["swe_rm"]
        assert score.reason == "scoring_failed"
        assert score.explanation.startswith("BadAnswer: ")
        assert math.isnan(log.results.scores[0].metrics["mean"].value), "and no mean is made of them"


def test_a_dead_and_a_slow_server_leave_it_unscored(tmp_path: Path) -> None:
    log = evaluated(tmp_path, 1, scorer=swe_rm(f"http://127.0.0.1:{free_port()}", deadline=1))
    assert log.samples[0].scores["swe_rm"].explanation.startswith("Unreachable: ")
    with Stub(seconds=2) as slow:
        log = evaluated(tmp_path, 1, scorer=swe_rm(slow.url, deadline=0.3))
        assert log.samples[0].scores["swe_rm"].explanation.startswith("Deadline: ")
