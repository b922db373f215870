"""Pages of attempts: which are chosen, what they show and leave out, hostile logs, one log in memory at a time."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swe_rm.__main__ import main
from swe_rm.errors import VerifierError
from swe_rm.pages import attempts
from swe_rm.pages.attempts import Reader, Told, bound, clipped, sheet, told_of
from swe_rm.pages.chosen import Choice, chosen, read_again
from swe_rm.pages.report import write_report
from swe_rm.progress import Curve, Step
from swe_rm.render import Fate, LengthPolicy, Renderer
from swe_rm.trajectory import Labelled, ToolCall, Trajectory
from swe_rm.verdict import Verdict
from swe_rm.verifiers import SHIPPED, model_folders
from swe_rm.vocabulary import Vocabulary
from tests.report_pages import OUTCOMES, Page, attempt, report
from tests.scoring_pools import Row, drawn, measured, scored

VERIFIER = f"{__name__}:Longer"
ATTACKS = [
    "</script><script>alert(1)</script>",
    "</pre></li></section><img src=x onerror=alert(1)>",
    "\x1b[2J\x1b[31mred\x1b]8;;http://lamp\x07",
    "\u202egnp.exe\u202c \u2066x\u2069 \u200b\ufeff",
    "\x00\x07\x85\u2028\u2029",
    "<!-- <style>*{display:none}</style>",
    "\ud800 half a pair",
    "&lt;b&gt; &#x3c;i&#x3e; ]]> <![CDATA[",
]


class Longer:
    """Believes an attempt the more, the longer its log."""

    name = "longer@1"

    def __call__(self, trajectories: Sequence[Trajectory]) -> list[Verdict]:
        return [self._verdict(trajectory) for trajectory in trajectories]

    def _verdict(self, trajectory: Trajectory) -> Verdict:
        score = min(1.0, sum(len(message.content) for message in trajectory.messages) / 400)
        return Verdict(attempt_id=trajectory.attempt_id, score=score, raw_score=score, verifier=self.name)


def choice(item: Labelled, **changes: object) -> Choice:
    trajectory = item.trajectory
    task, policy, run = trajectory.key
    made = Choice(trajectory.attempt_id, task, policy, run, item.outcome, 0.91, 1, 3, True)
    return made._replace(**changes)  # type: ignore[arg-type]


def page(item: Labelled, told: Told = Told(None, None, None), reader: Reader = Reader()) -> Page:  # noqa: B008
    return Page("".join(bound({item.trajectory.attempt_id: sheet(item, choice(item), told, reader)})))


# --- which -----------------------------------------------------------------------------------------------------------


def test_wrong_verdicts_come_first_then_the_best_of_each_task() -> None:
    found = measured(drawn(12, 4))
    ids = list(chosen(found, 1_000))
    wrong = [one.attempt_id for one in found.mistakes]
    assert ids[: len(wrong)] == wrong
    depth = {c.attempt_id: (place, r.instance_id) for r in found.rankings for place, c in enumerate(r.candidates)}
    rest = [id_ for id_ in ids if id_ not in wrong]
    assert rest == sorted(rest, key=lambda id_: depth[id_])
    assert sorted(ids) == sorted(depth)
    assert list(chosen(found, 7)) == ids[:7]
    assert not chosen(found, 0)


def test_a_choice_says_where_it_stood_and_why() -> None:
    found = measured([Row("lamp-1", "mill", n == 0, n / 4) for n in range(4)])
    choices = chosen(found)
    assert [(c.rank, c.n_candidates, c.score, c.is_wrong) for c in choices.values()] == [
        (1, 4, 0.75, True), (4, 4, 0.0, True), (2, 4, 0.5, False), (3, 4, 0.25, False)
    ]  # fmt: skip


def test_a_wrong_verdict_at_a_task_without_a_ranking_has_a_page_too() -> None:
    rows = [Row(f"lamp-{n:04}", "mill", n % 2 == 0, 0.2 + 0.4 * (n % 2) + n / 5_000) for n in range(600)]
    (first, *_) = chosen(measured(rows, resamples=2)).values()
    assert (first.instance_id, first.rank) == ("lamp-0599", None)


def test_no_more_is_read_again_than_is_needed() -> None:
    items = [attempt(number=number) for number in range(5)]
    met = []

    def stream() -> Iterator[Labelled]:
        for item in items:
            met.append(item)
            yield item

    wanted = [items[2].trajectory.attempt_id, items[0].trajectory.attempt_id]
    assert list(read_again(stream(), wanted)) == [items[0], items[2]]
    assert len(met) == 3
    assert not list(read_again(stream(), []))
    assert len(met) == 3
    assert list(read_again(stream(), ["never there"])) == []


# --- what ------------------------------------------------------------------------------------------------------------


def test_a_page_shows_score_issue_log_and_patch() -> None:
    made = page(attempt(), Told(0.5, 900, 0))
    words = [
        "0.910 (0.500 before calibration)", "unresolved, against the verdict", "1 of 3 at its task", "900 tokens",
        "stays on after off()", "I trim the wick. (3)", "$ python -m pytest -k wick", "exit 1", "Nothing was cut",
        "report.json",
    ]  # fmt: skip
    for word in words:
        assert word in made.text
    assert (made.tags["ins"], made.tags["del"], made.tags["b"]) == (1, 1, 4)
    assert made.tags["li"] == 8
    assert [level for level in ("h2", "h3", "h4") if made.tags[level]] == ["h2", "h3", "h4"]


def test_an_attempt_of_a_patch_alone_has_a_page() -> None:
    item = attempt(0)
    bare = item.model_copy(
        update={"trajectory": item.trajectory.model_copy(update={"messages": (), "finished": False})}
    )
    text = page(bare).text
    assert "only the patch is known" in text
    assert "did not finish" in text
    nothing = bare.model_copy(update={"trajectory": bare.trajectory.model_copy(update={"patch": "\n"})})
    assert "There is none." in page(nothing).text


def test_what_is_long_is_clipped_and_said_to_be() -> None:
    seen = "".join(f"{number} lamps\n" for number in range(5_000))
    made = page(attempt(2, seen=seen))
    assert len(made.text) < 6_000
    assert made.text.count("characters are not shown on this page") == 2
    assert "0 lamps" in made.text
    assert "4999 lamps" in made.text
    many = page(attempt(200)).text
    assert "280 entries of the log were left out of this page here" in many
    assert "(0)" in many
    assert "(199)" in many
    item = attempt(1)
    patch = item.trajectory.patch + "+    # wick\n" * 5_000
    huge = item.model_copy(update={"trajectory": item.trajectory.model_copy(update={"patch": patch})})
    assert len(page(huge).text) < 20_000
    assert "more characters are not shown" in page(huge).text


def test_the_largest_page_is_bounded() -> None:
    item = attempt(1_000, said="x" * 10_000, seen="y" * 10_000)
    call = ToolCall(name="bash", arguments='{"command": "' + "z" * 10_000 + '"}')
    log = [m.model_copy(update={"tool_calls": (call,) * 30 if m.tool_calls else ()}) for m in item.trajectory.messages]
    item = item.model_copy(update={"trajectory": item.trajectory.model_copy(update={"messages": tuple(log)})})
    longest = len(sheet(item, choice(item), Told(None, None, None), Reader()))
    assert longest < 60 * (attempts.SAID + attempts.ACTIONS * (attempts.ACTION + 200) + attempts.SEEN + 500) + 5_000


@given(st.text(), st.integers(3, 40))
def test_a_clip_keeps_both_ends_and_counts_the_rest(text: str, most: int) -> None:
    made = Page(f"<pre>{clipped(text, most)}</pre>").text
    if len(text) <= most:
        assert "not shown" not in made
    else:
        left = len(text) - 2 * most // 3 - most // 3
        assert f"[{left:,} characters are not shown on this page]" in made


# --- hostile ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_hostile_log_is_text_and_nothing_else(attack: str) -> None:
    kind = page(attempt())
    made = page(attempt(said=attack, seen=attack))
    assert made.tags == kind.tags
    assert made.ids == [made.ids[0], made.ids[1]]
    assert {name for _, found in made.elements for name in found} == {n for _, found in kind.elements for n in found}
    assert all(character.isprintable() or character == "\n" for character in made.text)


@settings(max_examples=40)
@given(st.text(st.characters(codec=None), max_size=200))
def test_no_text_changes_the_page_around_it(text: str) -> None:
    item = attempt(1)
    task = item.trajectory.task.model_copy(update={"statement": "issue " + text})
    changed = {"task": task, "patch": " " + text + "\n x", "exit_status": text}
    made = page(item.model_copy(update={"trajectory": item.trajectory.model_copy(update=changed)}))
    assert not set(made.tags) & {"script", "style", "img", "a href", "iframe"}
    assert made.tags["section"] == 1
    assert all(character.isprintable() or character == "\n" for character in made.text)


# --- what was cut ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cap", [None, 8])
@pytest.mark.parametrize("n_turns", [1, 3, 5, 12, 40])
def test_the_fates_are_those_the_prompt_tells(vocabulary: Vocabulary, n_turns: int, cap: int | None) -> None:
    """The twin looks for each turn's tokens in the prompt: what is whole is there, what is gone is not counted."""
    policy = LengthPolicy(max_tokens=400, issue_cap=48, patch_cap=64, observation_cap=cap)
    renderer = Renderer(vocabulary, policy)
    item = attempt(n_turns, said="I trim the wick and look at it once more, slowly, from all sides.")
    fates, prompt = renderer.fates(item.trajectory), renderer.prompt(item.trajectory)
    assert len(fates) == 2 * n_turns
    assert fates.count("gone") == prompt.cut.turns
    assert (set(fates) == {"whole"}) == (prompt.cut.log_tokens == 0)
    gone = [place for place, fate in enumerate(fates) if fate == "gone"]
    assert not gone or gone == list(range(gone[0], gone[-1] + 1))
    read = vocabulary.decode(prompt.token_ids)
    for number, fate in enumerate(fates[::2]):
        assert fate == "shortened" or (f"all sides. ({number})" in read) == (fate == "whole")


