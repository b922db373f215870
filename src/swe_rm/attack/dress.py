"""How an attempt writes its commands and shows their output, so that what is added looks like the rest of it."""

import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

from swe_rm.trajectory import Message, Role, ToolCall, Trajectory

_COMMANDS = ("command", "cmd")
_EXIT_TAIL = "[The command completed with exit code 0.]"


class Dress(NamedTuple):
    """What a command and its observation look like in one attempt."""

    tool: str
    """Name of the tool that runs commands; empty where the agent writes them into its text."""
    argument: str
    role: Role
    """Whose messages observations are."""
    wrap: Callable[[str], str]
    """The scaffold's wrapping around an output with exit code 0."""

    def run(self, said: str, command: str, output: str) -> tuple[Message, Message]:
        """The agent's message that runs a command, and the one that shows its output."""
        seen = Message(role=self.role, content=self.wrap(output))
        if not self.tool:
            return Message(role="assistant", content=f"{said}\n\n```bash\n{command}\n```"), seen
        call = ToolCall(name=self.tool, arguments=json.dumps({self.argument: command}))
        return Message(role="assistant", content=said, tool_calls=(call,)), seen


def dress_of(trajectory: Trajectory) -> Dress:
    """The dress of the attempt's first command; a tool called bash where it ran none."""
    tool, argument = next(
        (found for message in trajectory.messages for call in message.tool_calls if (found := _shell(call))),
        ("bash", "command"),
    )
    calls = any(message.tool_calls for message in trajectory.messages)
    written = not calls and any("```" in m.content for m in trajectory.messages if m.role == "assistant")
    observed = _observed(trajectory.messages)
    role: Role = "user" if written else observed[0].role if observed else "tool"
    return Dress("" if written else tool, argument, role, _wrapping(observed))


def _shell(call: ToolCall) -> tuple[str, str] | None:
    """(tool, argument) of a call that runs a command."""
    try:
        arguments = json.loads(call.arguments)
    except (ValueError, RecursionError):
        return None
    found = next(
        (key for key in _COMMANDS if isinstance(arguments, dict) and isinstance(arguments.get(key), str)), None
    )
    return (call.name, found) if found else None


def _observed(messages: Sequence[Message]) -> list[Message]:
    """The messages that follow an agent's."""
    return [
        message
        for before, message in pairwise(messages)
        if before.role == "assistant" and message.role in ("tool", "user") and not message.demo
    ]


def _wrapping(observed: Sequence[Message]) -> Callable[[str], str]:
    if any("<returncode>" in message.content for message in observed):
        return lambda output: f"<returncode>0</returncode>\n<output>\n{output}\n</output>"
    if any("with exit code " in message.content for message in observed):
        return lambda output: f"{output}\n{_EXIT_TAIL}"
    return str
