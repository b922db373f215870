"""One attempt of a trainer's policy: it says a turn as text, mini-swe-agent carries it out, the tests decide."""

import time
from collections.abc import Sequence
from typing import Any

from swe_rm.rollouts.keeping import keep
from swe_rm.rollouts.scaffold import RolloutError, Settings, ended, started
from swe_rm.rollouts.tasks import RolloutTask
from swe_rm.rollouts.testing import lives, run_tests

_CHAT = ("system", "user", "assistant")
_ACTION = r"```mswea_bash_command\s*\n(.*?)\n```"


class Rollout:
    """mini-swe-agent's own loop turned inside out: whoever trains the policy calls `step` with what it said."""

    def __init__(self, task: RolloutTask, opening: Sequence[dict[str, Any]], settings: Settings) -> None:
        """Begin after the `opening` messages. Raises RolloutError when the environment does not start."""
        from minisweagent.agents.default import DefaultAgent

        self.task = task
        self._settings = settings
        self._environment = started(task.image, settings)
        agent = settings.templates()["agent"]
        self._model = _Said(settings.templates()["model"])
        self._agent: Any = DefaultAgent(
            self._model,
            self._environment,
            system_template=agent["system_template"],
            instance_template=agent["instance_template"],
            cost_limit=0.0,
        )
        self._agent.add_messages(*opening)
        self._until = time.monotonic() + settings.wall_seconds
        self._malformed = 0

    @property
    def chat(self) -> list[dict[str, str]]:
        """The log as the policy and the verifier read it."""
        return [
            {"role": str(one["role"]), "content": str(one["content"])}
            for one in self._agent.messages
            if one["role"] in _CHAT
        ]

    @property
    def is_over(self) -> bool:
        """Whether it was handed in or came to a limit."""
        return bool(self._agent.messages[-1]["role"] == "exit")

    @property
    def exit_status(self) -> str:
        """How it ended, in mini-swe-agent's words; empty while it has not."""
        return str(self._agent.messages[-1]["extra"]["exit_status"]) if self.is_over else ""

    @property
    def patch(self) -> str:
        """What was handed in; empty where nothing was."""
        said = str(self._agent.messages[-1]["extra"].get("submission", "")) if self.is_over else ""
        return said if said.endswith("\n") or not said.strip() else said + "\n"

    @property
    def is_finished(self) -> bool:
        """Whether a patch was handed in: without one an attempt is unfinished (SWE-RM, equation 1)."""
        return self.exit_status == "Submitted" and bool(self.patch.strip())

    def step(self, said: str) -> str | None:
        """Carry out one answer of the policy; what it reads next, None when that was its last.

        Raises ValueError when the attempt is over.
        """
        from minisweagent.exceptions import FormatError, InterruptAgentFlow

        if self.is_over:
            raise ValueError("the attempt is over")
        self._model.next = said
        try:
            self._agent.step()
            self._malformed = 0
        except FormatError as error:
            self._agent.add_messages(*error.messages)
            self._malformed += 1
        except InterruptAgentFlow as end:
            self._agent.add_messages(*end.messages)
        self._look_at_limits()
        return None if self.is_over else self.chat[-1]["content"]

    def end(self, why: str) -> None:
        """Cut it off from outside, in a word such as mini-swe-agent's: the context is full, for example."""
        if not self.is_over:
            self._agent.add_messages({"role": "exit", "content": why, "extra": {"exit_status": why, "submission": ""}})

    def told(self) -> dict[str, Any]:
        """What a bridge of `swe_rm.bridges` reads of an attempt that is over; a finished one is tested for it.

        Raises RolloutError when the tests could not be run, or an environment is gone before its attempt was handed
        in (what its commands answered then says nothing of the policy), or it cannot be kept.
        """
        if not self.is_over:
            raise ValueError("the attempt is not over")
        resolved = None
        if self.is_finished:
            resolved = run_tests(self.task, self.patch, self._settings).resolved
        elif not lives(self._environment):
            raise RolloutError(f"{self.task.instance_id}: the environment is gone")
        found = {
            "messages": self.chat,
            "model_patch": self.patch,
            "finished": self.is_finished,
            "resolved": resolved,
            "instance_id": self.task.instance_id,
            "problem_statement": self.task.problem_statement,
            "exit_status": self.exit_status,
        }
        if self._settings.keep:
            keep(found, self._settings.keep)
        return found

    def close(self) -> None:
        """Have its environment go."""
        ended(self._environment)

    def _look_at_limits(self) -> None:
        if self._malformed >= self._settings.format_errors:
            self.end("RepeatedFormatError")
        elif self._agent.n_calls >= self._settings.step_limit:
            self.end("LimitsExceeded")
        elif time.monotonic() >= self._until:
            self.end("TimeExceeded")


class _Said:
    """mini-swe-agent's model: it says what the trainer's policy said, and takes the command from it."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.next = ""

    def query(self, messages: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        from minisweagent.exceptions import FormatError
        from minisweagent.models.utils.actions_text import parse_regex_actions

        said = {"role": "assistant", "content": self.next}
        try:
            actions = parse_regex_actions(
                self.next,
                action_regex=self.config.get("action_regex", _ACTION),
                format_error_template=self.config["format_error_template"],
            )
        except FormatError as error:  # what was said stays in the log: it stays in the policy's tokens too
            raise FormatError(said, *error.messages) from None
        return {**said, "extra": {"actions": actions, "cost": 0.0}}

    def format_message(self, **message: Any) -> dict[str, Any]:
        return message

    def format_observation_messages(
        self, message: dict[str, Any], outputs: list[dict[str, Any]], template_vars: dict[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        from minisweagent.models.utils.actions_text import format_observation_messages

        template = self.config["observation_template"]
        return list(format_observation_messages(outputs, observation_template=template, template_vars=template_vars))

    def get_template_vars(self, **more: Any) -> dict[str, Any]:
        return {}

    def serialize(self) -> dict[str, Any]:
        return {}
