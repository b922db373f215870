"""Judges, one attempt at a time and in pairs: what a reply is read as, and what is never a guess."""

import math
import re
import threading
from collections.abc import Mapping
from typing import Any

import pytest

from swe_rm.calibrate import Calibrator
from swe_rm.scoring import score
from swe_rm.verdict import PartlyScoredError, by_id
from swe_rm.verifiers.calibrated import Calibrated
from swe_rm.verifiers.combined import Mean
from swe_rm.verifiers.foreign.pairwise import Duel, ring
from swe_rm.verifiers.foreign.reading import CHARACTERS_PER_TOKEN
from swe_rm.verifiers.remote.stand_in import StandIn, Written
from tests.conftest import attempt
from tests.foreign.verifier_files import POOL, Folder, say


def test_a_judge_is_asked_several_times_and_the_score_is_the_share_of_yes(folder: Folder) -> None:
    def reply(body: Mapping[str, Any]) -> list[Written]:
        return say("I see it.\n" + ("YES" if body["seed"] < 3 else "**NO**."))

    with StandIn("openai", reply=reply) as server:
        verifier = folder.load("judge", {"url": server.url})
        (verdict,) = verifier(POOL[:1])
    assert verdict.score == 0.75
    assert verdict.bounds is None
    assert [body["seed"] for _, body in server.requests] == [0, 1, 2, 3]
    assert {body["temperature"] for _, body in server.requests} == {1.0}
    assert verifier.spent.completion_tokens == 8
    assert verifier.spent.prompt_tokens == verdict.prompt_tokens
    assert "4 answers" not in str(verifier.spent)
    assert verifier.name.endswith("+chat-served")
    asked = server.requests[0][1]["messages"]
    assert [message["role"] for message in asked] == ["system", "user"]
    assert "+x = 1" in asked[1]["content"]


@pytest.mark.parametrize("last", ["", "YES or NO", "I cannot say", "YESTERDAY", "yes", "YES\nbut who knows"])
def test_a_reply_without_an_answer_is_never_a_guess(last: str, folder: Folder) -> None:
    with StandIn("openai", reply=lambda body: say(f"Hm.\n{last}")) as server:
        verifier = folder.load("judge", {"url": server.url})
        with pytest.raises(PartlyScoredError, match="4 of 4 replies give no answer"):
            verifier(POOL[:1])


def test_one_unread_reply_of_many_gives_bounds_where_the_file_allows_it(folder: Folder) -> None:
    def reply(body: Mapping[str, Any]) -> list[Written]:
        return say("YES" if body["seed"] else "hm")

    answer = {"yes": ["YES"], "no": ["NO"], "missing": "bound"}
    with StandIn("openai", reply=reply) as server:
        (verdict,) = folder.load("judge", {"url": server.url, "repeats": 40}, answer=answer)(POOL[:1])
        assert verdict.bounds == (pytest.approx(39 / 40), 1.0)
        assert verdict.score == pytest.approx(39.5 / 40)
        with pytest.raises(PartlyScoredError, match="too wide"):
            folder.load("judge", {"url": server.url, "repeats": 4}, answer=answer)(POOL[:1])


def test_a_servers_own_predicate(folder: Folder) -> None:
    answer = {"predicate": "The attempt resolves the issue."}
    with StandIn("openai", labels=lambda text: [0.625]) as server:
        (verdict,) = folder.load("judge", {"url": server.url, "kind": "decisions"}, answer=answer)(POOL[:1])
    assert verdict.score == 0.625
    (_, body) = server.requests[0]
    assert body["questions"] == [{"type": "predicate", "instructions": "The attempt resolves the issue."}]
    assert "Adding fails" in body["input"]


LETTERS = "ABCDEFGHIJKLMNOPQRST"


def letters(shown: Mapping[str, float]) -> dict[str, float]:
    return {token: math.log(mass) for token, mass in shown.items()}


def duel_reply(first: Mapping[str, float], second: Mapping[str, float]) -> list[Written]:
    """A reply that quotes the form, then gives a letter a slot."""
    parts = [Written("the form is <score_A>", {}), Written(" X", {" X": 0.0}), Written(" </score_A>\n", {})]
    for slot, shown in (("A", first), ("B", second)):
        best = max(shown, key=lambda token: shown[token])
        parts += [Written(f"<score_{slot}>", {}), Written(best, letters(shown)), Written(f" </score_{slot}>\n", {})]
    return parts


