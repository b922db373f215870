"""`python -m benchmarks D1` prints one measurement as a JSON line; without a name all run into RESULTS.md.

With `--keep` those named take their places in RESULTS.md, and each says when it was measured.
"""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.measure import GateError, measure

HERE = Path(__file__).parent
RESULTS = HERE / "RESULTS.md"
PACKAGES = (
    "numpy",
    "scikit-learn",
    "torch",
    "tokenizers",
    "transformers",
    "rensa",
    "datasets",
    "datasketch",
    "trl",
    "pyarrow",
    "orjson",
)


def main(names: Sequence[str]) -> int:
    """Run the measurements named (D1, D2, ...) or all; 1 when a gate fails."""
    keep, names = "--keep" in names, [name for name in names if name != "--keep"]
    modules = {file.stem.split("_")[0].upper(): file.stem for file in sorted(HERE.glob("[a-z][0-9]*_*.py"))}
    if unknown := [name for name in names if name.upper() not in modules]:
        print(f"{unknown[0]}: no such measurement; there are {', '.join(modules)}", file=sys.stderr)
        return 1
    load = os.getloadavg()[0]
    lines = []
    with TemporaryDirectory() as folder:
        for name in [name.upper() for name in names] or modules:
            try:
                lines.append(measure(modules[name], Path(folder)))
            except GateError as error:
                print(f"{name}: gate failed, nothing timed: {error}", file=sys.stderr)
                return 1
            print(json.dumps(lines[-1]), flush=True)
    if not names:
        RESULTS.write_text(report(lines, load), encoding="utf-8")
    elif keep:
        RESULTS.write_text(replaced(RESULTS.read_text(encoding="utf-8"), lines, load), encoding="utf-8")
    return 0


def replaced(whole: str, lines: Sequence[dict[str, Any]], load: float) -> str:
    """Results in which some measurements are new; the others stay as they are, in the order of their names."""
    head, *sections = whole.split("\n## ")
    known = {section.split(":")[0]: section.rstrip("\n") for section in sections}
    for line in lines:
        first, *rest = section(line)[1:]
        known[line["name"]] = "\n".join([first.removeprefix("## "), "", _when(load), *rest])
    return "\n\n## ".join([head.rstrip("\n"), *(known[name] for name in sorted(known))]) + "\n"


def report(lines: Sequence[dict[str, Any]], load: float) -> str:
    """The lines as Markdown, with what they were measured on."""
    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES if find_spec(package))
    parts = [
        "# Results",
        "",
        "Written by `make bench`. A ratio is the peer's time over ours, wall clock, both in one process interleaved:",
        "above 1 we are quicker. `cpu` is the same in processor time of all threads, which a busy machine moves less.",
        "`peak` is the memory one run adds at its highest, the peer's over ours. Brackets hold the quickest and the",
        "slowest round. No time is reported where a gate fails.",
        "",
        _when(load),
        "",
        f"{versions}.",
    ]
    for line in lines:
        parts += section(line)
    return "\n".join(parts) + "\n"


def section(line: dict[str, Any]) -> list[str]:
    """One measurement in lines, the first of them empty."""
    parts = ["", f"## {line['name']}: {line['title']}", "", f"{line['amount']}; {line['rounds']} rounds.", ""]
    parts += ["| peer | ratio | asked for | cpu | peer s | ours s | peak |", "|---|---|---|---|---|---|---|"]
    parts += [_row(peer) for peer in (line, *line["others"])]
    return [*parts, "", f"Gate: {line['gate']}.", *_longest(line["longest"]), *_pace(line["pace"])]


def _when(load: float) -> str:
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; {_processor()}, {os.cpu_count()} cores"
    return f"{now},\nPython {platform.python_version()}; commit {_commit()}; load before the start {load:.1f}."


def _row(peer: dict[str, Any]) -> str:
    spreads = ["{} - {}".format(*spread) for spread in (peer["theirs_spread"], peer["ours_spread"])]
    peak_goal = _asked(peer["peak_goal"], peer["peak_ratio"])
    cells = (
        peer["peer"],
        f"**{peer['ratio']}**",
        _asked(peer["goal"], peer["ratio"]),
        peer["cpu_ratio"],
        f"{peer['theirs']} [{spreads[0]}]",
        f"{peer['ours']} [{spreads[1]}]",
        f"{peer['peak_ratio']} ({peer['theirs_peak_mb']} / {peer['ours_peak_mb']} MB)" + f" {peak_goal}".rstrip(),
    )
    return "| " + " | ".join(map(str, cells)) + " |"


def _longest(found: dict[str, Any] | None) -> list[str]:
    """What is done within a budget of memory, if that was looked at."""
    if not found or not all(found["runs"].values()):
        return []
    ours = found["runs"]["ours"]
    told = [
        f"{peer}: {size:,} {found['unit']}" + (f", **{ours / size:.3g}** times less" if peer != "ours" else "")
        for peer, size in found["runs"].items()
    ]
    return ["", f"Within {found['budget_mb']} MB at most (to a sixteenth): {'; '.join(told)}."]


def _pace(found: dict[str, Any] | None) -> list[str]:
    """How much is done in a second, if that was asked for."""
    if not found:
        return []
    goal, reached = found["goal"], found["per_second"]
    return ["", f"Ours: **{reached:g}** {found['unit']} a second; asked for: {_asked(goal, reached)}."]


def _asked(goal: float | None, ratio: float | None) -> str:
    if not goal:
        return ""
    return f">= {goal:g}" + ("" if ratio is None or ratio >= goal else " (missed)")


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text(encoding="utf-8").splitlines() if information.is_file() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _commit() -> str:
    def git(*arguments: str) -> str:
        found = subprocess.run(["git", *arguments], cwd=HERE, capture_output=True, text=True, check=False)
        return found.stdout.strip()

    return (git("rev-parse", "--short", "HEAD") or "unknown") + (" and changes" if git("status", "--porcelain") else "")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