def test_turns_that_were_cut_are_marked() -> None:
    fates: list[Fate] = ["whole", "whole", "shortened", "gone", "gone", "gone", "whole", "whole"]
    made = page(attempt(), Told(None, 100, 1_234), Reader(fates=lambda _: fates))
    assert "1,234 tokens were cut for the model." in made.text
    assert "3 entries of the log were left out whole: 4-6." in made.text
    assert "1 entry of the log was shortened: 3." in made.text
    assert made.text.count("not read by the model") == 3
    assert "does not say" in page(attempt()).text


def test_the_models_of_a_verifier_are_found_without_loading_them(tiny_checkpoint: Path, tmp_path: Path) -> None:
    assert model_folders(str(tiny_checkpoint)) == [tiny_checkpoint]
    assert model_folders("features") == []
    assert model_folders("constant") == []
    assert model_folders("module:attribute") == []
    assert model_folders(f"mean:features,{tiny_checkpoint}") == [tiny_checkpoint]
    if (SHIPPED / "model").is_dir():
        assert model_folders("default") == model_folders("model") == [SHIPPED / "model"]


# --- progress --------------------------------------------------------------------------------------------------------


def curve_of(item: Labelled, scores: Sequence[float]) -> Curve:
    task, policy, run = item.trajectory.key
    steps = tuple(
        Step(turn=turn, score=score, raw_score=score, did=f"step <{turn}>", characters=9)
        for turn, score in enumerate(scores, 1)
    )
    return Curve(
        attempt_id=item.trajectory.attempt_id, instance_id=task, policy=policy, attempt=run, verifier="v@1",
        n_turns=len(scores), steps=steps,
    )  # fmt: skip


