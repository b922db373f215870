"""What the documentation shows works as it stands."""

import re
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import yaml
from benchmarks import h200

from swe_rm.sources import formats, open_pile, walk
from swe_rm.verifiers.foreign.file import VerifierFile

DOCS = Path(__file__).parents[1] / "docs"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)


def test_the_source_that_the_documentation_adds_reads_its_fixture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = tmp_path / "lamplog.py"
    code.write_text(blocks("add-a-source.md", "python")[0])
    spec = spec_from_file_location("lamplog", code)
    assert spec
    assert spec.loader
    lamplog = module_from_spec(spec)
    spec.loader.exec_module(lamplog)
    fixture = tmp_path / "lamplog" / "night.json"
    fixture.parent.mkdir()
    fixture.write_text(blocks("add-a-source.md", "json")[0])
    monkeypatch.setattr(walk, "SPECIFIC", (*formats.SPECIFIC, lamplog))
    (item,) = open_pile([fixture.parent]).attempts()
    trajectory = item.trajectory
    assert trajectory.key == ("tinkers__lantern-12", "Lamplog+model-x", "lamplog/night")
    assert trajectory.task.statement == "Lamp stays on after off()"
    assert [m.role for m in trajectory.messages] == ["user", "assistant", "tool"]
    assert (trajectory.finished, trajectory.exit_status) == (True, "submitted")
    assert "lamplog" not in sys.modules


def test_the_audit_that_the_documentation_shows_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = blocks("audit.md", "python")
    exec(compile(code, "audit.md", "exec"), {})
    assert capsys.readouterr().out.startswith("No reference yet: 1 outcomes")


def test_links_between_pages_lead_somewhere() -> None:
    for page in [DOCS.parent / "README.md", *DOCS.glob("*.md")]:
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_the_parts_of_the_h200_benchmark_are_shown_and_accepted() -> None:
    (shown,) = blocks("engine.md", "sh")
    parts = [words.split()[3:] for words in shown.splitlines() for words in [words.partition("#")[0]]]
    assert {part for part, *_ in parts} == set(h200.LENGTHS)
    assert {word for _, *options in parts for word in options if word.startswith("--")} <= {"--lens", "--rounds", "--n"}


def test_the_plan_of_a_large_pool_follows_from_its_formula() -> None:
    page = (DOCS / "engine.md").read_text(encoding="utf-8")
    seconds = 0.852e15 / h200.MATMUL
    rows = re.findall(r"^\| (\d+)% \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", page, re.MULTILINE)
    assert len(rows) == 4
    for share, *shown in rows:
        hours = seconds / 3600 / (int(share) / 100)
        assert [float(value) for value in shown] == [
            round(16_000 * hours, 1), round(2_000 * hours, 1), round(1_000 * hours, 2), round(3_000 * hours, 2)
        ]  # fmt: skip


def test_the_verifier_files_that_are_shown_are_those_that_are_there() -> None:
    folder = DOCS.parent / "configs" / "verifiers"
    files = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in folder.glob("*.yaml")}
    shown = {content["name"]: content for content in map(yaml.safe_load, blocks("verifiers.md", "yaml"))}
    published = {"swe-gym", "deepswe", "swe-lego", "openhands-critic", "llm-as-a-verifier"}
    assert {name: shown[name] for name in published} == {name: files[name] for name in published}
    VerifierFile.model_validate(shown["ours"])
