"""`import swe_rm` and every --help stay quick: no heavy module is loaded, and the check can fail."""

import json
import subprocess
import sys

import pytest

LIBRARIES = {"torch", "transformers", "tokenizers", "safetensors", "sklearn", "scipy", "numpy", "matplotlib", "pandas"}
RECORDS = {"pydantic", "orjson", "zstandard", "yaml", "rich", "typer"}
"""Light enough for --help, not for `import swe_rm`, which a trainer's environment pays for."""

VERBS = [
    "rank", "score", "evaluate", "compare", "parity", "train", "calibrate", "ingest", "inspect", "label", "collect",
    "export", "mix", "doctor", "attack", "audit", "progress", "serve", "simulate",
]  # fmt: skip

PLAYGROUND = ["make", "rollout", "label"]

HELP = "from swe_rm.__main__ import main; import sys; assert main({!r}) == 0"


def loaded(code: str) -> set[str]:
    """The top-level modules a fresh interpreter has loaded after running the code."""
    report = "\nimport sys, json; print(); print(json.dumps(sorted({m.partition('.')[0] for m in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", code + report], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert not loaded("import swe_rm; dir(swe_rm)") & (LIBRARIES | RECORDS)


@pytest.mark.parametrize(
    "argv",
    [
        ["--help"],
        *([verb, "--help"] for verb in VERBS),
        *(["playground", verb, "--help"] for verb in PLAYGROUND),
        *(["rl", verb, "--help"] for verb in ("train", "play", "arms", "report")),
    ],
    ids=lambda argv: " ".join(argv[:-1]),
)
def test_help_loads_nothing_heavy(argv: list[str]) -> None:
    assert not loaded(HELP.format(argv)) & LIBRARIES


def test_the_nouns_alone_load_no_library() -> None:
    assert not loaded("import swe_rm; swe_rm.Trajectory, swe_rm.Verdict, swe_rm.rank") & LIBRARIES


@pytest.mark.parametrize("library", ["numpy", "scipy", "sklearn"])
def test_the_check_sees_what_it_forbids(library: str) -> None:
    pytest.importorskip(library)
    assert loaded(f"import swe_rm; import {library}.{'linalg' if library != 'sklearn' else 'base'}") & {library}


def test_the_verbs_are_those_of_the_command_line() -> None:
    from swe_rm.__main__ import app

    assert sorted(VERBS) == sorted(command.callback.__name__ for command in app.registered_commands if command.callback)
