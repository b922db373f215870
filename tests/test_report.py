"""The page and the terminal table: every figure with its controls, hostile names harmless, nothing from elsewhere."""

import random
import re
from collections import Counter
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from swe_rm.evaluate import Report, evaluate
from swe_rm.report import metrics_table, print_report, write_html
from swe_rm.trajectory import Labelled, Origin, Outcome, Task, Trajectory
from swe_rm.verdict import Verdict

HOSTILE = "<script>alert(1)</script>\x1b[31m\" onload='x' & [red]mill[/red]"
OUTCOMES = (Outcome.RESOLVED, Outcome.UNRESOLVED)


def report(policies: Sequence[str], n_tasks: int = 12, runs: int = 4, outcomes: Sequence[Outcome] = OUTCOMES) -> Report:
    rng = random.Random(1)
    pool, verdicts = [], []
    for task in range(n_tasks):
        for policy in policies:
            for run in range(runs):
                origin = Origin(source="made", scaffold=policy, policy=policy, attempt=str(run))
                trajectory = Trajectory(
                    task=Task(instance_id=f"{policy}-{task}", repo=policy), patch=f"+{task}", origin=origin
                )
                outcome = rng.choice(outcomes)
                score = min(1.0, max(0.0, rng.gauss(0.6 if outcome is Outcome.RESOLVED else 0.4, 0.15)))
                pool.append(Labelled(trajectory=trajectory, outcome=outcome))
                verdicts.append(
                    Verdict(attempt_id=trajectory.attempt_id, score=score, raw_score=score, verifier=f"{policy}@1")
                )
    named = [verdict.model_copy(update={"verifier": f"{policies[0]}@1"}) for verdict in verdicts]
    return evaluate(pool, named, resamples=50)


class Page(HTMLParser):
    """The tags, attributes and text of a page, and whether every tag is closed in its turn."""

    VOID = frozenset({"meta", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += attrs
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def page(found: Report, folder: Path) -> Page:
    write_html(found, folder / "report.html")
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def terminal(found: Report, width: int = 80) -> str:
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        print_report(found, console)
    return capture.get()


def test_the_page_has_plots_controls_slices_and_every_task(tmp_path: Path) -> None:
    found = report(["mill", "loom"])
    made = page(found, tmp_path)
    assert made.tags["svg"] == 4
    assert made.tags["details"] == len(found.slices) + len(found.rankings)
    for control, figures in found.controls.items():
        assert control in made.text
        assert f"{figures.rm_at_k[2]:.3f}" in made.text
    for ranking in found.rankings:
        assert ranking.instance_id in made.text
    low, high = found.intervals["auc_within_task"] or (0, 0)
    assert f"{low:.3f} to {high:.3f}" in made.text
    for each in found.bins:
        assert str(each.n_resolved + each.n_unresolved) in made.text
    assert f"ECE of {found.ece_noise_floor:.3f}" in made.text


def test_the_page_opens_with_what_the_headline_says(tmp_path: Path) -> None:
    shown, too_few = report(["mill"], n_tasks=40, runs=6), report(["mill"], n_tasks=2)
    assert shown.beats_chance
    for found in (shown, too_few):
        text = page(found, tmp_path).text
        assert found.headline in text
        assert text.index(found.headline) < text.index("auc_upset")
    assert "Not shown to be fit" in too_few.headline


def test_the_page_asks_for_nothing_from_elsewhere(tmp_path: Path) -> None:
    made = page(report(["mill"]), tmp_path)
    assert not {"script", "link", "img", "iframe", "object", "base"} & set(made.tags)
    assert not {"src", "href", "srcset", "action"} & {name for name, _ in made.attributes}
    assert not re.search(r"url\(|@import|https?:", (tmp_path / "report.html").read_text(encoding="utf-8"))


def test_hostile_names_are_text_and_nothing_else(tmp_path: Path) -> None:
    made = page(report([HOSTILE, "loom"]), tmp_path)
    assert "script" not in made.tags
    assert "onload" not in {name for name, _ in made.attributes}
    assert HOSTILE.replace("\x1b", "\N{REPLACEMENT CHARACTER}") in made.text


@settings(max_examples=20, deadline=None)
@given(st.text(max_size=30))
def test_any_name_leaves_the_page_whole(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    folder = tmp_path_factory.getbasetemp()
    plain = page(report(["mill"], n_tasks=2), folder)
    assert page(report([name], n_tasks=2), folder).tags == plain.tags


@pytest.mark.parametrize("outcomes", [OUTCOMES[:1], OUTCOMES[1:], [Outcome.UNKNOWN]])
def test_what_is_undefined_is_a_dash_with_a_warning(tmp_path: Path, outcomes: Sequence[Outcome]) -> None:
    found = report(["mill"], n_tasks=3, outcomes=outcomes)
    made = page(found, tmp_path)
    assert found.warnings[-1] in made.text
    assert not re.search(r"\bnan\b|None", made.text)
    assert re.search(r"auc_upset +0( +\u2013)+\n", terminal(found))


def test_a_pool_of_one_attempt_and_an_empty_one_have_a_page(tmp_path: Path) -> None:
    assert page(report(["mill"], n_tasks=1, runs=1), tmp_path).tags["svg"] == 4
    assert "nothing to plot" in page(evaluate([], []), tmp_path).text


def test_tasks_beyond_the_limit_are_counted(tmp_path: Path) -> None:
    found = report(["mill"], n_tasks=502, runs=1)
    assert "2 more tasks are not shown" in page(found, tmp_path).text


def test_the_table_fits_eighty_columns_with_every_figure_whole() -> None:
    found = report(["mill", "loom"], runs=16)
    lines = terminal(found).splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert "…" not in terminal(found)
    assert len(lines) > metrics_table(found).row_count
    row = next(line for line in lines if line.startswith("rm_at_k_same_policy.16"))
    assert row.split()[1:3] == ["24", f"{found.metrics.rm_at_k_same_policy[16]:.3f}"]
    assert row.split()[-1] == f"{found.controls['oracle'].rm_at_k_same_policy[16]:.3f}"


def test_hostile_names_cannot_command_the_terminal() -> None:
    text = terminal(report([HOSTILE], n_tasks=2), width=200)
    assert "\x1b" not in text
    assert "[red]mill[/red]" in text
