"""One attempt at a task by mini-swe-agent, a step at a time: its agent, messages and file, our sandbox under it."""

import importlib.util
import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

from swe_rm.errors import MissingExtraError
from swe_rm.playground.checkouts import Checkouts
from swe_rm.playground.memory import Shell
from swe_rm.playground.sandbox import Limits, Ran, Sandbox, Scratch, scratch
from swe_rm.playground.world import PlaygroundTask

CWD = "/testbed"
"""Where the checkout seems to lie: the folder's own name is another each time, and observations must not be."""
SUBMITTED = "COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"

_SYSTEM = "You are an agent that mends small Python packages. Each of your answers runs one bash command."
_INSTANCE = """\
Please mend this package.

<pr_description>
{{task}}
</pr_description>

The package lies in {{cwd}}, which is where commands run. Change the code, not the tests: tests that you do not see
decide. `python -m unittest` runs those that you see. When you are done, submit with

echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT && git add -A && git diff --cached
"""
_OBSERVATION = (
    "{% if output.exception_info %}<exception>{{output.exception_info}}</exception>\n{% endif %}"
    "<returncode>{{output.returncode}}</returncode>\n<output>\n{{output.output}}</output>"
)
_ENDED = {
    "wall": "timed out after {0.wall_seconds} seconds",
    "disk": "was ended: more than {0.disk_mb} MB written",
    "processes": "was ended: more than {0.processes} processes",
}
_TOOK = re.compile(r"(?m)^(Ran \d+ tests? in )\d+\.\d+s$")
"""How long tests took differs from run to run, and says nothing."""


class Observation(NamedTuple):
    """What a command gave."""

    output: str
    code: int


class Confined:
    """The commands of one attempt, run confined in its folder of scratch."""

    def __init__(self, sandbox: Sandbox, within: Scratch) -> None:
        self._sandbox = sandbox
        self._within = within

    def run(self, command: str) -> Ran:
        """Run one; what differs from run to run in its output is made equal: the folder's name, how long tests took.

        Raises SandboxError when it could not be run.
        """
        ran = self._sandbox.run(self._within, command)
        text = ran.output.replace(str(self._within.checkout), CWD).replace(str(self._within.root), "")
        return ran.model_copy(update={"output": _TOOK.sub(r"\g<1>0.001s", text)})


class Attempt:
    """An agent at work. Every step is mini-swe-agent's own; what it says and runs is told from outside."""

    def __init__(self, task: PlaygroundTask, policy: str, shell: Shell, limits: Limits, step_limit: int) -> None:
        """Raises MissingExtraError without mini-swe-agent."""
        require()
        from minisweagent.agents.default import DefaultAgent

        self.task = task
        self._model = _Told(policy)
        self._agent: Any = DefaultAgent(
            self._model,
            _Environment(shell, limits),
            system_template=_SYSTEM,
            instance_template=_INSTANCE,
            step_limit=step_limit,
            cost_limit=0.0,
        )
        self._begin()

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The log so far, as mini-swe-agent keeps it."""
        return list(self._agent.messages)

    @property
    def is_over(self) -> bool:
        """Whether it was handed in or came to its limit."""
        return bool(self._agent.messages[-1]["role"] == "exit")

    @property
    def submission(self) -> str:
        """The patch that was handed in; empty while none was."""
        extra = self._agent.messages[-1].get("extra", {})
        return str(extra.get("submission", "")) if self.is_over else ""

    def step(self, said: str, command: str) -> Observation:
        """One turn of the agent. Raises SandboxError when the command could not be run."""
        from minisweagent.exceptions import InterruptAgentFlow

        self._model.next = (said, command)
        try:
            self._agent.step()
        except InterruptAgentFlow as end:
            self._agent.add_messages(*end.messages)
        extra = self._agent.messages[-1].get("extra", {})
        return Observation(str(extra.get("raw_output", "")), int(extra.get("returncode", 0)))

    def document(self) -> dict[str, Any]:
        """The trajectory as mini-swe-agent writes it."""
        return dict(self._agent.save(None, {"instance_id": self.task.instance_id}))

    def _begin(self) -> None:
        """What the agent's own loop does before its first step."""
        agent = self._agent
        agent.extra_template_vars |= {"task": self.task.problem_statement}
        for role, template in (("system", _SYSTEM), ("user", _INSTANCE)):
            agent.add_messages(self._model.format_message(role=role, content=agent._render_template(template)))


