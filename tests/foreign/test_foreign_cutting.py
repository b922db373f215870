"""Bringing an attempt under somebody else's limit: what is cut first, what always stays."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_rm.errors import VerifierError
from swe_rm.trajectory import Message, Origin, Task, ToolCall, Trajectory
from swe_rm.verifiers.foreign.cutting import CONDENSED, CUT, Rule, fit
from swe_rm.verifiers.foreign.entries import Call, Entry, Text, defuser, text_of

ISSUE = "The lamp hums. " * 3
PROMPT = Entry("user", ISSUE)


def measured(text: Text) -> int:
    """Characters of all that a template may use, and a question behind it."""
    return sum(len(entry.written) for entry in text.entries) + len(text.patch) + 40


words = st.text("abc \n", max_size=400)
calls = st.lists(words.map(lambda text: Call("edit", {"new": text})), max_size=2).map(tuple)
agents = st.builds(Entry, st.just("assistant"), words, calls)
answers = st.builds(Entry, st.just("tool"), words)
logs = st.lists(st.one_of(agents, answers), max_size=12)


@given(logs, words, st.integers(60, 3_000), st.sampled_from(["middle", "thoughts"]))
def test_what_fits_fits_and_what_is_cut_is_counted(log: list[Entry], patch: str, limit: int, rule: Rule) -> None:
    text = Text((PROMPT, Entry("assistant", "I look."), *log), patch, ISSUE, True)
    whole = measured(text)
    try:
        fitted, cut = fit(text, measured, limit, rule)
    except VerifierError:
        assert whole > limit
        assert limit < measured(Text((PROMPT._replace(said=CUT), Entry("user", CUT)), CUT, "", True)) + len(CUT)
        return
    assert measured(fitted) <= limit
    assert cut == whole - measured(fitted)
    assert (fitted == text) is (whole <= limit)
    if limit >= 40 + len(ISSUE) + len(patch) + 2 * len(CUT) + 20:
        assert fitted.entries[0] == PROMPT, "the issue stays while the log can give"
        assert fitted.patch == patch


def test_the_end_of_the_log_is_worth_more_than_its_beginning() -> None:
    log = [Entry("assistant", f"<{number}>" + "x" * 96) for number in range(100)]
    fitted, _ = fit(Text((PROMPT, *log), "", ISSUE, True), measured, 2_000, "middle")
    kept = [entry.said[:4] for entry in fitted.entries]
    place = kept.index(CUT[:4])
    assert 2 * (place - 1) < len(kept) - place - 1
    assert kept[1].startswith("<0>")
    assert kept[-1] == "<99>"


@pytest.mark.parametrize("limit", [500, 2_000, 20_000])
@pytest.mark.parametrize("size", [50, 1_000, 200_000])
@pytest.mark.parametrize("where", ["log", "patch", "issue"])
def test_what_is_kept_fills_the_room_there_is(limit: int, size: int, where: str) -> None:
    """However much longer than the limit the whole is: a log of 35,000 tokens kept 265 of 500 once."""
    words = ("lamp " * (size // 5 + 1))[:size]
    log = tuple(Entry(role, words) for _ in range(400_000 // size) for role in ("assistant", "tool"))
    prompt = Entry("user", words * (400_000 // size)) if where == "issue" else PROMPT
    entries = (prompt, *log) if where == "log" else (prompt, Entry("assistant", "I look."))
    text = Text(entries, words * (400_000 // size) if where == "patch" else "", ISSUE, True)
    fitted, cut = fit(text, measured, limit, "middle")
    assert 0.97 * limit <= measured(fitted) <= limit
    assert cut == measured(text) - measured(fitted)


def test_the_longest_thoughts_go_first_and_only_as_many_as_are_needed() -> None:
    sizes = [900, 300, 700, 100, 500]
    log = [Entry("assistant", "t" * size, (Call("run", {"command": str(size)}),)) for size in sizes]
    text = Text((PROMPT, *log), "", ISSUE, True)
    fitted, _ = fit(text, measured, measured(text) - 1_000, "thoughts")
    said = [entry.said for entry in fitted.entries[1:]]
    assert [len(one) if one != CONDENSED else 0 for one in said] == [900, 300, 0, 100, 0]
    assert all(entry.calls for entry in fitted.entries[1:])


def test_what_was_said_goes_before_what_was_done() -> None:
    entry = Entry("assistant", "t" * 3_000, (Call("run", {"command": "make lamp"}),))
    fitted, _ = fit(Text((PROMPT, entry), "", ISSUE, True), measured, 600, "middle")
    (kept,) = [one for one in fitted.entries if one.calls]
    assert kept.calls == entry.calls
    assert CUT in kept.said


def test_a_refusal_says_how_long() -> None:
    with pytest.raises(VerifierError, match="85 tokens, 80 are read: refused by its rule"):
        fit(Text((PROMPT,), "", ISSUE, True), measured, 80, "refuse")


# --- entries ----------------------------------------------------------------------------------------------------------


def trajectory(*messages: Message, statement: str = "The lamp hums.") -> Trajectory:
    origin = Origin(source="s", policy="p", attempt="1")
    return Trajectory(task=Task(instance_id="t", statement=statement), messages=messages, origin=origin)


def say(role: Any, content: str, **more: Any) -> Message:
    return Message(role=role, content=content, **more)


PLAIN = defuser(())


def test_an_issue_that_no_message_shows_is_put_first() -> None:
    shown = text_of(trajectory(say("system", "You mend."), say("assistant", "Done.")), PLAIN)
    assert [(entry.role, entry.said) for entry in shown.entries] == [
        ("system", "You mend."), ("user", "The lamp hums."), ("assistant", "Done."),
    ]  # fmt: skip
    there = text_of(trajectory(say("user", "Mend the lamp."), say("assistant", "Done.")), PLAIN)
    assert [entry.role for entry in there.entries] == ["user", "assistant"]
    assert [entry.role for entry in text_of(trajectory(statement=""), PLAIN).entries] == []


def test_the_environment_may_speak_as_the_user() -> None:
    log = [
        say("user", "a"),
        say("user", "b"),
        say("assistant", "c"),
        say("assistant", "d"),
        say("tool", "e"),
        say("tool", "f"),
    ]
    merged = text_of(trajectory(*log), PLAIN, merge=True)
    assert [(entry.role, entry.said) for entry in merged.entries] == [
        ("user", "a\nb"), ("assistant", "c"), ("assistant", "d"), ("user", "e\nf"),
    ]  # fmt: skip


def test_calls_are_written_whatever_their_arguments_are() -> None:
    arguments = [json.dumps({"n": 3, "deep": {"a": [1]}}), "[1, 2]", "not json", "[" * 9_000]
    message = say("assistant", "I act.", tool_calls=tuple(ToolCall(name="act", arguments=one) for one in arguments))
    (entry,) = text_of(trajectory(message, statement=""), PLAIN).entries
    assert entry.written.startswith("I act.\n\n<function=act>\n<parameter=n>3</parameter>\n<parameter=deep>{")
    assert entry.written.count("</function>") == 4
    assert "<parameter=arguments>not json</parameter>" in entry.written


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("<|im_end|> <|x", "< |im_end|> <|x"),
        ("<s>[INST] </s>", "< s>[ INST] < /s>"),
        ("if a <b and c|>d", "if a <b and c|>d"),
        ("<start_of_turn>", "< start_of_turn>"),
    ],
)
def test_without_a_tokenizer_what_looks_like_a_mark_is_none_any_more(text: str, found: str) -> None:
    assert PLAIN(text) == found


def test_with_a_tokenizer_its_own_marks_are_none_any_more() -> None:
    defused = defuser(["<end>", "<end>>", "[/x]"])
    assert defused("a<end>>b[/x]<|im_end|>") == "a< end>>b[ /x]<|im_end|>"
