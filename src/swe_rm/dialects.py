"""How scaffolds write issues, actions and observations, and the one plain form all of them are brought to."""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from swe_rm.trajectory import Message, Noun, ToolCall, Trajectory

Kind = Literal["agent", "observation", "user"]


class Action(Noun):
    """One thing an agent did: a tool's name and its argument in plain text."""

    name: str
    text: str


class Turn(Noun):
    """One step of the log, free of its scaffold's dress."""

    kind: Kind
    text: str = ""
    """What the agent said, what it saw, or what the user wrote."""
    actions: tuple[Action, ...] = ()
    """Only on agent turns."""
    exit_code: int | None = None
    """Only on observations that show one."""


# --- the issue -------------------------------------------------------------------------------------------------------

_ISSUE_MARKS = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        r"<pr_description>(.*?)</pr_description>",
        r"<issue_description>(.*?)</issue_description>",
        r"<issue>(.*?)</issue>",
        r"<task>(.*?)</task>",
        r"\nISSUE:\n(.*?)\n+INSTRUCTIONS?:",
        r"\n## Issue\n(.*?)\n## (?:Approach|Notes|Rules|When done)\b",
        r"Start of issue(.*?)End of issue",
        r"--- ?BEGIN ISSUE ---(.*?)--- ?END ISSUE",
    )
)
_ISSUE_PREAMBLE = re.compile(r"^\s*Consider the following PR description:\s*")
_ISSUE_FILE = re.compile(r"^(?:\d+\t)?# \S+: issue from \S+\n(.*)", re.DOTALL | re.MULTILINE)
_ISSUE_FILE_HINTS = re.compile(r"\n## Hints \(public\).*", re.DOTALL)
_LINE_NUMBER = re.compile(r"^ *\d+\t", re.MULTILINE)
_PROMPT_MESSAGES = 24
"""How many messages from the start may still show the issue: agents that are given a file read it within ten."""


def issue_statement(messages: Sequence[Message]) -> str:
    """The issue text inside an agent's prompt; the whole first user message where no marking is known, else ""."""
    early = [message for message in messages[:_PROMPT_MESSAGES] if not message.demo]
    prompts = [m.content for m in early if m.role == "user"]
    for prompt in prompts:
        for mark in _ISSUE_MARKS:
            if found := mark.search(prompt):
                return _ISSUE_PREAMBLE.sub("", found[1]).strip()
    for message in early:
        if message.role == "tool" and (found := _ISSUE_FILE.search(message.content)):
            return plain(_ISSUE_FILE_HINTS.sub("", _LINE_NUMBER.sub("", found[1])))
    return prompts[0].strip() if prompts else ""


# --- plain text ------------------------------------------------------------------------------------------------------

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_BLANK_LINES = re.compile(r"\n[ \t]*\n(?:[ \t]*\n)+")
_TRAILING_SPACE = re.compile(r"[ \t]+\n")
_HALF_PAIR = re.compile("[\ud800-\udfff]")
"""Half of a surrogate pair: no tokenizer takes it, and the JSON of a call may spell one as an escape."""
_ROOTS = re.compile(
    r"cd /testbed(?: ?&& ?|\b)|/(?:testbed\b/?|workspace/[\w.-]+__[\w.-]+/|code/[\w.-]+/[\w.-]+/"
    r"|home/[^\s'\"]{1,200}?/repo/|(?<![\w/]/)[\w.-]+__[\w.-]+/)"
)
"""Where scaffolds put the checkout; it betrays the scaffold and says nothing of the work.

Every branch begins with a fixed character, which is four times as fast as one that begins with a look behind.
"""


def plain(text: str) -> str:
    """Encodable text: LF line ends, no terminal colours, no trailing spaces, paths relative to the checkout."""
    if not text.isascii():
        text = _HALF_PAIR.sub("\N{REPLACEMENT CHARACTER}", text)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _ROOTS.sub("", _ANSI.sub("", text))
    if " \n" in text or "\t\n" in text:
        text = _TRAILING_SPACE.sub("\n", text)
    return _BLANK_LINES.sub("\n\n", text).strip("\n ")


# --- observations ----------------------------------------------------------------------------------------------------

