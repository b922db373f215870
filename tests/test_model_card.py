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
SHIPPED = tuple(ShippedFile.model_fields)


@pytest.fixture(scope="module")
def pool() -> list[Labelled]:
    return list(sources.open_pile([POOL]).attempts())


def told(name: str) -> dict[str, float]:
    """The figures of a verifier in the card's table of the generated pool."""
    section = CARD.read_text(encoding="utf-8").split("## On a generated pool")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    (row,) = [row for row in rows if row[0] == name]
    keys = [key.strip("`") for key in rows[0][1:]]
    return {key: float(cell.split()[0]) for key, cell in zip(keys, row[1:], strict=True) if cell != "-"}


def test_the_pool_is_as_the_card_says(pool: list[Labelled]) -> None:
    section = CARD.read_text(encoding="utf-8").split("## On a generated pool")[1]
    said = re.search(r"(\d+) attempts at (\d+) tasks, ([\d.]+)% resolved", section)
    assert said is not None
    resolved = sum(item.outcome == "resolved" for item in pool) / len(pool)
    tasks = {item.trajectory.task.instance_id for item in pool}
    assert (int(said[1]), int(said[2]), float(said[3])) == (len(pool), len(tasks), round(100 * resolved, 1))


@pytest.mark.parametrize("name", SHIPPED)
def test_headline_figures_are_recomputed_from_the_shipped_weights(name: str, pool: list[Labelled]) -> None:
    pytest.importorskip("torch")
    verdicts = load_verifier(name)([item.trajectory for item in pool])
    found = evaluate(pool, verdicts, policy="family", with_controls=False, resamples=2).to_json()
    figures = told(name)
    assert {"auc_within_policy", "auc_upset", "auc", "ece"} <= set(figures)
    # Half a unit of the last digit told, and what other kernels' rounding moves.
    assert {key: found[key] for key in figures} == pytest.approx(figures, abs=0.005)


def test_the_comparison_can_fail(pool: list[Labelled]) -> None:
    verdicts = load_verifier("shortest")([item.trajectory for item in pool])
    found = evaluate(pool, verdicts, policy="family", with_controls=False, resamples=2)
    assert found.metrics.auc != pytest.approx(told("default")["auc"], abs=0.005)
