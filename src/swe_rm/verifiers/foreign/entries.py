"""An attempt as somebody else's template wants it: the log as its scaffold wrote it, calls in words, nothing spelled
that a tokenizer would take for a mark of its own."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from swe_rm.trajectory import Message, ToolCall, Trajectory

_MARK = re.compile(r"<(?=\|[^|<>\n]{1,40}\|>|/?s>|(?:start|end)_of_turn>|\uff5c)|\[(?=/?INST\])")
"""How chat templates write their own marks, where no tokenizer says which it knows."""


class Call(NamedTuple):
    """One call of a tool."""

    name: str
    parameters: Mapping[str, str]


class Entry(NamedTuple):
    """One message of the log."""

    role: str
    """system, user, assistant or tool."""
    said: str
    calls: tuple[Call, ...] = ()
    thinking: str = ""
    """What the scaffold kept apart from the answer."""

    @property
    def actions(self) -> tuple[str, ...]:
        """Each call in the words that agents without a tool interface use."""
        return tuple(map(_written, self.calls))

    @property
    def written(self) -> str:
        """What was said, with the calls behind it.

        Without this a call that stands beside the text, as most scaffolds keep it, would vanish.
        """
        return "\n\n".join(part for part in (self.said, *self.actions) if part)


class Text(NamedTuple):
    """All that a template may use of an attempt."""

    entries: tuple[Entry, ...]
    patch: str
    issue: str
    finished: bool


def text_of(trajectory: Trajectory, defused: Callable[[str], str], *, merge: bool = False) -> Text:
    """The attempt, every text of it defused. Demonstrations are left out; an issue that no message shows is put first.

    With `merge` the environment speaks as the user, and what the user says in a row becomes one message.
    """
    entries = [_entry(message, defused) for message in trajectory.messages if not message.demo]
    issue = defused(trajectory.task.statement)
    before = [entry for entry in entries[: _first_reply(entries)] if entry.role == "user"]
    if issue and not before:
        place = sum(entry.role == "system" for entry in entries[:1])
        entries.insert(place, Entry("user", issue))
    if merge:
        entries = _merged(entries)
    return Text(tuple(entries), defused(trajectory.patch), issue, trajectory.finished)


def defuser(marks: Sequence[str]) -> Callable[[str], str]:
    """What puts a space into every spelling of these marks; into what looks like one where none are given."""
    pattern = _MARK
    if marks:
        longest = sorted(marks, key=len, reverse=True)
        pattern = re.compile("|".join(f"{re.escape(mark[0])}(?={re.escape(mark[1:])})" for mark in longest))
    return lambda text: pattern.sub(lambda found: f"{found[0]} ", text)


def _entry(message: Message, defused: Callable[[str], str]) -> Entry:
    calls = tuple(_call(call, defused) for call in message.tool_calls)
    return Entry(message.role, defused(message.content), calls, defused(message.reasoning))


def _call(call: ToolCall, defused: Callable[[str], str]) -> Call:
    try:
        arguments: Any = json.loads(call.arguments)
    except (ValueError, RecursionError):
        arguments = None
    if not isinstance(arguments, dict):
        arguments = {"arguments": call.arguments}
    return Call(defused(call.name), {defused(str(key)): defused(_flat(value)) for key, value in arguments.items()})


def _flat(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _written(call: Call) -> str:
    """As OpenHands writes calls for models without a tool interface: values of several lines stand on their own."""
    lines = [
        f"<parameter={key}>\n{value}\n</parameter>" if "\n" in value else f"<parameter={key}>{value}</parameter>"
        for key, value in call.parameters.items()
    ]
    return "\n".join([f"<function={call.name}>", *lines, "</function>"])


def _first_reply(entries: Sequence[Entry]) -> int:
    return next((place for place, entry in enumerate(entries) if entry.role == "assistant"), len(entries))


def _merged(entries: Sequence[Entry]) -> list[Entry]:
    plain = [entry._replace(role="user") if entry.role == "tool" else entry for entry in entries]
    merged: list[Entry] = []
    for role, group in groupby(plain, lambda entry: entry.role):
        if role == "user":
            merged.append(Entry(role, "\n".join(entry.said for entry in group)))
        else:
            merged += group
    return merged
