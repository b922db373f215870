"""Each step drops what it is for, says why with a number, and does nothing when it is switched off."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_rm.inspection.continuation import chain
from swe_rm.mix.config import MixConfig
from swe_rm.mix.evaluation_list import Match
from swe_rm.mix.facts import HISTORY, ORACLE, TRIES, Facts, Settings, facts_of
from swe_rm.mix.ledger import ledger
from swe_rm.mix.manifest import between
from swe_rm.mix.near import sketch
from swe_rm.mix.steps import STEPS, clean, linked, split, switched_on
from swe_rm.trajectory import Labelled, Outcome, Task
from tests.mixing import OFF, fact, mixing
from tests.test_steps import log, said, saw, user
from tests.test_suspicion import ASK, FOUND, GOLD

YES, NO, UNKNOWN = Outcome.RESOLVED, Outcome.UNRESOLVED, Outcome.UNKNOWN


def dropped(config: MixConfig, *table: Facts) -> dict[int, str]:
    left, why = clean(table, config)
    assert {facts.ordinal for facts in left} | why.keys() == {facts.ordinal for facts in table}
    assert len(left) + len(why) == len(table)
    return {ordinal: str(one) for ordinal, one in why.items()}


def only(**switched: Any) -> MixConfig:
    """A config with one thing switched on."""
    drop = OFF | switched.pop("drop", {})
    return mixing("data", drop=drop, **switched)


def test_unknown_outcomes_are_told_apart_by_what_is_said_of_them() -> None:
    table = fact(0), fact(1, outcome=UNKNOWN), fact(2, outcome=UNKNOWN, infra=True)
    assert dropped(only(), *table) == {}
    assert dropped(only(drop={"unlabelled": True}), *table) == {1: "dropped by unlabelled: outcome unknown"}
    assert dropped(only(drop={"infra_failures": True}), *table) == {
        2: "dropped by infra_failures: the evaluation failed"
    }


@pytest.mark.parametrize(
    ("provenance", "infra"),
    [
        ("run/report.json: infra_failure: image not found", True),
        ("run/report.json: ambiguous_failure", True),
        ("report.json: error_ids", True),
        ("report.json: test_timeout", True),
        ("", False),
        ("labels disagree: resolved (a) and unresolved (b)", False),
        ("table.jsonl: reward 0.5: neither 0 nor 1", False),
    ],
)
def test_what_counts_as_a_failure_of_the_evaluation(provenance: str, infra: bool) -> None:
    settings = Settings.of(only())
    item = Labelled(trajectory=log(user("ask"), said("done")), outcome=UNKNOWN, provenance=provenance)
    assert facts_of(0, item, settings).infra is infra
    known = item.model_copy(update={"outcome": NO})
    assert facts_of(0, known, settings).infra is False


def test_rows_with_and_without_a_log() -> None:
    table = fact(0), fact(1, logged=False)
    assert dropped(only(rows="both"), *table) == {}
    assert dropped(only(rows="log"), *table) == {1: "dropped by rows: no log"}
    assert dropped(only(rows="patch"), *table) == {0: "dropped by rows: has a log"}


def test_lengths_are_limited_on_both_sides_inclusively() -> None:
    table = [fact(n, characters=size) for n, size in enumerate((99, 100, 2000, 2001))]
    limits = {"min_characters": 100, "max_characters": 2000}
    assert dropped(only(length=limits), *table) == {
        0: "dropped by length: fewer characters: 99 < 100",
        3: "dropped by length: more characters: 2,001 > 2,000",
    }
    assert dropped(only(length={"max_characters": 99}), fact(0, characters=99)) == {}


def test_tokens_are_those_of_the_whole_rendering(tmp_path: Any, vocabulary: Any) -> None:
    from swe_rm.render import LengthPolicy, Renderer

    vocabulary.save(tmp_path)
    config = only(length={"max_tokens": 30, "vocabulary": tmp_path})
    item = Labelled(trajectory=log(user("The lamp stays dark."), said("I light it."), saw("ok")), outcome=YES)
    found = facts_of(0, item, Settings.of(config))
    assert found.tokens == len(Renderer(vocabulary, LengthPolicy()).prompt(item.trajectory).token_ids)
    assert dropped(config, found) == {0: f"dropped by length: more tokens: {found.tokens:,} > 30"}


def test_what_is_on_the_evaluation_list_goes_by_its_rule() -> None:
    table = fact(0, match=Match("issue", "a__b-1", 0.625, 80)), fact(1)
    assert dropped(only(), *table) == {
        0: "dropped by decontaminate: issue: issue of a__b-1 on the evaluation list: 62% of 80 word n-grams"
    }


def test_suspicious_attempts_go_by_their_kind() -> None:
    table = fact(0, suspicions=(("hidden_tests_shown", 4), ("fix_shown", 5))), fact(1, suspicions=(("fix_shown", 7),))
    table += fact(2, suspicions=(("several_tries", 9),)), fact(3)
    assert dropped(only(), *table) == {
        0: "dropped by oracle_feedback: hidden_tests_shown: message 4",
        1: "dropped by history: fix_shown: message 7",
        2: "dropped by several_tries: several_tries: message 9",
    }


@pytest.mark.parametrize(
    ("switch", "kind"),
    [
        (switch, kind)
        for switch, kinds in (("oracle_feedback", ORACLE), ("history", HISTORY), ("several_tries", TRIES))
        for kind in kinds
    ],
)
def test_only_what_is_switched_on_is_looked_for(switch: str, kind: str) -> None:
    item = Labelled(trajectory=log(ASK, *FOUND[kind][0]), outcome=YES)
    on, off = (replace(Settings.of(only(drop=drop)), gold={GOLD.instance_id: GOLD}) for drop in ({switch: True}, {}))
    (found,) = (hit for hit in facts_of(0, item, on).suspicions if hit[0] == kind)
    assert found[1] > 0
    assert facts_of(0, item, off).suspicions == ()


def test_patches_equal_to_the_gold_patch_go_when_asked() -> None:
    table = fact(0, gold_equal=True), fact(1)
    assert dropped(only(), *table) == {}
    config = only(drop={"gold_equal": True}, tasks=["rows"])
    assert dropped(config, *table) == {0: "dropped by gold_equal: equals the gold patch: patch p0"}


def test_equal_patches_that_disagree_go_all_or_the_fewer() -> None:
    same = {"instance_id": "a__b-1", "patch": "same"}
    table = [fact(n, outcome=outcome, **same) for n, outcome in enumerate((YES, NO, YES))]
    table += [fact(3, instance_id="a__b-2", patch="same", outcome=NO), fact(4, instance_id="a__b-1", patch="")]
    table += [fact(5, outcome=UNKNOWN, **same)]
    said_ = "dropped by conflicting: equal patches disagree: patch same is resolved 2x, unresolved 1x"
    assert dropped(only(drop={"conflicting": "all"}), *table) == dict.fromkeys((0, 1, 2), said_)
    assert dropped(only(drop={"conflicting": "minority"}), *table) == {1: said_}
    assert dropped(only(drop={"conflicting": "minority"}), *table[:2]).keys() == {0, 1}
    assert dropped(only(drop={"conflicting": "all"}), table[0], *table[2:]) == {}
    blank = [fact(0, patch="a", content=b"x"), fact(1, patch="b", content=b"x", outcome=NO)]
    assert dropped(only(drop={"conflicting": "all"}), *blank).keys() == {0, 1}


def test_the_first_of_what_reads_the_same_stays_whatever_it_is_called() -> None:
    table = fact(0, content=b"x", policy="a"), fact(1, content=b"x", policy="b"), fact(2)
    assert dropped(only(drop={"duplicates": True}), *table) == {
        1: f"dropped by duplicates: reads the same: as {table[0]}"
    }


def test_identity_is_no_content_and_the_issue_of_a_task_row_is(tmp_path: Any) -> None:
    rows = tmp_path / "tasks.jsonl"
    rows.write_text('{"instance_id": "tinkers__lantern-12", "problem_statement": "The lamp stays dark."}\n')
    shown = log(user("ask"), said("done"))
    renamed = shown.model_copy(update={"origin": shown.origin.model_copy(update={"policy": "q"})})
    bare = shown.model_copy(update={"task": Task(instance_id="tinkers__lantern-12", repo="tinkers/lantern")})
    other = shown.model_copy(update={"patch": "+y"})
    settings = Settings.of(only(tasks=[rows]))
    one, two, three, four = (
        facts_of(n, Labelled(trajectory=t, outcome=YES), settings).content
        for n, t in enumerate((shown, renamed, bare, other))
    )
    assert one == two == three != four
    assert facts_of(0, Labelled(trajectory=bare), Settings.of(only())).content != one


def test_attempts_that_go_on_where_another_ended() -> None:
    work = [message for name in "abcde" for message in (said(f"I do {name}"), saw(f"{name} is done"))]
    chains = [chain(log(user("ask"), *work[:end])) for end in (6, 10)]
    table = [fact(n, instance_id="a__b-1", chain=one) for n, one in enumerate(chains)]
    assert dropped(only(drop={"continuations": True}), *table) == {
        1: f"dropped by continuations: continues another: {table[0]}: 7 messages are equal"
    }
    apart = [table[0], table[1]._replace(instance_id="a__b-2")]
    assert dropped(only(drop={"continuations": True}), *apart) == {}
    assert dropped(only(), *table) == {}


def test_near_copies_go_when_their_outcome_is_equal() -> None:
    words = [f"word{n}" for n in range(400)]
    texts = [" ".join(words), " ".join([*words[:-2], "other", "end"]), " ".join(reversed(words))]
    table = [fact(n, sketch=sketch(text)) for n, text in enumerate(texts)]
    found = dropped(only(drop={"near_duplicates": 0.8}), *table)
    assert found.keys() == {1}
    assert found[1].startswith(f"dropped by near_duplicates: nearly the same: as {table[0]}: estimated Jaccard 0.9")
    assert dropped(only(drop={"near_duplicates": 0.8}), table[0], table[1]._replace(outcome=NO)) == {}
    assert dropped(only(drop={"near_duplicates": 0.8}), table[0], table[1]._replace(repo="acme/lamp")) == {}
    assert dropped(only(), *table) == {}


def test_what_is_near_a_copy_and_not_near_what_stays_is_kept() -> None:
    words = [f"word{n}" for n in range(1200)]
    texts = [" ".join([*words[:start], *(f"other{n}" for n in range(start, 1200))]) for start in (1200, 1110, 1020)]
    table = [fact(n, sketch=sketch(text)) for n, text in enumerate(texts)]
    found = dropped(only(drop={"near_duplicates": 0.8}), *table)
    assert found.keys() == {1}
    again = dropped(only(drop={"near_duplicates": 0.8}), *table, fact(3, sketch=table[2].sketch))
    assert set(again) == {1, 3}
    assert str(table[2]) in again[3]


def test_the_issue_is_no_part_of_what_is_nearly_the_same() -> None:
    long = "The lamp stays dark when its wick is wet. " * 40
    one, two = log(user(long), said("I dry the wick."), patch="+dry"), log(user(long), said("I ask."), patch="+oil")
    settings = Settings.of(only(drop={"near_duplicates": 0.8}))
    table = [
        facts_of(
            n,
            Labelled(trajectory=t.model_copy(update={"task": Task(instance_id="a__b-1", statement=long)}), outcome=YES),
            settings,
        )
        for n, t in enumerate((one, two))
    ]
    assert dropped(only(drop={"near_duplicates": 0.8}), *table) == {}


def test_splits_keep_tasks_or_repositories_whole() -> None:
    table = [fact(n, instance_id=f"a__b-{n % 7}", repo=f"a/r{n % 3}") for n in range(42)]
    parts = {"train": [0, 1, 2], "held-out": [3]}
    by_task, apart = split(table, mixing("data", splits={"folds": 4, "parts": parts}))
    assert sum(map(len, by_task.values())) == 42
    assert not apart
    assert not {f.instance_id for f in by_task["train"]} & {f.instance_id for f in by_task["held-out"]}
    assert all(Task(instance_id=f.instance_id).fold(4) == 3 for f in by_task["held-out"])
    by_repo, apart = split(table, mixing("data", splits={"by": "repo", "folds": 2, "parts": {"train": [0]}}))
    assert len({f.repo for f in by_repo["train"]}) == 3 - len({f.repo for f in table if f.ordinal in apart})
    assert all(str(why).startswith("dropped by split: in no part: fold 1 of 2") for why in apart.values())
    _, apart = split([fact(0, repo="")], mixing("data", splits={"by": "repo", "folds": 2, "parts": {"train": [0, 1]}}))
    assert str(apart[0]) == "dropped by split: names no repository"


def test_tasks_that_share_an_issue_stay_in_one_part_whatever_they_are_called() -> None:
    table = [fact(n, instance_id=f"{'ab'[n % 2]}__c-{n // 2}", issue=f"issue {n // 2}".encode()) for n in range(40)]
    names = linked(table)
    assert all(names[f"b__c-{n}"] == f"a__c-{n}" == names[f"a__c-{n}"] for n in range(20))
    parts, _ = split(table, mixing("data", splits={"folds": 2, "parts": {"train": [0], "held_out": [1]}}))
    assert not {f.issue for f in parts["train"]} & {f.issue for f in parts["held_out"]}
    chained = [fact(0, issue=b"p"), fact(1, instance_id="acme__tool-0", issue=b"q"), fact(2, issue=b"q"), fact(3)]
    assert linked(chained) == {
        "acme__tool-0": "acme__tool-0",
        "acme__tool-2": "acme__tool-0",
        "acme__tool-3": "acme__tool-3",
    }
    said = between({"train": [fact(0, patch="p")], "held_out": [fact(1, patch="p"), fact(2, patch="")]})
    assert (said.tasks_joined, said.shared_patches, said.shared_repos) == (0, 1, 1)


FACTS = st.lists(
    st.tuples(
        st.sampled_from(["a__b-1", "a__b-2"]), st.sampled_from(Outcome), st.booleans(), st.sampled_from(["", "p", "q"]),
        st.sampled_from([b"x", b"y", b"z"]), st.integers(0, 500), st.booleans(),
    ),
    max_size=12,
)  # fmt: skip


@given(FACTS)
def test_what_is_read_is_what_is_kept_and_what_is_dropped(values: list[Any]) -> None:
    table = [
        fact(n, instance_id=task, outcome=outcome, infra=infra and outcome is UNKNOWN, patch=patch, content=content,
             characters=size, logged=logged)
        for n, (task, outcome, infra, patch, content, size, logged) in enumerate(values)
    ]  # fmt: skip
    config = only(rows="log", length={"max_characters": 400}, drop=dict.fromkeys(OFF, True) | {"conflicting": "all"})
    left, why = clean(table, config)
    account = ledger(table, len(left), why, switched_on(config))
    assert account.read == len(table) == account.kept + account.dropped
    assert all(sum(line.sources.values()) == sum(line.outcomes.values()) == line.n for line in account.lines)
    assert [STEPS_ORDER.index(line.step) for line in account.lines] == sorted(
        STEPS_ORDER.index(line.step) for line in account.lines
    )
    assert all((account.steps[name] is None) != on for name, on in switched_on(config).items())
    assert sum(n or 0 for n in account.steps.values()) == account.dropped
    assert len({facts.content for facts in left}) == len(left)
    assert clean(left, config)[0] == left
    assert clean(table, only()) == (table, {})


STEPS_ORDER = list(STEPS)


def test_an_account_that_does_not_add_up_is_caught() -> None:
    with pytest.raises(AssertionError):
        ledger([fact(0), fact(1)], 1, {}, switched_on(only()))


def test_an_earlier_step_is_the_one_that_counts() -> None:
    table = fact(0, logged=False, characters=9, outcome=UNKNOWN)
    config = only(rows="log", length={"min_characters": 10}, drop={"unlabelled": True})
    assert Counter(why.split(":")[0] for why in dropped(config, table).values()) == {"dropped by unlabelled": 1}
