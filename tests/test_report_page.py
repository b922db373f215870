"""The report's page: every figure is the JSON's, hostile names are harmless, nothing is asked for, nobody shut out."""

import json
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swe_rm.evaluate import Report, evaluate
from swe_rm.metrics import auc_score, roc_curve
from swe_rm.pages.report import write_report
from swe_rm.plot import Axes, short
from swe_rm.report import document
from swe_rm.trajectory import Outcome
from tests.report_pages import HOSTILE, OUTCOMES, Page, at, report
from tests.scoring_pools import drawn, measured


def page(found: Report, folder: Path) -> Page:
    write_report(found, folder / "report.html")
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def json_of(found: Report) -> object:
    return json.loads(orjson.dumps(document(found), option=orjson.OPT_NON_STR_KEYS))


def calibrated() -> Report:
    """A pool whose scores were halved."""
    return measured([row._replace(raw=row.score, score=(row.score or 0) / 2) for row in drawn(30, 6)], price_per_hour=3)


def unscored() -> Report:
    return measured([r._replace(score=None) if n % 7 == 0 else r for n, r in enumerate(drawn(30, 6))])


@pytest.mark.parametrize("make", [lambda: report(["mill/a~b", "loom.4"]), calibrated, unscored])
def test_every_figure_is_the_one_in_the_json(make: object, tmp_path: Path) -> None:
    found = make()  # type: ignore[operator]
    whole, made = json_of(found), page(found, tmp_path)
    assert len(made.cited) > 400
    for at_, value, shown in made.cited:
        known = at(whole, at_)
        if known is None:
            assert (value, shown) == ("", "\u2013"), at_
        else:
            assert float(value) == known, at_
            told = float(shown.replace(",", "").rstrip("%")) / (100 if shown.endswith("%") else 1)
            assert told == pytest.approx(known, abs=0.0501 if at_.startswith("/cost") else 0.00501), at_
    roots = {one.at.split("/")[1] for one in made.cited}
    assert roots >= {"auc", "intervals", "controls", "rm_at_k", "n_tasks_at_k", "slices", "readiness", "explained"}
    assert roots >= {"bins", "rejection", "measured", "cost", "mistakes", "ece_noise_floor", "brier_parts"}
    assert ("uncalibrated" in roots) == (found.uncalibrated is not None)
    assert ("unscored" in roots) == bool(found.unscored.n)


def test_the_page_opens_with_what_must_be_known_first(tmp_path: Path) -> None:
    shown, too_few = report(["mill"], n_tasks=40, runs=6), report(["mill"], n_tasks=2)
    assert shown.beats_chance
    for found in (shown, too_few):
        text = page(found, tmp_path).text
        first = text.index("95% interval")
        for line in (found.headline, *map(str, found.pitfalls), *found.warnings):
            assert text.index(line) < first
    assert "do not use as an RL reward" in too_few.headline


def test_the_page_asks_for_nothing_from_elsewhere(tmp_path: Path) -> None:
    made = page(report(["mill"]), tmp_path)
    assert not {"script", "link", "img", "iframe", "object", "base", "form"} & set(made.tags)
    assert not {"src", "srcset", "action", "onclick"} & {name for _, found in made.elements for name in found}
    assert not re.search(r"url\(|@import|https?:|javascript:", (tmp_path / "report.html").read_text(encoding="utf-8"))


def test_every_link_leads_to_something_on_the_page(tmp_path: Path) -> None:
    made = page(report(["mill"]), tmp_path)
    assert len(set(made.ids)) == len(made.ids)
    targets = [link["href"] or "" for link in made.named("a")]
    assert len(targets) > 8
    assert {target.removeprefix("#") for target in targets} <= set(made.ids)


@pytest.mark.parametrize("make", [lambda: report(["mill"]), calibrated, unscored])
def test_those_who_cannot_see_it_are_told_all(make: object, tmp_path: Path) -> None:
    made = page(make(), tmp_path)  # type: ignore[operator]
    levels = [int(tag[1]) for tag, _ in made.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(deeper <= level + 1 for level, deeper in pairwise(levels))
    pictures = [svg for svg in made.named("svg") if svg.get("role") == "img"]
    assert len(pictures) == 6
    for svg in pictures:
        assert {svg["aria-labelledby"], svg["aria-describedby"]} <= set(made.ids)
    assert all(svg.get("aria-hidden") == "true" for svg in made.named("svg") if svg.get("role") != "img")
    assert made.tags["caption"] == made.tags["table"]
    assert all(cell.get("scope") in ("col", "row", "colgroup") for cell in made.named("th"))
    boxes = [box for box in made.named("div") if box.get("class") == "wide"]
    assert all(box["tabindex"] == "0" and box["aria-label"] for box in boxes)


def test_before_and_after_calibration_are_drawn_together(tmp_path: Path) -> None:
    found = calibrated()
    assert found.uncalibrated
    assert found.uncalibrated.ece != found.metrics.ece
    text = page(found, tmp_path).text
    assert "before calibration" in text
    assert f"{found.uncalibrated.ece:.3f}" in text
    assert measured(drawn(30, 6)).uncalibrated is None
    assert "before calibration" not in page(measured(drawn(30, 6)), tmp_path).text


def test_hostile_names_are_text_and_nothing_else(tmp_path: Path) -> None:
    made = page(report([HOSTILE, "loom"]), tmp_path)
    assert "script" not in made.tags
    assert "onload" not in {name for _, found in made.elements for name in found}
    assert HOSTILE.replace("\x1b", "\N{REPLACEMENT CHARACTER}") in made.text


@settings(max_examples=15)
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


def test_a_pool_of_one_attempt_and_an_empty_one_have_a_page(tmp_path: Path) -> None:
    one = page(report(["mill"], n_tasks=1, runs=1), tmp_path)
    assert [svg.get("role") for svg in one.named("svg")].count("img") == 5, "no policy has two attempts at a task"
    assert "nothing to plot" in page(evaluate([], []), tmp_path).text


def test_tasks_beyond_the_limit_are_counted(tmp_path: Path) -> None:
    text = page(report(["mill"], n_tasks=502, runs=1), tmp_path).text
    assert "2 more tasks are not listed" in text
    assert "438 more tasks are not drawn" in text


def test_the_area_below_the_curve_is_the_auc() -> None:
    rng = np.random.default_rng(0)
    for n in (2, 7, 60):
        scores, resolved = rng.integers(0, 5, n) / 4, np.arange(n) % 2 == 0
        x, y = roc_curve(scores, resolved).T
        assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
        assert np.trapezoid(y, x) == pytest.approx(auc_score(scores, resolved))
    assert np.isnan(roc_curve(np.array([0.5]), np.array([True]))[-1, 0])


def test_numbers_beside_an_axis_are_short() -> None:
    assert [short(n) for n in (0, 999, 1000, 2500, 10_000, 12_500, 3_000_000)] == [
        "0", "999", "1k", "2,500", "10k", "12.5k", "3M"
    ]  # fmt: skip


def test_a_long_curve_is_drawn_in_few_corners() -> None:
    axes = Axes("made", (0, 1), (0, 1), "x", "y")
    axes.line([(n / 50_000, n / 50_000) for n in range(50_001)], "verifier")
    drawn_points = re.findall(r'points="([^"]*)"', axes.svg())[0].split()
    assert len(drawn_points) < 1_000
    assert tuple(map(float, drawn_points[-1].split(","))) == axes.at(1, 1)