def test_the_score_after_each_turn_is_drawn_and_told() -> None:
    item = attempt()
    made = page(item, reader=Reader(curve=lambda _: curve_of(item, [0.2, 0.25, 0.9, 0.88])))
    assert made.tags["svg"] == 1
    assert made.tags["circle"] == 4
    for word in ("0.200", "0.880", "turn 3: +0.650", "step <3>"):
        assert word in made.text
    assert page(item, reader=Reader(curve=lambda _: curve_of(item, [0.5]))).tags["circle"] == 1


def test_what_verdicts_say_is_found_by_attempt() -> None:
    rows = [Row("lamp-1", "mill", True, 0.5, cut=7, raw=0.25), Row("lamp-1", "mill", False, None)]
    assert told_of(scored(rows), ["a000001", "a000000"]) == {
        "a000000": Told(0.25, None, 7),
        "a000001": Told(None, None, None),
    }


# --- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture
def pile(tmp_path: Path) -> Path:
    file = tmp_path / "pile.jsonl"
    rows = [
        {
            "source": "made", "policy": "mill", "scaffold": "loop", "instance_id": f"pond__reeds-{n // 3}",
            "repo": "pond/reeds", "run": f"r{n % 3}", "patch": "+x", "resolved": n % 2 == 0,
            "messages": [
                {"role": "user", "content": "The reeds grow sideways."},
                *({"role": "assistant", "content": f"Cut {turn} " + "x" * 10 * n} for turn in range(3)),
            ],
        }
        for n in range(12)
    ]  # fmt: skip
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def evaluated(pile: Path, *more: object) -> Page:
    html = pile.with_name("report.html")
    words = ["evaluate", pile, "--verifier", VERIFIER, "--html", html, "--resamples", 20, *more]
    assert main([str(word) for word in words]) == 0
    return Page(html.read_text(encoding="utf-8"))