@contextmanager
def attempt(
    task: PlaygroundTask, policy: str, checkouts: Checkouts, sandbox: Sandbox, step_limit: int = 20
) -> Iterator[Attempt]:
    """An attempt in a scratch folder of its own, gone afterwards. Raises MissingExtraError without mini-swe-agent."""
    with scratch(checkouts.start(task), checkouts.folder) as within:
        yield Attempt(task, policy, Confined(sandbox, within), sandbox.limits, step_limit)


def require() -> None:
    """Raise MissingExtraError where mini-swe-agent is not installed; else keep its import quiet."""
    if importlib.util.find_spec("minisweagent") is None:
        raise MissingExtraError("mini-swe-agent", "agents")
    os.environ.setdefault("MSWEA_SILENT_STARTUP", "1")


class _Told:
    """mini-swe-agent's model: it says what it is told to say."""

    def __init__(self, name: str) -> None:
        self.config = {"model_name": name, "observation_template": _OBSERVATION}
        self.next = ("", "")
        self._calls = 0

    def query(self, messages: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        said, command = self.next
        self._calls += 1
        call = f"call_{self._calls}"
        function = {"name": "bash", "arguments": json.dumps({"command": command})}
        return {
            "role": "assistant",
            "content": said,
            "tool_calls": [{"id": call, "type": "function", "function": function}],
            "extra": {
                "actions": [{"command": command, "tool_call_id": call}], "cost": 0.0, "timestamp": time.time()
            },
        }  # fmt: skip

    def format_message(self, **message: Any) -> dict[str, Any]:
        return message

    def format_observation_messages(
        self, message: dict[str, Any], outputs: list[dict[str, Any]], template_vars: dict[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        (action,), (output,) = message["extra"]["actions"], outputs
        seen = _seen(output["output"], output["returncode"], output["exception_info"])
        extra = {**seen["extra"], "timestamp": time.time()}
        return [{**seen, "tool_call_id": action["tool_call_id"], "extra": extra}]

    def get_template_vars(self, **more: Any) -> dict[str, Any]:
        return dict(self.config)

    def serialize(self) -> dict[str, Any]:
        return {"info": {"config": {"model": self.config, "model_type": f"{__name__}.{type(self).__name__}"}}}


@lru_cache(maxsize=4096)
def _seen(output: str, returncode: int, exception_info: str) -> dict[str, Any]:
    """The message that mini-swe-agent makes of an output. It compiles its template each time, for a millisecond."""
    from minisweagent.models.utils.actions_toolcall import format_toolcall_observation_messages

    given = {"output": output, "returncode": returncode, "exception_info": exception_info}
    (message,) = format_toolcall_observation_messages(
        actions=[{"tool_call_id": ""}], outputs=[given], observation_template=_OBSERVATION
    )
    return dict(message)


class _Environment:
    """mini-swe-agent's environment."""

    def __init__(self, shell: Shell, limits: Limits) -> None:
        self._shell = shell
        self._limits = limits
        self.config = {"cwd": CWD, **limits.model_dump()}

    def execute(self, action: Mapping[str, Any], cwd: str = "") -> dict[str, Any]:
        from minisweagent.exceptions import Submitted

        ran = self._shell.run(str(action["command"]))
        first, _, rest = ran.output.lstrip().partition("\n")
        if first.strip() == SUBMITTED and ran.code == 0 and not ran.ended:
            end = {"exit_status": "Submitted", "submission": rest}
            raise Submitted({"role": "exit", "content": rest, "extra": end})
        told = _told(ran, self._limits)
        return {"output": ran.output, "returncode": -1 if told else ran.code, "exception_info": told}

    def get_template_vars(self, **more: Any) -> dict[str, Any]:
        return {**self.config, **more}

    def serialize(self) -> dict[str, Any]:
        kind = f"{__name__}.{type(self).__name__}"
        return {"info": {"config": {"environment": self.config, "environment_type": kind}}}


def _told(ran: Ran, limits: Limits) -> str:
    """What mini-swe-agent says of a command that did not come to its own end."""
    how = _ENDED[ran.ended].format(limits) if ran.ended else ""
    return f"An error occurred while executing the command: it {how}" if how else ""