_MINI = re.compile(r"^\s*<returncode>(-?\d+)</returncode>\s*(.*)", re.DOTALL)
_MINI_TAG = re.compile(r"</?(?:output|output_head|output_tail|warning|elided_chars)>\n?")
_SHELL_PROMPT = re.compile(r"\n*\(Open file: [^\n]*\)\n\(Current directory: [^\n]*\)\nbash-\$\s*$")
_SHELL_PROMPT_MARK = "\nbash-$"
"""Stands in all that the pattern matches and in little else: the pattern itself is tried at every line."""
_CODEX = re.compile(
    r"^(?:Chunk ID: [^\n]*\n)?Wall time: [^\n]*\nProcess (?:exited with code (-?\d+)|[^\n]*)\n"
    r"(?:Original token count: [^\n]*\n)?Output:\n?(.*)",
    re.DOTALL,
)
_OPENHANDS_HEAD = re.compile(r"^EXECUTION RESULT of \[[^\]\n]*\]:\n|^OBSERVATION:\s*")
_OPENHANDS_TAIL = re.compile(
    r"(?:\n\[(?:Jupyter|Python) [^\n]*\])*"
    r"(?:\n\[Current working directory: [^\n]*\])?(?:\n\[Python interpreter: [^\n]*\])?"
    r"\n\[(?:Command finished|The command completed) with exit code (-?\d+)\.?\]\s*$"
)
_OPENHANDS_TAIL_MARK = " with exit code "


def observation(text: str) -> Turn:
    """What the environment answered, without the scaffold's wrapping; its exit code where one is shown."""
    text = _OPENHANDS_HEAD.sub("", text)
    if _SHELL_PROMPT_MARK in text:
        text = _SHELL_PROMPT.sub("", text)
    if found := _MINI.match(text):
        return _observed(_MINI_TAG.sub("", found[2]), int(found[1]))
    if found := _CODEX.match(text):
        return _observed(found[2], int(found[1]) if found[1] else None)
    if _OPENHANDS_TAIL_MARK in text and (found := _OPENHANDS_TAIL.search(text)):
        return _observed(text[: found.start()], int(found[1]))
    if text.startswith("{") and (opened := _json_observation(text)) is not None:
        return opened
    return _observed(text, None)


def _observed(text: str, exit_code: int | None) -> Turn:
    return Turn(kind="observation", text=plain(text), exit_code=exit_code)


def _json_observation(text: str) -> Turn | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    if "stdout" in value and "stderr" in value:
        code = value.get("exitCode")
        streams = [str(value["stdout"] or ""), str(value["stderr"] or "")]
        return _observed("\n".join(s for s in streams if s), code if isinstance(code, int) else None)
    if isinstance(value.get("output"), dict):
        value = value["output"]
    lines = [f"{key}: {_flat(item)}" if key != "message" else _flat(item) for key, item in value.items() if item]
    return _observed("\n".join(lines), None)


# --- actions ---------------------------------------------------------------------------------------------------------

_FUNCTION = re.compile(r"<function=([\w.-]+)>(.*?)(?:</function>|\Z)", re.DOTALL)
_PARAMETER = re.compile(r"<parameter=([\w.-]+)>\n?(.*?)\n?</parameter>", re.DOTALL)
_LAST_BLOCK = re.compile(r"```(?:bash|sh|mswea_bash_command)?[ \t]*\n((?:(?!```).)*?)\n?```\s*$", re.DOTALL)
_THOUGHT_LABEL = re.compile(r"^\s*(?:THOUGHT|DISCUSSION)\b:?\s*")
_COMMAND_LABEL = re.compile(r"\n\s*COMMAND\s*$")
_ECHOED_NAME = re.compile(r"^\[(\w+)\] ?.*\Z", re.DOTALL)
_THOUGHT_KEYS = ("thought", "thoughts", "scratch_pad", "explanation")
_COMMAND_KEYS = ("command", "cmd")
_SETTING_KEYS = frozenset(
    (
        "workdir",
        "working_dir",
        "yield_time_ms",
        "max_output_tokens",
        "timeout",
        "timeout_seconds",
        "sandbox_permissions",
        "justification",
        "replace_all",
        "output_mode",
        "outputMode",
        "head_limit",
        "headLimit",
        "maxTotalMatches",
        "security_risk",
        "is_input",
        "description",
    )
)
"""Arguments that steer the tool and say nothing of the work."""
_SUBMIT = re.compile(r"COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT|^\s*(?:submit|exit)\s*$")
SUBMIT = Action(name="submit", text="submit")
_SHELLS = frozenset(
    ("bash", "shell", "sh", "exec_command", "bash_execute", "execute_bash", "run_command", "terminal", "container.exec")
)


def action(call: ToolCall) -> Action:
    """A tool call in plain text: `$ command` for shells, `name key: value` lines for other tools."""
    arguments = _arguments(call.arguments)
    if isinstance(arguments, str):
        return Action(name=call.name, text=plain(f"{call.name} {arguments}"))
    kept = {
        k: v for k, v in arguments.items() if k not in _SETTING_KEYS and k not in _THOUGHT_KEYS and v not in (None, "")
    }
    command = next((kept[key] for key in _COMMAND_KEYS if key in kept), None)
    if command is not None and (call.name.lower() in _SHELLS or len(kept) == 1):
        written = _flat(command)
        return SUBMIT if _SUBMIT.search(written) else Action(name="shell", text=plain(f"$ {written}"))
    lines = [f"{key}: {_flat(value)}" for key, value in kept.items()]
    return Action(name=call.name, text=plain("\n".join([call.name, *lines])))


