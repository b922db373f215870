"""List what the shipped verifiers were trained on, as hashes: `trained_tasks.json`, which `swe-rm evaluate` looks into.

    python scripts/list_trained_tasks.py TRAIN --out src/swe_rm/shipped

TRAIN are the files that scripts/ship_verifier.py had as `--train`; run this after it. Names of earlier versions stay on
the list while they were trained on the same tasks: verdicts that somebody kept still carry them.
"""

import argparse
import json
from pathlib import Path

from swe_rm.mix.evaluation_list import read_evaluation
from swe_rm.trained_on import SHIPPED_TASKS, task_hash
from swe_rm.verifiers import Shipped, ShippedFile, load_verifier


def names(out: Path) -> list[str]:
    """name@version of every shipped verifier and of its parts."""
    parts = sorted({member.folder for shipped in _shipped(out) for member in shipped.members})
    return sorted({load_verifier(spec).name for spec in [*ShippedFile.model_fields, *(str(out / p) for p in parts)]})


def _shipped(out: Path) -> list[Shipped]:
    file = ShippedFile.model_validate_json((out / "verifiers.json").read_bytes())
    named = [file.default, file.model, file.features]
    return [*named, *(shipped.patches for shipped in named if shipped.patches)]


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("train", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    tasks = sorted(map(task_hash, read_evaluation(arguments.train)))
    file = arguments.out / SHIPPED_TASKS.name
    before = json.loads(file.read_bytes()) if file.is_file() else {"verifiers": [], "tasks": tasks}
    if before["tasks"] != tasks:
        raise SystemExit(f"{file}: lists other tasks; remove it if no earlier version is to be known any more")
    document = {"verifiers": sorted({*before["verifiers"], *names(arguments.out)}), "tasks": tasks}
    file.write_text(json.dumps(document, indent=0) + "\n", encoding="utf-8")
    print(f"{file}: {len(tasks)} tasks")


if __name__ == "__main__":
    main()
