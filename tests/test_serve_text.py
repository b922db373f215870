"""Text alone: known chat markers are taken apart, anything else is an issue and a log; no patch, and it says so."""

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_rm.serve.failures import RequestError
from swe_rm.serve.plain_text import _BEGINS, _ENDS, _stripped, attempt_of_text
from swe_rm.serve.received import read_text
from swe_rm.serve.settings import Settings
from swe_rm.trajectory import Trajectory

CALL = '<tool_call>\n{"name": "bash", "arguments": {"command": "cat lamp.py"}}\n</tool_call>'

CHATML = (
    "<|im_start|>system\nYou mend lamps.<|im_end|>\n<|im_start|>user\nThe lamp hums.<|im_end|>\n"
    f"<|im_start|>assistant\n<think>\nIs it the wick?\n</think>\nI look.\n{CALL}<|im_end|>\n"
    "<|im_start|>user\n<tool_response>\nlit = True\n</tool_response><|im_end|>\n"
    "<|im_start|>assistant\nMended.<|im_end|>\n"
)
LLAMA = (
    "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nYou mend lamps.<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\nThe lamp hums.<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\nMended.<|eot_id|>"
)
GEMMA = "<bos><start_of_turn>user\nThe lamp hums.<end_of_turn>\n<start_of_turn>model\nMended.<end_of_turn>\n"
GLM = (
    "[gMASK]<sop><|system|>\nYou mend lamps.<|user|>\nThe lamp hums.<|assistant|>\nMended.<|observation|>\nlit = False"
)
DEEPSEEK = "<｜begin▁of▁sentence｜>You mend lamps.<｜User｜>The lamp hums.<｜Assistant｜>Mended.<｜end▁of▁sentence｜>"  # noqa: RUF001
MISTRAL = "<s>[INST] The lamp hums. [/INST] Mended.</s>"


def log(trajectory: Trajectory) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in trajectory.messages]


@pytest.mark.parametrize("text", [CHATML, LLAMA, GEMMA, GLM, DEEPSEEK, MISTRAL])
def test_a_rendered_chat_is_taken_apart(text: str) -> None:
    found = attempt_of_text(text, "1")
    said = log(found)
    assert ("user", "The lamp hums.") in said
    assert "Mended." in [content for role, content in said if role == "assistant"]
    assert all(content in ("You mend lamps.",) for role, content in said if role == "system")
    assert not any("<" in content or "INST" in content for _, content in said)
    assert found.task.statement == "The lamp hums."
    assert (found.patch, found.finished) == ("", False)


def test_thoughts_calls_and_results_are_found_in_it() -> None:
    found = attempt_of_text(CHATML, "1").messages
    assert [message.role for message in found] == ["system", "user", "assistant", "tool", "assistant"]
    assert found[2].reasoning == "Is it the wick?"
    assert found[2].content == "I look."
    assert [(call.name, call.arguments) for call in found[2].tool_calls] == [("bash", '{"command":"cat lamp.py"}')]
    assert found[3].content == "lit = True"


def test_equal_chats_of_other_markers_read_alike() -> None:
    kept = [message for message in attempt_of_text(LLAMA, "1").messages if message.role != "system"]
    assert kept == list(attempt_of_text(GEMMA, "1").messages) == list(attempt_of_text(MISTRAL, "1").messages)


def test_without_markers_the_first_paragraph_is_the_issue_and_the_rest_the_log() -> None:
    found = attempt_of_text("The lamp hums.\nAt night.\n\nI trimmed the wick.\n\nDone.", "1")
    assert found.task.statement == "The lamp hums.\nAt night."
    assert log(found) == [("assistant", "I trimmed the wick.\n\nDone.")]


def test_a_prompt_is_the_issue_and_is_not_read_twice() -> None:
    found = attempt_of_text("Mend it.\n\nIt hums. I trimmed the wick.", "1", prompt="Mend it.\n\nIt hums. ")
    assert found.task.statement == "Mend it.\n\nIt hums."
    assert log(found) == [("assistant", "I trimmed the wick.")]
    rendered = attempt_of_text(CHATML, "1", prompt=CHATML[: CHATML.index("<|im_start|>assistant")])
    assert rendered.task.statement == "The lamp hums."
    assert rendered.messages == attempt_of_text(CHATML, "1").messages