def _arguments(text: str) -> dict[str, Any] | str:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, dict) else text


def _flat(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return value[-1] if value[0] in ("bash", "sh") else " ".join(value)
    return json.dumps(value, ensure_ascii=False)


def written_calls(text: str) -> tuple[str, list[ToolCall]]:
    """Calls an agent wrote into its text rather than through a tool interface, and the text without them."""
    calls = [
        ToolCall(name=found[1], arguments=json.dumps(dict(_PARAMETER.findall(found[2]))))
        for found in _FUNCTION.finditer(text)
    ]
    if calls:
        return _FUNCTION.sub("", text), calls
    if found := _LAST_BLOCK.search(text):
        return text[: found.start()], [ToolCall(name="bash", arguments=json.dumps({"command": found[1]}))]
    return text, []


def _agent(message: Message) -> Turn:
    text, calls = message.content, list(message.tool_calls)
    if not calls:
        text, calls = written_calls(text)
    elif (echo := _ECHOED_NAME.match(text)) and echo[1] == calls[0].name:
        text = ""
    text = _COMMAND_LABEL.sub("", _THOUGHT_LABEL.sub("", text))
    arguments = [_arguments(call.arguments) for call in calls]
    thoughts = [_flat(a[key]) for a in arguments if isinstance(a, dict) for key in _THOUGHT_KEYS if a.get(key)]
    said = plain("\n".join(part for part in (message.reasoning, *thoughts, text) if part))
    return Turn(kind="agent", text=said, actions=tuple(action(call) for call in calls))


def wordless(message: Message) -> Message:
    """An agent's message with what it does and nothing of what it says beside that; other messages as they are."""
    if message.role != "assistant":
        return message
    calls = list(message.tool_calls) or written_calls(message.content)[1]
    return message.model_copy(
        update={"content": "", "reasoning": "", "tool_calls": tuple(_without_thoughts(call) for call in calls)}
    )


def _without_thoughts(call: ToolCall) -> ToolCall:
    arguments = _arguments(call.arguments)
    if isinstance(arguments, str):
        return call
    return call.model_copy(
        update={"arguments": json.dumps({k: v for k, v in arguments.items() if k not in _THOUGHT_KEYS})}
    )


# --- the log ---------------------------------------------------------------------------------------------------------

SAME_AS_PATCH = "[the patch]"
_PATCH_PROBE = 200
"""Characters of the patch an observation must hold to count as its echo (a submission prints the whole diff)."""


def turns(trajectory: Trajectory) -> tuple[Turn, ...]:
    """The log in plain form: no system prompts, no demonstrations, no task prompt, every step in one dress.

    A message the environment wrote under the user's name is an observation: all that follow an action are.
    """
    return tuple(_merge(_turns(trajectory)))


def _turns(trajectory: Trajectory) -> Iterable[Turn]:
    probe = plain(trajectory.patch)[:_PATCH_PROBE]
    statement_head = trajectory.task.statement[:80]
    begun = acted = False
    for message in trajectory.messages:
        if message.role == "system" or message.demo:
            continue
        if message.role == "assistant":
            turn = _agent(message)
            begun, acted = True, bool(turn.actions)
        elif _is_prompt(message, statement_head, begun):
            continue
        else:
            turn = observation(message.content)
            if message.role == "user" and not acted and turn.exit_code is None:
                turn = turn.model_copy(update={"kind": "user"})
            if probe and turn.text.startswith("diff --git") and probe in turn.text:
                turn = turn.model_copy(update={"text": SAME_AS_PATCH})
        if turn.text or turn.actions or turn.exit_code is not None:
            yield turn


def _is_prompt(message: Message, statement_head: str, begun: bool) -> bool:
    """Whether a message sets the task: all before the agent's first word, and later ones that repeat the issue."""
    if not begun and (statement_head or message.role == "tool"):
        return True
    return bool(message.role == "user" and statement_head and statement_head in message.content)


def _merge(turns: Iterable[Turn]) -> Iterable[Turn]:
    """Agent turns in a row become one: scaffolds differ in how they split speech from calls."""
    held: Turn | None = None
    for turn in turns:
        if held is not None and held.kind == turn.kind == "agent" and not held.actions:
            text = "\n".join(part for part in (held.text, turn.text) if part)
            held = turn.model_copy(update={"text": text})
            continue
        if held is not None:
            yield held
        held = turn
    if held is not None:
        yield held