def test_the_command_writes_so_many_pages(pile: Path) -> None:
    def pages(made: Page) -> list[str]:
        return [id_ for section in made.named("section") if (id_ := section.get("id"))]

    all_, five = evaluated(pile), evaluated(pile, "--pages", 5)
    assert len(pages(all_)) == 12
    assert pages(five) == pages(all_)[:5]
    assert not pages(evaluated(pile, "--pages", 0))
    links = [link["href"] for link in five.named("a")]
    assert {f"#{id_}" for id_ in pages(five)} <= set(links)
    assert links[-1 - 2 - 3 : -2 : 3] == [f"#{id_}" for id_ in pages(five)[3:]], "each leads to the next"
    assert "Score after each turn" not in five.text


def test_the_command_follows_some_of_them(pile: Path) -> None:
    assert evaluated(pile, "--progress", 2).text.count("Where it moved most") == 2


class Whole(Longer):
    """Judges whole attempts only."""

    def following(self) -> None:
        raise VerifierError("longer@1: whole attempts only")


def test_what_cannot_be_followed_is_said_and_all_else_is_there(pile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    html, out = pile.with_name("report.html"), pile.with_name("e.json")
    words = ["evaluate", pile, "--verifier", f"{__name__}:Whole", "--html", html, "--json", out, "--progress", 2]
    assert main([str(word) for word in words]) == 0
    assert capsys.readouterr().err.count("no score after its turns: longer@1: whole attempts only") == 2
    assert "Where it moved most" not in Page(html.read_text(encoding="utf-8")).text
    assert out.is_file()


def test_outcomes_without_logs_have_a_report_without_pages(tmp_path: Path) -> None:
    names = [{"instance_id": f"pond__reeds-{n // 3}", "policy": "mill", "attempt": f"r{n}"} for n in range(12)]
    outcomes, verdicts, html = (tmp_path / name for name in ("outcomes.jsonl", "verdicts.jsonl", "report.html"))
    outcomes.write_text(
        "".join(json.dumps({**name, "outcome": OUTCOMES[n % 2]}) + "\n" for n, name in enumerate(names))
    )
    verdicts.write_text("".join(json.dumps({**name, "score": n / 12}) + "\n" for n, name in enumerate(names)))
    assert main(["evaluate", str(outcomes), "--verdicts", str(verdicts), "--html", str(html)]) == 0
    made = Page(html.read_text(encoding="utf-8"))
    assert "pond__reeds-3" in made.text
    assert "with a page" not in made.text


def test_recorded_verdicts_cannot_be_followed(pile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for more in (["--verdicts", "x.jsonl", "--html", "r.html"], ["--verifier", VERIFIER]):
        assert main(["evaluate", str(pile), "--progress", "2", *more]) == 1
        assert "--progress takes --html and a verifier" in capsys.readouterr().err


def test_attempts_that_cannot_be_read_again_are_counted(tmp_path: Path) -> None:
    found = report(["mill"], n_tasks=3)
    write_report(found, tmp_path / "report.html", chosen(found), {})
    made = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert f"{len(found.outcomes)} of them could not be read a second time" in made.text
    assert not any((link["href"] or "").startswith("#attempt") for link in made.named("a"))
