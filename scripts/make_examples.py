"""Make `examples/`: scripted agents really work at small issues, tests judge them, and their run folders are written.

Needs Python, git, bash and GNU sed and grep; no network. Running it again gives the same bytes.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from examples_src.agents import TEMPERS
from examples_src.grading import Task, build_task, grade
from examples_src.issues import issue_ids, load_issue
from examples_src.logs import play, policy_name
from examples_src.sandbox import missing_tools

Table = dict[tuple[str, str], bool]
"""(instance_id, temper) -> resolved."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the examples; the exit status."""
    options = _parse(arguments)
    lacking = missing_tools()
    if lacking:
        print(f"make_examples needs {', '.join(lacking)}", file=sys.stderr)
        return 1
    chosen = options.only or issue_ids()
    tasks: list[Task] = []
    predictions: dict[str, dict[str, Any]] = {temper: {} for temper in TEMPERS}
    table: Table = {}
    for number, instance_id in enumerate(chosen, start=1):
        task = build_task(load_issue(instance_id))
        tasks.append(task)
        for temper in TEMPERS:
            patch, table[instance_id, temper] = make_attempt(task, temper, run_folder(options.out, temper))
            predictions[temper][instance_id] = _prediction(instance_id, temper, patch)
        marks = " ".join(f"{temper} {_mark(table[instance_id, temper])}" for temper in TEMPERS)
        print(f"[{number}/{len(chosen)}] {instance_id}: {marks}", flush=True)
    for temper, entries in predictions.items():
        _write_json(run_folder(options.out, temper) / "preds.json", entries)
    rows = (json.dumps(task.row(), ensure_ascii=False) + "\n" for task in tasks)
    (options.out / "tasks.jsonl").write_text("".join(rows), encoding="utf-8")
    print(outcome_table(table, chosen))
    return 0


def make_attempt(task: Task, temper: str, folder: Path) -> tuple[str, bool]:
    """Play and grade one attempt and write its two files; the patch, and whether it resolves the issue."""
    instance_id = task.issue.instance_id
    trajectory = play(task, temper)
    patch: str = trajectory["info"]["submission"]
    report = grade(task, patch)
    _write_json(folder / instance_id / f"{instance_id}.traj.json", trajectory)
    _write_json(folder / "logs" / instance_id / "report.json", report)
    resolved: bool = report[instance_id]["resolved"]
    return patch, resolved


def run_folder(out: Path, temper: str) -> Path:
    """The run folder of one temper."""
    return out / "runs" / policy_name(temper).replace("/", "-")


def outcome_table(table: Table, chosen: Sequence[str]) -> str:
    """Issue by temper, with the sums."""
    width = max(len(name) for name in chosen)
    lines = [" " * width + "  " + "  ".join(TEMPERS)]
    for instance_id in chosen:
        cells = (_mark(table[instance_id, temper]).center(len(temper)) for temper in TEMPERS)
        lines.append(f"{instance_id:<{width}}  " + "  ".join(cells))
    sums = (str(sum(table[name, temper] for name in chosen)).center(len(temper)) for temper in TEMPERS)
    lines.append(f"{'resolved':<{width}}  " + "  ".join(sums))
    lines.append(f"{sum(table.values())} of {len(table)} attempts resolve their issue")
    return "\n".join(lines)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    default = Path(__file__).resolve().parents[1] / "examples"
    parser.add_argument("--out", type=Path, default=default, help="folder to write to (default: examples/)")
    parser.add_argument("--only", nargs="+", metavar="ID", choices=issue_ids(), help="only these issues")
    return parser.parse_args(arguments)


def _prediction(instance_id: str, temper: str, patch: str) -> dict[str, str]:
    return {"model_name_or_path": policy_name(temper), "instance_id": instance_id, "model_patch": patch}


def _mark(resolved: bool) -> str:
    return "yes" if resolved else "no"


def _write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
