"""What the project says of itself is true: README, Makefile, continuous integration, changelog, wheel."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import swe_rm
from swe_rm.__main__ import app

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MAX_WHEEL = 30_000_000
PICKLED = {".pkl", ".pickle", ".joblib", ".pt", ".pth", ".bin"}
"""Endings of files that are read by running code in them."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def make(*arguments: str, cwd: Path = ROOT) -> str:
    """What make would run, and nothing of it run."""
    command = ["make", "--dry-run", "--always-make", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True).stdout


def test_continuous_integration_calls_make_test_and_nothing_else() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    code = [line for line in script.read_text().splitlines() if line and not line.startswith("#")]
    assert code == ["set -euo pipefail", 'cd "$(dirname "${BASH_SOURCE[0]}")/.."', "make test"]


def test_torch_comes_before_the_package_and_can_be_chosen() -> None:
    usual, chosen = make("demo"), make("demo", "TORCH=torch==2.11.0")
    assert usual.index("install torch==2.13.0") < usual.index("--editable")
    assert "install torch==2.11.0" in chosen
    assert "torch==2.13.0" not in chosen


def test_make_test_runs_lint_types_contract_and_tests() -> None:
    steps = ["ruff check", "ruff format --check", "mypy", "lint-imports", 'pytest -m "not slow and not gpu']
    printed = make("test")
    places = [printed.index(step) for step in steps]
    assert places == sorted(places)


def test_make_demo_ranks_and_measures_the_examples() -> None:
    assert "swe-rm rank examples" in make("demo")
    assert "swe-rm evaluate examples --html report.html" in make("demo")


def test_a_second_call_installs_nothing_and_a_changed_choice_does(tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    subprocess.run(["make", "--touch", ".venv/.dev", ".venv/.run"], cwd=tmp_path, capture_output=True, check=True)

    def planned(*arguments: str) -> str:
        command = ["make", "--no-print-directory", "--dry-run", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    assert "install" not in planned("test") + planned("demo")
    assert "install torch==2.11.0" in planned("demo", "TORCH=torch==2.11.0")
    later = (tmp_path / ".venv" / ".dev").stat().st_mtime + 10
    os.utime(tmp_path / "pyproject.toml", (later, later))
    assert "--editable" in planned("test")
    assert "install torch" not in planned("test")


def test_without_a_python_make_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text((ROOT / "Makefile").read_text())
    done = subprocess.run(["make", "demo", "PYTHON="], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "needs Python 3.11 or newer" in done.stdout


def test_no_host_is_named_where_packages_are_installed() -> None:
    for name in ("Makefile", ".ci/run", "pyproject.toml"):
        assert not re.search(r"https?://|--index|--extra-index|--find-links", (ROOT / name).read_text()), name


def test_the_readme_names_commands_that_exist() -> None:
    known = {command.callback.__name__ for command in app.registered_commands if command.callback}
    known |= {group.name for group in app.registered_groups if group.name}
    named = set(
        re.findall(r"swe-rm (?!--)([a-z]+)", "\n".join([*blocks("sh"), *re.findall(r"`(swe-rm [^`]+)`", README)]))
    )
    assert named
    assert named <= known
    assert known <= set(re.findall(r"`swe-rm ([a-z]+)", README)), "every verb stands in the README's table"


def test_the_readme_names_files_that_exist() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", README):
        assert (ROOT / target).exists(), target


@pytest.mark.skipif(not (ROOT / "examples").is_dir(), reason="the README's example ranks examples/")
@pytest.mark.parametrize("code", blocks("python"))
def test_the_readme_example_runs(code: str) -> None:
    pytest.importorskip("torch")
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:swe_rm", "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_the_readme_has_an_example() -> None:
    assert blocks("python")


def test_the_training_config_of_the_readme_is_one(tmp_path: Path) -> None:
    from swe_rm.train import TrainConfig

    (config,) = blocks("yaml")
    (tmp_path / "config.yaml").write_text(config)
    assert TrainConfig.load(tmp_path / "config.yaml", ["epochs=3"]).epochs == 3


def test_version_and_changelog_agree() -> None:
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest is not None
    assert newest[1] == swe_rm.__version__ == PROJECT["project"]["version"]


def test_every_public_name_is_there_and_but_for_reward_is_no_module() -> None:
    import swe_rm.evaluate  # the module of that name must not hide the function

    assert {"load_verifier", "score", "rank", "evaluate", "reward"} <= set(swe_rm.__all__)
    assert swe_rm.reward.Reward
    for name in {*swe_rm.__all__} - {"reward"}:
        assert type(getattr(swe_rm, name)).__name__ != "module"
    assert callable(swe_rm.evaluate)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = swe_rm.nothing


BOUNDARIES = {"swe_rm/collect/__init__.py": 1}
"""Where everything is caught, and how often: a worker thread hands what it met to the main one, which raises it."""


def test_only_named_boundaries_catch_everything() -> None:
    """Ruff forbids blind excepts; this holds that nobody else switched the rule off in a line."""
    found = {}
    for path in (ROOT / "src").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if count := text.count("BLE001"):
            found[str(path.relative_to(ROOT / "src"))] = count
        assert ast.get_docstring(ast.parse(text)), f"{path} says what it is"
    assert found == BOUNDARIES


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("build")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_the_whole_package_and_is_small(wheel: Path) -> None:
    package = ROOT / "src" / "swe_rm"
    wanted = {
        str(path.relative_to(package.parent))
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    held = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("swe_rm/")}
    assert held == wanted | {"swe_rm/shipped/model-card.md"}
    assert "swe_rm/py.typed" in held
    assert wheel.stat().st_size <= MAX_WHEEL
    assert not {name for name in held if Path(name).suffix in PICKLED}


@pytest.mark.slow
def test_the_wheel_ranks_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    """A fresh environment with the extra `model`; the torch of this interpreter is the one installed there."""
    import torch

    environment = tmp_path / "env"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    python = environment / "bin" / "python"
    version = torch.__version__.partition("+")[0]
    subprocess.run([python, "-m", "pip", "install", "--quiet", f"torch=={version}"], check=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", f"{wheel}[model]"], check=True)
    done = subprocess.run(
        [environment / "bin" / "swe-rm", "rank", str(ROOT / "examples"), "--json", str(tmp_path / "ranking.json")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert '"rank": 1' in (tmp_path / "ranking.json").read_text()
