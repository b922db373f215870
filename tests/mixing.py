"""Attempts and facts that the tests of the mix share: small, made up, of as many tasks and policies as wanted."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from swe_rm import store
from swe_rm.mix import MixConfig
from swe_rm.mix.facts import Facts
from swe_rm.trajectory import Labelled, Outcome
from tests.conftest import attempt

OFF: dict[str, Any] = {
    "infra_failures": False, "unlabelled": False, "oracle_feedback": False, "history": False, "several_tries": False,
    "conflicting": False, "duplicates": False, "continuations": False,
}  # fmt: skip
"""Every switch off."""


def fact(ordinal: int, **changes: Any) -> Facts:
    """The facts of an attempt like no other."""
    values: dict[str, Any] = {
        "ordinal": ordinal, "attempt_id": hashlib.sha256(str(ordinal).encode()).hexdigest()[:20],
        "instance_id": f"acme__tool-{ordinal}", "repo": "acme/tool", "issue": b"", "source": "lamps",
        "policy": "careful",
        "attempt": str(ordinal), "outcome": Outcome.RESOLVED, "infra": False, "logged": True,
        "content": str(ordinal).encode(), "patch": f"p{ordinal}", "characters": 100, "tokens": 0, "suspicions": (),
        "gold_equal": False, "chain": None, "match": None, "unchecked": (), "sketch": b"",
    }  # fmt: skip
    return Facts(**(values | changes))


def pool(tasks: int = 8, policies: int = 3, tries: int = 4, source: str = "lamps") -> list[Labelled]:
    """Attempts without two alike; about half of them resolved, some policies better than others."""
    found = []
    for task in range(tasks):
        for policy in range(policies):
            for number in range(tries):
                mark = hashlib.sha256(f"{source}{task}{policy}{number}".encode()).hexdigest()[:12]
                patch = f"--- a/tool.py\n+++ b/tool.py\n@@ -1 +1 @@\n-x = 0\n+x = '{mark}'\n"
                said = f"I look at {mark}."
                made = attempt(f"acme__tool-{task}", f"agent-{policy}", number, turns=1, patch=patch, said=said)
                origin = made.origin.model_copy(update={"source": source})
                outcome = Outcome.RESOLVED if int(mark, 16) % 4 <= policy else Outcome.UNRESOLVED
                moved = made.model_copy(update={"origin": origin})
                found.append(Labelled(trajectory=moved, outcome=outcome, provenance="test"))
    return found


def stored(attempts: list[Labelled], folder: Path) -> Path:
    """The attempts as a folder that a mix reads."""
    store.write(attempts, folder)
    return folder


def mixing(*data: Path, **changes: Any) -> MixConfig:
    return MixConfig.model_validate({"name": "test", "data": data, **changes})


def contents(folder: Path) -> dict[str, bytes]:
    """Every byte of a folder."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def in_own_process(code: str, *arguments: Path) -> list[str]:
    """The lines that code prints in a process of its own, which sees the tests' modules."""
    script = arguments[-1] / "script.py"
    script.write_text(code)
    paths = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, str(script), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
