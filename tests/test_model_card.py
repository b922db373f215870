"""The model card's figures on the generated pool are what the shipped weights earn there."""

import re
from pathlib import Path

import pytest

from swe_rm import sources
from swe_rm.evaluate import evaluate
from swe_rm.trajectory import Labelled
from swe_rm.verifiers import ShippedFile, load_verifier

ROOT = Path(__file__).parents[1]
CARD = ROOT / "docs" / "model-card.md"
POOL = ROOT / "tests" / "playground_pool"
ROUNDING = 0.005
"""Half a unit of the last digit told is a tenth of it. The rest is for processors that round otherwise: an attempt that
changes its bin moves the ECE by as much."""
SHIPPED = tuple(ShippedFile.model_fields)


@pytest.fixture(scope="module")
def pool() -> list[Labelled]:
    return list(sources.open_pile([POOL]).attempts())


def section(title: str) -> str:
    """What stands below a title of the card."""
    return CARD.read_text(encoding="utf-8").split(title)[1].split("\n## ")[0]


def best_of_8() -> dict[str, float]:
    """The pick of `default` on the generated pool, beside a random pick and the oracle."""
    said = re.search(r"best of 8 ([\d.]+) .*\(random pick ([\d.]+), oracle ([\d.]+)", section("## On a generated pool"))
    assert said is not None
    return dict(zip(("rm", "random", "oracle"), map(float, said.groups()), strict=True))


def noise_floor() -> float:
    """The ECE that perfect calibration would show there."""
    said = re.search(r"shows an ECE of ([\d.]+\d)", section("## On a generated pool"))
    assert said is not None
    return float(said[1])


def told(name: str) -> dict[str, float]:
    """The figures of a verifier in the card's table of the generated pool."""
    lines = section("## On a generated pool").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line[:1] == "|"]
    (row,) = [row for row in rows if row[0] == name]
    keys = [key.strip("`") for key in rows[0][1:]]
    return {key: float(cell.split()[0]) for key, cell in zip(keys, row[1:], strict=True) if cell != "-"}


def test_the_pool_is_as_the_card_says(pool: list[Labelled]) -> None:
    said = re.search(r"(\d+) attempts at (\d+) tasks, ([\d.]+)% resolved", section("## On a generated pool"))
    assert said is not None
    resolved = sum(item.outcome == "resolved" for item in pool) / len(pool)
    tasks = {item.trajectory.task.instance_id for item in pool}
    assert (int(said[1]), int(said[2]), float(said[3])) == (len(pool), len(tasks), round(100 * resolved, 1))


@pytest.mark.parametrize("name", SHIPPED)
def test_headline_figures_are_recomputed_from_the_shipped_weights(name: str, pool: list[Labelled]) -> None:
    pytest.importorskip("torch")
    verdicts = load_verifier(name)([item.trajectory for item in pool])
    report = evaluate(pool, verdicts, policy="family", with_controls=False, resamples=2)
    figures = told(name)
    assert {"auc_within_policy", "auc_upset", "auc", "ece"} <= set(figures)
    found = report.to_json()
    assert {key: found[key] for key in figures} == pytest.approx(figures, abs=ROUNDING)
    if name == "default":
        best = {"rm": report.metrics.rm_at_k, "random": report.metrics.random_at_k, "oracle": report.metrics.pass_at_k}
        figures = best_of_8()
        assert {key: curve[8] for key, curve in best.items()} == pytest.approx(figures, abs=ROUNDING)
        assert report.ece_noise_floor == pytest.approx(noise_floor(), abs=ROUNDING)


def test_the_goals_name_what_the_sections_measured() -> None:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section("## Goals").splitlines()]
    table = [row for row in rows if len(row) > 2]
    column = table[0].index("generated")
    for name, figure in told("default").items():
        goals = [row[column] for row in table if row[0].startswith(f"`{name}`")]
        assert all(float(cell.split()[0]) == figure for cell in goals), name
        assert goals or name in {"auc", "auc_within_task"}
    (picked,) = [row[column] for row in table if row[0].startswith("best of K")]
    assert picked.split(" reached")[0].split(" **missed")[0] in section("## On a generated pool")


def test_what_ships_is_as_small_as_it_must_be() -> None:
    shipped = ROOT / "src" / "swe_rm" / "shipped"
    size = sum(file.stat().st_size for file in shipped.rglob("*") if file.is_file())
    said = re.search(r"All take (\d+) MB", CARD.read_text(encoding="utf-8"))
    assert said is not None
    assert round(size / 1e6) == int(said[1]) <= 25


def test_the_comparison_can_fail(pool: list[Labelled]) -> None:
    verdicts = load_verifier("shortest")([item.trajectory for item in pool])
    found = evaluate(pool, verdicts, policy="family", with_controls=False, resamples=2)
    assert found.metrics.auc != pytest.approx(told("default")["auc"], abs=ROUNDING)
