"""verifiers and prime-rl: a `Judge` plug-in, `[[...taskset.task.judges]]` with `id = "swe_rm_judge"`."""

from functools import cache
from typing import Any

from verifiers.v1.configs.judge import JudgeConfig
from verifiers.v1.dialects.chat import message_to_wire
from verifiers.v1.judge import Judge

from swe_rm.client import Client, attempt
from swe_rm.reward import Kind, Reward, is_finished

__all__ = ["SweRmJudge"]


@cache
def client(url: str, deadline: float) -> Client:
    """One for this process: a judge is made anew for each attempt. verifiers waits as long as it takes."""
    return Client(url, deadline=deadline)


class SweRmJudgeConfig(JudgeConfig):
    """Beside `id`, `name` and `weight` of any judge."""

    url: str = ""
    """Of the server; empty for SWE_RM_URL."""
    deadline: float = 240.0
    kind: Kind = "execution-free"
    tests: str = ""
    """The task's own reward (1 or 0) that says whether the tests passed; kinds that need an outcome read it."""


class SweRmJudge(Judge[float, SweRmJudgeConfig]):
    """The reward of a trace; raises where there is none, and verifiers tries the sample again.

    The taskset leaves the attempt's diff in `trace.info["model_patch"]`.
    """

    async def score(self, task: Any, trace: Any) -> float:
        """See `Judge`."""
        row = attempt(
            [message_to_wire(message) for message in trace.messages],
            patch=trace.info.get("model_patch"),
            finished=trace.info.get("finished"),
            instance_id=getattr(task, "instance_id", None) or task.id,
            statement=getattr(task, "problem_statement", None),
        )
        (probability,) = await client(self.config.url, self.config.deadline).ascore([row])
        tested = trace.rewards.get(self.config.tests)
        return Reward(self.config.kind)(probability, tested and tested.score, finished=is_finished(trace.info))