def test_attempts_at_one_issue_meet_and_stay_apart() -> None:
    first, second = (attempt_of_text(f"The lamp hums.\n\ntry {n}", str(n)) for n in (1, 2))
    assert first.task.instance_id == second.task.instance_id
    assert first.attempt_id != second.attempt_id
    assert attempt_of_text("The lamp hums.\n\ntry", "1", instance_id="lamp-1").task.instance_id == "lamp-1"


@pytest.mark.parametrize("text", ["", " \n\n ", "The lamp hums.", "<|im_start|>user\nThe lamp hums.<|im_end|>"])
def test_a_text_that_tells_of_no_attempt_is_refused(text: str) -> None:
    with pytest.raises(RequestError) as refused:
        read_text(text, "query 1", Settings())
    assert refused.value.type == "unreadable"
    assert str(refused.value).startswith("query 1: ")


def test_a_chat_of_unknown_roles_is_refused() -> None:
    with pytest.raises(RequestError, match="unknown role"):
        read_text("<|im_start|>cook\nSoup.<|im_end|><|im_start|>assistant\nYes.", "query 1", Settings())


MARKS = ["<|im_start|>", "assistant\n", "user\n", "<|im_end|>", "<think>", "</think>", "<tool_call>", "</tool_call>"]
MARKS += ["<tool_response>", "</tool_response>", "{}", '{"name": 1}', "[INST]", "[/INST]", "\n\n", "x", "\0", "\ud800"]


@given(st.lists(st.sampled_from(MARKS), max_size=30).map("".join))
def test_whatever_the_text_it_is_an_attempt_or_refused(text: str) -> None:
    try:
        attempt = read_text(text, "query 1", Settings())
    except RequestError:
        return
    assert attempt.text_only
    assert any(message.role == "assistant" for message in attempt.trajectory.messages)


@pytest.mark.parametrize("mark", [mark for mark in MARKS if len(mark) > 3] + ["<|im_start|>a", "</think><think>"])
def test_a_long_hostile_text_takes_no_longer_than_its_length(mark: str) -> None:
    """A pattern that looked to the end of the text at every mark would need hours for these."""
    started = time.process_time()
    text = mark * (200_000 // len(mark))
    with contextlib.suppress(RequestError):
        read_text(text, "query 1", Settings())
    assert time.process_time() - started < 60


@pytest.mark.parametrize("mark", ["[INST]", "<|im_start|>user\n", "<|user|>", "<start_of_turn>user\n"])
def test_a_text_that_speaks_of_a_mark_is_no_chat(mark: str) -> None:
    found = attempt_of_text(f"The parser fails on {mark} in a file.\n\nI mended the lexer.", "1")
    assert found.task.statement == f"The parser fails on {mark} in a file.".strip()
    assert log(found) == [("assistant", "I mended the lexer.")]


@pytest.mark.parametrize("mark", ["</s>", "<|im_end|>", "<s>", " ", "<|im_end|> "])
def test_a_million_marks_are_read_once(mark: str) -> None:
    """Read again for each mark they would take minutes."""
    text = "<|im_start|>user\nThe lamp hums.<|im_end|>\n<|im_start|>assistant\nMended." + mark * 200_000
    assert log(attempt_of_text(text, "1"))[-1] == (
        "assistant",
        "Mended." if mark != "<s>" else "Mended." + mark * 200_000,
    )


@given(st.lists(st.sampled_from([" ", "\n", "</s>", "<|im_end|>", "<s>", "<bos>", "a", "<", "|"]), max_size=12))
def test_stripping_marks_is_stripping_them_one_by_one(pieces: list[str]) -> None:
    def slowly(text: str) -> str:
        while True:
            bare = text.strip()
            for mark in _ENDS:
                bare = bare.removesuffix(mark)
            for mark in _BEGINS:
                bare = bare.removeprefix(mark)
            if bare == text:
                return text
            text = bare

    assert _stripped("".join(pieces)) == slowly("".join(pieces))
