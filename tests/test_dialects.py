"""Scaffolds' dresses come off and leave the same plain turns."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_rm import dialects
from swe_rm.trajectory import Message, Origin, Task, ToolCall, Trajectory

ISSUE = "Adding fails\n\nIt raises."


def log(*messages: Message, statement: str = ISSUE, patch: str = "") -> Trajectory:
    origin = Origin(source="test", policy="p", attempt="1")
    return Trajectory(
        task=Task(instance_id="a__b-1", statement=statement), messages=messages, patch=patch, origin=origin
    )


@pytest.mark.parametrize(
    "prompt",
    [
        f"<pr_description>\nConsider the following PR description:\n{ISSUE}\n</pr_description>\nGo.",
        f"<uploaded_files>\n/x\n</uploaded_files>\n<issue_description>\n{ISSUE}\n</issue_description>",
        f"<issue>{ISSUE}</issue>",
        f"<task>\n{ISSUE}\n</task>",
        f"Here's the issue text:\nISSUE:\n{ISSUE}\n\n\nINSTRUCTIONS:\nGo.",
        f"Fix this.\n\n## Issue\n{ISSUE}\n\n## Approach\nThink.",
        ISSUE,
    ],
)
def test_issue_is_found_in_every_prompt(prompt: str) -> None:
    messages = [Message(role="system", content="<issue>not this</issue>"), Message(role="user", content=prompt)]
    assert dialects.issue_statement(messages) == ISSUE


def test_issue_given_in_a_file_is_found_in_what_the_tool_showed() -> None:
    numbered = "".join(
        f"{n}\t{line}\n" for n, line in enumerate(["# a__b-1: issue from a/b", "", *ISSUE.split("\n")], 1)
    )
    for shown in (numbered, f"Output:\n# a__b-1: issue from a/b\n\n{ISSUE}\n\n## Hints (public)\nnone"):
        messages = [Message(role="user", content="The issue is in a file."), Message(role="tool", content=shown)]
        assert dialects.issue_statement(messages) == ISSUE


def test_demonstrations_hold_no_issue() -> None:
    messages = [Message(role="user", content="<issue>demo</issue>", demo=True), Message(role="user", content=ISSUE)]
    assert dialects.issue_statement(messages) == ISSUE
    assert dialects.issue_statement([]) == ""


@pytest.mark.parametrize(
    ("shown", "code"),
    [
        ("<returncode>1</returncode>\n<output>\nboom\n</output>", 1),
        ("boom\n(Open file: n/a)\n(Current directory: /a__b)\nbash-$", None),
        ("OBSERVATION:\nboom", None),
        ("EXECUTION RESULT of [execute_bash]:\nboom\n[The command completed with exit code 2.]", 2),
        ("Chunk ID: 1a\nWall time: 0.1 seconds\nProcess exited with code 3\nOriginal token count: 4\nOutput:\nboom", 3),
        (json.dumps({"stdout": "boom", "stderr": "", "exitCode": 4}), 4),
        (json.dumps({"output": {"message": "boom"}}), None),
        ("\x1b[31mboom\x1b[0m\r\n", None),
    ],
)
def test_observations_come_out_alike(shown: str, code: int | None) -> None:
    turn = dialects.observation(shown)
    assert (turn.text, turn.exit_code) == ("boom", code)


@pytest.mark.parametrize(
    "message",
    [
        Message(
            role="assistant", content="Look.", tool_calls=(ToolCall(name="bash", arguments='{"command": "ls -a"}'),)
        ),
        Message(
            role="assistant",
            content="Look.",
            tool_calls=(ToolCall(name="exec_command", arguments='{"cmd": "ls -a", "workdir": "/x"}'),),
        ),
        Message(role="assistant", content="THOUGHT: Look.\n\n```bash\nls -a\n```"),
        Message(role="assistant", content="DISCUSSION\nLook.\n\nCOMMAND\n```\nls -a\n```"),
        Message(role="assistant", content="Look.\n<function=bash>\n<parameter=command>ls -a</parameter>\n</function>"),
        Message(
            role="assistant",
            reasoning="Look.",
            tool_calls=(ToolCall(name="shell", arguments='{"command": ["bash", "-lc", "ls -a"]}'),),
        ),
    ],
)
def test_actions_come_out_alike(message: Message) -> None:
    (turn,) = dialects.turns(log(message))
    assert turn == dialects.Turn(kind="agent", text="Look.", actions=(dialects.Action(name="shell", text="$ ls -a"),))


def test_arguments_of_other_tools_survive() -> None:
    call = ToolCall(
        name="edit", arguments='{"path": "a.py", "old": "x", "new": "y\\nz", "timeout": 3, "thoughts": "why"}'
    )
    (turn,) = dialects.turns(log(Message(role="assistant", tool_calls=(call,))))
    assert turn.text == "why"
    assert turn.actions[0].text == "edit\npath: a.py\nold: x\nnew: y\nz"
    raw = ToolCall(name="apply_patch", arguments="*** Begin Patch\n+x")
    assert dialects.action(raw).text == "apply_patch *** Begin Patch\n+x"


def test_prompts_and_demonstrations_are_no_turns() -> None:
    messages = (
        Message(role="system", content="rules"),
        Message(role="user", content="demo", demo=True),
        Message(role="user", content=f"Solve: {ISSUE}"),
        Message(role="tool", content="banner"),
        Message(role="assistant", content="Done."),
    )
    assert [turn.text for turn in dialects.turns(log(*messages))] == ["Done."]


def test_a_user_message_after_an_action_is_an_observation_and_otherwise_the_user() -> None:
    act = Message(role="assistant", content="```bash\nls\n```")
    say = Message(role="assistant", content="What now?")
    user = Message(role="user", content="reply")
    assert [turn.kind for turn in dialects.turns(log(act, user, say, user))] == [
        "agent",
        "observation",
        "agent",
        "user",
    ]


def test_an_echo_of_the_patch_is_named_and_not_repeated() -> None:
    patch = "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n+x\n"
    act = Message(role="assistant", content="```bash\nsubmit\n```")
    turns = dialects.turns(log(act, Message(role="user", content=patch), patch=patch))
    assert turns[0].actions == (dialects.SUBMIT,)
    assert turns[1].text == dialects.SAME_AS_PATCH


def test_deeply_nested_json_is_text() -> None:
    deep = '{"a":' * 50_000 + "1" + "}" * 50_000
    assert dialects.observation(deep).text == deep
    assert dialects.action(ToolCall(name="t", arguments=deep)).text.startswith("t {")


def test_the_checkout_s_place_is_not_told() -> None:
    for path in ("/testbed/src/a.py", "/workspace/django__django__3.0/src/a.py", "/code/acme/tool/src/a.py"):
        assert dialects.plain(f"open {path}") == "open src/a.py"
    assert dialects.plain("cd /testbed && ls") == "ls"


def test_half_a_surrogate_pair_in_escaped_json_is_replaced() -> None:
    """A tokenizer takes no text with one: an attempt whose call spells it could not be scored."""
    call = ToolCall(name="edit", arguments='{"a": "x\\ud800", "b": "\\ud83d\\ude00"}')
    assert dialects.action(call).text == "edit\na: x\N{REPLACEMENT CHARACTER}\nb: \N{GRINNING FACE}"
    assert dialects.observation('{"output": {"n": "\\udfff"}}').text == "n: \N{REPLACEMENT CHARACTER}"
    assert dialects.plain("\ud800\udfff") == "\N{REPLACEMENT CHARACTER}" * 2


# --- what is quick against what is plain to see ----------------------------------------------------------------------

ROOTS = re.compile(
    r"cd /testbed(?: ?&& ?|\b)|/testbed\b/?|/workspace/[\w.-]+__[\w.-]+/|/code/[\w.-]+/[\w.-]+/"
    r"|/home/[^\s'\"]{1,200}?/repo/|(?<![\w/])/[\w.-]+__[\w.-]+/"
)
PIECES = st.sampled_from([
    "/testbed", "/", "testbed", "/workspace/", "a__b", "/a__b-1/", "/code/", "x/y/", "/home/u/", "repo/",
    "cd /testbed", " && ", "\n", " \n", "\t\n", "  ", "w", ".", "\r\n", "\r", "\x1b[1m", "]", " with exit code 3",
    "\ud800", "\N{SNOWMAN}", "\nbash-$",
    "\n(Open file: n/a)\n(Current directory: /x)\nbash-$", "\n[Current working directory: /x]",
    "\n[The command completed with exit code 3.]", "\n[Command finished with exit code 0]", "\n[Jupyter x]",
])  # fmt: skip


def slow_plain(text: str) -> str:
    text = "".join("\N{REPLACEMENT CHARACTER}" if "\ud800" <= char <= "\udfff" else char for char in text)
    text = ROOTS.sub("", dialects._ANSI.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))
    return dialects._BLANK_LINES.sub("\n\n", dialects._TRAILING_SPACE.sub("\n", text)).strip("\n ")


@given(text=st.lists(PIECES, max_size=10).map("".join))
def test_patterns_that_are_skipped_would_not_have_matched(text: str) -> None:
    assert dialects.plain(text) == slow_plain(text)
    bare = dialects._SHELL_PROMPT.sub("", text)
    found = dialects._OPENHANDS_TAIL.search(bare)
    turn = dialects.observation(text)
    assert turn.exit_code == (int(found[1]) if found else None)
    assert turn.text == slow_plain(bare[: found.start()] if found else bare)
