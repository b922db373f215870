"""Names that read like a terminal's markup are shown as they are, by every verb that prints a table."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console

from swe_rm.comparison_report import print_comparison
from swe_rm.report_summary import slices_table
from swe_rm.verbs.telling import console_for
from tests.scoring_pools import drawn, measured
from tests.test_cli import VERIFIER, lines, row, run
from tests.test_compare import compare, entry

NAMES = ("[/]", "agent [x]", "[bold]", "agent [/x]", ":boom:")
TESTED = ("evaluate", "rank", "inspect", "label", "progress", "calibrate")


@pytest.fixture
def pile(tmp_path: Path) -> Path:
    """Attempts whose every name is markup; each policy resolves half of its own."""
    rows = [
        row(number, policy=name, scaffold=name, source=name, run=f"{name}{number}", resolved=number % 2 == place % 2)
        for place, name in enumerate(NAMES)
        for number in range(32)
    ]
    file = tmp_path / "pile.jsonl"
    file.write_bytes(lines(rows))
    return file


def verdicts(pile: Path, name: str) -> Path:
    """A file of verdicts by a verifier of that name."""
    rows = [json.loads(line) for line in pile.read_text().splitlines()]
    file = pile.with_name(f"v{len(list(pile.parent.iterdir()))}.jsonl")
    file.write_bytes(
        lines(
            [
                {"instance_id": one["instance_id"], "policy": one["policy"], "attempt": one["run"], "verifier": name}
                | {"score": (place * 37 % 100) / 100}
                for place, one in enumerate(rows)
            ]
        )
    )
    return file


def command(verb: str, pile: Path) -> Sequence[object]:
    """The verb on the pile, with what else it needs."""
    more: dict[str, Sequence[object]] = {
        "evaluate": ["--verdicts", verdicts(pile, "[/]@1"), "--resamples", 50],
        "rank": ["--verifier", VERIFIER, "--rule", "score", "--why"],
        "progress": ["--verifier", VERIFIER],
        "calibrate": ["--verifier", VERIFIER, "--method", "platt", "--per", "policy", "--out", pile.parent / "map"],
    }
    return verb, pile, *more.get(verb, ())


@pytest.mark.parametrize("verb", TESTED)
def test_every_name_is_printed_as_it_is(
    verb: str, pile: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert run(*command(verb, pile)) == 0
    out = capsys.readouterr().out
    assert [name for name in NAMES if name not in out] == []


def test_compared_verifiers_keep_their_names(
    pile: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    files = [verdicts(pile, f"{name}@1") for name in NAMES]
    assert run("compare", *files, "--attempts", pile, "--resamples", 50) == 0
    out = capsys.readouterr().out
    heading = next(line for line in out.splitlines() if line.split()[:1] == ["[/]@1"])
    for name in NAMES:
        assert f" {name}@1" in heading
        assert any(line.strip().startswith(f"{name}@1 ") for line in out.splitlines()), "a row of the table by policy"
        assert f"{name}: this pool" in out


def test_the_console_of_every_verb_takes_no_text_for_markup(capsys: pytest.CaptureFixture[str]) -> None:
    for name in NAMES:
        console_for(None).print(name)
    assert capsys.readouterr().out.split("\n") == [*NAMES, ""]


def test_the_tables_themselves_hold_no_markup_whatever_console_prints_them() -> None:
    console = Console(width=200, color_system=None)
    rows = [one for name in NAMES for one in drawn(20, 2, policy=name)]
    with console.capture() as capture:
        console.print(slices_table(measured(rows)))
        print_comparison(compare([entry(rows, name) for name in NAMES], resamples=10), console)
    assert [name for name in NAMES if f"policy {name} " not in capture.get()] == []
    assert [name for name in NAMES if f"   {name} " not in capture.get()] == []
