"""The import contract holds, and it can fail: on an upward import, and on a module nobody planned."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """lint-imports over the package in a folder laid out as the repository is."""
    environment = {**os.environ, "PYTHONPATH": str(folder / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    ignore = shutil.ignore_patterns("__pycache__", "shipped")
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_contract_holds(copy: Path) -> None:
    found = lint(copy)
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize(
    ("module", "line", "names"),
    [
        ("verdict.py", "import swe_rm.scoring", ["swe_rm.verdict", "swe_rm.scoring"]),
        ("errors.py", "def f() -> None:\n    from swe_rm import trajectory", ["swe_rm.errors", "swe_rm.trajectory"]),
    ],
)
def test_an_upward_import_is_an_error(copy: Path, module: str, line: str, names: list[str]) -> None:
    with (copy / "src" / "swe_rm" / module).open("a") as file:
        file.write(f"\n{line}\n")
    found = lint(copy)
    assert found.returncode == 1
    assert "BROKEN" in found.stdout
    assert all(name in found.stdout for name in names)


def test_an_unplanned_module_is_an_error(copy: Path) -> None:
    (copy / "src" / "swe_rm" / "helpers.py").write_text('"""Nobody planned this."""\n')
    found = lint(copy)
    assert found.returncode == 1
    assert "helpers" in found.stdout


def test_no_module_bears_a_name_of_the_standard_library_or_none_at_all() -> None:
    modules = {path.stem for path in (ROOT / "src" / "swe_rm").rglob("*.py")} - {"__init__", "__main__"}
    assert not modules & set(sys.stdlib_module_names)
    assert not modules & {"utils", "helpers", "common", "misc", "base", "core"}