def test_pairs_are_judged_in_both_orders_and_the_score_is_the_expectation(folder: Folder) -> None:
    """The reply favours slot A by one letter; both orders cancel that."""
    places = {number: number * 4 for number in (1, 2, 3)}

    def reply(body: Mapping[str, Any]) -> list[Written]:
        text = body["messages"][0]["content"]
        first, second = (int(found) for found in re.findall(r"\+x = (\d)", text))
        return duel_reply(
            *({f" {LETTERS[place]}": 0.5, LETTERS[place]: 0.5} for place in (places[first], places[second] + 1))
        )

    with StandIn("openai", reply=reply) as server:
        verifier = folder.load("llm-as-a-verifier", {"url": server.url})
        verdicts = by_id(POOL, verifier(POOL))
    assert len(server.requests) == 2 * 6 * 2, "a ring of three, both orders, two repeats, two tasks"
    for trajectory in POOL:
        place = places[int(trajectory.origin.attempt)] + 0.5
        assert verdicts[trajectory.attempt_id].score == pytest.approx(1 - place / 19, abs=1e-3)
    assert verifier.spent.requests == 24
    assert verifier.name.endswith("+pairs-served")
    text = server.requests[0][1]["messages"][0]["content"]
    assert "Does the change mend the cause?" in text
    assert text.index("## Attempt A") < text.index("## Attempt B") < text.index("## Criterion")


def test_a_row_of_a_pair_says_what_was_cut_of_its_attempt(folder: Folder) -> None:
    long = attempt("acme__tool-0", number=9, turns=60, said="I think about it at length. " * 4)
    with StandIn("openai", reply=lambda body: duel_reply({"A": 1.0}, {"B": 1.0})) as server:
        verifier = folder.load("llm-as-a-verifier", {"url": server.url}, length={"max_tokens": 3_000, "rule": "middle"})
        found = by_id([POOL[0], long], verifier([POOL[0], long]))
        with StandIn("openai", reply=lambda body: duel_reply({"A": 1.0}, {"B": 1.0})) as other:
            whole = folder.load("llm-as-a-verifier", {"url": other.url})
            whole([POOL[0], long])
    assert found[POOL[0].attempt_id].truncated_tokens == 0
    sent, uncut = (min(len(body["messages"][0]["content"]) for _, body in s.requests) for s in (server, other))
    assert found[long.attempt_id].truncated_tokens == pytest.approx((uncut - sent) / CHARACTERS_PER_TOKEN, abs=1)


def test_pairs_and_what_is_made_of_them_are_judged_together(folder: Folder) -> None:
    engine = {"url": "http://127.0.0.1:1", "model": "m"}
    pairs, alone = folder.load("llm-as-a-verifier", engine), folder.load("judge", engine)
    same = Calibrator(method="platt", n=9)
    for verifier, together in (
        (pairs, True),
        (alone, False),
        (Mean([alone, pairs]), True),
        (Mean([alone, alone]), False),
        (Calibrated(Mean([pairs]), same), True),
        (Calibrated(alone, same), False),
    ):
        assert getattr(verifier, "judges_together", False) is together


def test_closing_pairs_ends_their_waiting(folder: Folder) -> None:
    with StandIn("openai", failures=[503] * 99) as server:
        verifier = folder.load("llm-as-a-verifier", {"url": server.url})
        timer = threading.Timer(0.1, verifier.close)
        timer.start()
        with pytest.raises(PartlyScoredError, match="nobody waits"):
            verifier(POOL[:2])
        timer.join()


def test_a_letter_that_cannot_be_read_is_an_error_and_no_half(folder: Folder) -> None:
    with StandIn("openai", reply=lambda body: say("<score_A> A </score_A>")) as server:
        verifier = folder.load("llm-as-a-verifier", {"url": server.url})
        with pytest.raises(PartlyScoredError, match="no letter for one of the two") as caught:
            verifier(POOL[:2])
    assert not caught.value.verdicts


@pytest.mark.parametrize(("hidden", "fits"), [(0.02, True), (0.3, False)])
def test_what_the_letters_shown_leave_over_is_a_bound(hidden: float, fits: bool, folder: Folder) -> None:
    shown = {"A": 0.5 * (1 - hidden), "T": 0.5 * (1 - hidden)}
    with StandIn("openai", reply=lambda body: duel_reply(shown, shown)) as server:
        verifier = folder.load("llm-as-a-verifier", {"url": server.url})
        if not fits:
            with pytest.raises(PartlyScoredError, match="too wide"):
                verifier(POOL[:2])
            return
        for verdict in verifier(POOL[:2]):
            assert verdict.bounds == (pytest.approx(0.49), pytest.approx(0.51))
            assert verdict.score == pytest.approx(0.5)


def test_one_attempt_alone_has_nobody_to_be_compared_with(folder: Folder) -> None:
    with StandIn("openai", reply=lambda body: duel_reply({"A": 1.0}, {"B": 1.0})) as server:
        verifier = folder.load("llm-as-a-verifier", {"url": server.url})
        unscored: list[Any] = []
        score([*POOL[:2], POOL[3]], verifier, unscored=unscored.append)
    assert [one.reason for one in unscored] == ["is the only attempt at its task here: pairs need two"]


def test_a_ring_is_every_neighbour_both_ways() -> None:
    assert ring("t", ["a"]) == []
    assert ring("t", ["a", "b"]) == [Duel("t", "a", "b"), Duel("t", "b", "a")]
    assert len(ring("t", list("abcde"))) == 10


# --- files ------------------------------------------------------------------------------------------------------------
