"""The comparison's page: all verifiers drawn together, every figure the JSON's, the published rows beside one's own."""

import json
from pathlib import Path

import orjson
import pytest

from swe_rm.__main__ import main
from swe_rm.compare import Comparison, compare
from swe_rm.entries import entry_of
from swe_rm.evaluate import measure
from swe_rm.pages.comparison import MAX_DRAWN, write_comparison
from swe_rm.published import TABLE_4
from swe_rm.report import document
from tests.report_pages import HOSTILE, Page, at
from tests.scoring_pools import Row, drawn, scored

POOL = drawn(20, 6, signal=0.25)


def worse(rows: list[Row], step: int) -> list[Row]:
    return [row._replace(score=(row.score or 0) / (1 + number % step)) for number, row in enumerate(rows)]


def compared(names: list[str]) -> Comparison:
    rows = [POOL, *(worse(POOL, step) for step in range(2, 10))]
    return compare([entry_of(scored(one, name), "exact") for name, one in zip(names, rows, strict=False)], resamples=50)


def page(found: Comparison, folder: Path) -> Page:
    write_comparison(found, folder / "page.html")
    return Page((folder / "page.html").read_text(encoding="utf-8"))


def test_every_figure_is_the_one_in_the_json(tmp_path: Path) -> None:
    found = compared(["mill@1", "loom/2@1"])
    whole = json.loads(orjson.dumps(found.to_json(), option=orjson.OPT_NON_STR_KEYS))
    made = page(found, tmp_path)
    assert len(made.cited) > 60
    for at_, value, shown in made.cited:
        known = at(whole, at_)
        if known is None:
            assert (value, shown) == ("", "\u2013"), at_
        else:
            assert (float(value), float(shown)) == (known, pytest.approx(known, abs=0.00051)), at_


def test_verifiers_are_drawn_together_and_told_apart(tmp_path: Path) -> None:
    made = page(compared(["a@1", "b@1", "c@1"]), tmp_path)
    assert [svg.get("role") for svg in made.named("svg")].count("img") == 4
    for css in ("v1", "v2", "v3"):
        assert sum(line.get("class") == f"line {css}" for line in made.named("polyline")) == 4 + 4, "and their legends"
    assert len(set(made.ids)) == len(made.ids)
    assert {(link["href"] or "").removeprefix("#") for link in made.named("a")} <= set(made.ids)


def test_more_verifiers_than_can_be_told_apart_are_in_the_tables(tmp_path: Path) -> None:
    names = [f"v{n}@1" for n in range(MAX_DRAWN + 2)]
    made = page(compared(names), tmp_path)
    assert "2 more verifiers are in the tables only" in made.text
    assert all(name in made.text for name in names)


def test_the_page_has_who_wins_and_the_published_rows(tmp_path: Path) -> None:
    found = compared(["mill@1", "loom@1"])
    text = page(found, tmp_path).text
    for contest in found.contests:
        assert f"{contest.figure}: " + (f"{contest.winner} wins" if contest.winner else "no significant") in text
    for row in TABLE_4:
        assert f"{row.rm_at_32:.3f}" in text
        assert row.verifier in text
    assert "this pool, 20 tasks" in text


def test_what_must_be_known_first_stands_first(tmp_path: Path) -> None:
    part = [row._replace(score=None) if number % 3 == 0 else row for number, row in enumerate(POOL)]
    blind = entry_of(scored([row._replace(score=0.5) for row in POOL], "blind@1"), "exact")
    found = compare([blind, entry_of(scored(part, "b@1"), "exact", "lowest")], resamples=50)
    made = page(found, tmp_path)
    told = made.text.index("40 attempts without a verdict are counted with a score of 0 (unscored: lowest)")
    unfit = made.text.index("do not use as an RL reward")
    assert max(told, unfit) < made.text.index("Paired on the 120 attempts at 20 tasks that are counted for all")
    assert "all judged:" not in made.text
    shown = {one.at: one.shown for one in made.cited}
    for name in ("constant", "policy_prior", "task_prior", "oracle"):
        assert shown[f"/controls/{name}/auc"] == f"{found.controls[name].auc:.3f}"
    assert shown["/figures/b@1/ece_noise_floor"] == f"{found.rows[1].ece_noise_floor:.3f}"


def test_hostile_names_are_text_and_nothing_else(tmp_path: Path) -> None:
    plain, made = (page(compared([name, "b@1"]), tmp_path) for name in ("a@1", HOSTILE))
    assert made.tags == plain.tags
    assert {n for _, found in made.elements for n in found} == {n for _, found in plain.elements for n in found}


def test_the_command_writes_the_page_and_overwrites_no_other(tmp_path: Path) -> None:
    files = []
    for name, rows in (("a", POOL), ("b", worse(POOL, 3))):
        file = tmp_path / f"{name}.json"
        file.write_bytes(
            orjson.dumps(document(measure(scored(rows, f"{name}@1"), resamples=20)), option=orjson.OPT_NON_STR_KEYS)
        )
        files.append(str(file))
    html = tmp_path / "compared.html"
    command = ["compare", *files, "--resamples", "20", "--html", str(html)]
    assert main(command) == 0
    assert main(command) == 0
    assert "a@1, b@1 on 120 common attempts at 20 tasks" in Page(html.read_text(encoding="utf-8")).text
    html.write_text("mine")
    assert main(command) == 1
    assert html.read_text() == "mine"


def test_evaluations_that_cannot_be_paired_are_in_the_table_alone(tmp_path: Path) -> None:
    entries = [entry_of(scored(rows, f"{n}@1"), "exact")._replace(measured=None) for n, rows in enumerate((POOL, POOL))]
    made = page(compare(entries), tmp_path)
    assert "Not paired" in made.text
    assert not [svg for svg in made.named("svg") if svg.get("role") == "img"]
    assert "0@1" in made.text
