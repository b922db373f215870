"""The terminal table: every figure with its controls, whole in 80 columns, hostile names harmless."""

import re
from collections.abc import Sequence

import pytest
from rich.console import Console

from swe_rm.evaluate import Report
from swe_rm.report import metrics_table, print_report
from swe_rm.trajectory import Outcome
from tests.report_pages import HOSTILE, OUTCOMES, report


def terminal(found: Report, width: int = 80) -> str:
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        print_report(found, console)
    return capture.get()


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


@pytest.mark.parametrize("outcomes", [OUTCOMES[:1], OUTCOMES[1:], [Outcome.UNKNOWN]])
def test_what_is_undefined_is_a_dash(outcomes: Sequence[Outcome]) -> None:
    assert re.search(r"auc_upset +0( +\u2013)+\n", terminal(report(["mill"], n_tasks=3, outcomes=outcomes)))
