"""Digests of the code that decides attempts and outcomes: what is kept of them is of one version of that code."""

import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

_HERE = Path(__file__).parent
OFFERS = frozenset({"actions.py", "bugs.py", "decoys.py"})
"""What an agent is offered at a task."""
SCRIPTS = OFFERS | {"attempts.py", "episode.py", "policies.py"}
"""What the scripted policies do."""
RUNS = frozenset({"cell.py", "confinement.py", "labelling.py", "sandbox.py", "shortcuts.py"})
"""What a command gives, and what tests say."""


@cache
def digest(names: frozenset[str], more: frozenset[Path] = frozenset()) -> str:
    """16 hex characters that stand for these files of the playground, and more."""
    return _digest([*(_HERE / name for name in sorted(names)), *sorted(more)])


def _digest(files: Iterable[Path]) -> str:
    found = hashlib.sha256()
    for file in files:
        found.update(f"{file.name} ".encode() + hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()[:16]
