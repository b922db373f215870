"""Simulate RL with many verifiers on one pile: the order in which they would teach, beside the order of plain figures.

python scripts/predict_order.py PILE... --verdicts FILE... [--policy family] [--found FILE] [--json FILE]
                                [--picture FILE.svg]

Each FILE of verdicts is of one verifier. `--found` holds what real training came to, {verifier: resolve rate} or
{verifier: [resolve rate of each seed]}: then the rank correlation of each predictor with it is told, with 95% intervals
over draws of verifiers and, where there are several, of seeds. `--json` names the files by their SHA-256, so piles that
are folders are refused there.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from swe_rm.logged_policy import Plan
from swe_rm.resampling import Interval
from swe_rm.rl import foretold
from swe_rm.rl.foretold import PREDICTORS
from swe_rm.rl.report_text import correlation
from swe_rm.scored import Scored
from swe_rm.simulate import Simulated, Simulation, simulate
from swe_rm.sources import open_pile
from swe_rm.verdict import Verdict
from swe_rm.verifiers.facts import habits
from swe_rm.verifiers.recorded import join, verdict_rows

EVERY = 10
"""Steps between two points of a curve in the picture."""


def main() -> None:
    """Print the table, best teacher first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", type=Path, nargs="+")
    parser.add_argument("--verdicts", type=Path, nargs="+", required=True)
    parser.add_argument("--policy", choices=["exact", "family"], default="exact")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--found", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--picture", type=Path)
    arguments = parser.parse_args()
    if arguments.json and (folders := [path for path in arguments.paths if path.is_dir()]):
        parser.error(f"--json: {folders[0]} is a folder, and a prediction names what it was made of: give files")
    simulations = simulated(arguments.paths, arguments.verdicts, arguments.policy, Plan(seeds=arguments.seeds))
    simulations.sort(key=lambda found: -found.task.taught.final)
    if arguments.picture:
        draw(simulations, arguments.picture)
    rows = [
        {"verifier": one.verifier, "task": row_of(one.task), "same_policy": one.same_policy and row_of(one.same_policy)}
        for one in simulations
    ]
    for part in ("task", "same_policy"):
        print_rows(part, rows)
    found = json.loads(arguments.found.read_bytes()) if arguments.found else {}
    agreements = {part: agreement(part, rows, found) for part in ("task", "same_policy")} if found else {}
    for part, told in agreements.items():
        for name, (value, bounds) in told.items():
            print(f"{part} {name}: Spearman {correlation(value, bounds)}")
    if arguments.json:
        files = {file.name: sha256(file.read_bytes()).hexdigest() for file in (*arguments.paths, *arguments.verdicts)}
        document = {"files": files, "verifiers": rows, "agreements": agreements}
        arguments.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def simulated(paths: Sequence[Path], files: Sequence[Path], policy: Any, plan: Plan) -> list[Simulated]:
    """The simulation of each file's verifier."""
    attempts = list(open_pile(paths).attempts())
    trajectories = [item.trajectory for item in attempts]
    facts = np.array([habits(trajectory) for trajectory in trajectories])
    found = []
    for file in files:
        verdicts: dict[str, Verdict] = join(verdict_rows(file), trajectories)
        found.append(simulate(Scored.of(attempts, verdicts, lengths=False), facts, policy=policy, plan=plan))
        print(file.name, found[-1].task.taught.final, flush=True)
    return found


def draw(simulations: Sequence[Simulated], file: Path) -> None:
    """The curves of all verifiers and of outcomes as the reward, with bands of 1.96 standard errors over seeds."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams |= {"svg.hashsalt": "swe-rm", "svg.fonttype": "none"}
    from matplotlib import pyplot

    parts = {"attempts at a task": [found.task for found in simulations]}
    own = [found.same_policy for found in simulations]
    parts |= {"one policy's attempts at a task": own} if all(own) else {}
    figure, panels = pyplot.subplots(
        1, len(parts), figsize=(5.5 * len(parts), 4.2), layout="constrained", squeeze=False
    )
    for panel, (title, drawn) in zip(panels[0], parts.items(), strict=True):
        for found, part in zip(simulations, drawn, strict=True):
            curves = 100 * np.array([course.resolve_rate[::EVERY] for course in part.per_seed])
            steps = EVERY * np.arange(curves.shape[1])
            mean, error = curves.mean(axis=0), 1.96 * curves.std(axis=0, ddof=1) / np.sqrt(len(curves))
            (line,) = panel.plot(steps, mean, label=found.verifier)
            panel.fill_between(steps, mean - error, mean + error, color=line.get_color(), alpha=0.12)
        panel.plot(steps, 100 * np.array(drawn[0].controls["oracle"].resolve_rate[::EVERY]), "k--", label="outcomes")
        panel.set(title=title, xlabel="step", ylabel="% resolved at held-out tasks")
        panel.grid(alpha=0.3)
    figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside right upper", fontsize=8, frameon=False)
    figure.savefig(file, metadata={"Date": None})


def row_of(part: Simulation) -> dict[str, Any]:
    """What is shown and compared of one kind of group."""
    taught = part.taught
    lessons = [f"{lesson.trait} {lesson.shift:+.2f} ({lesson.shift_by_outcomes:+.2f})" for lesson in part.lessons[:3]]
    return {
        "simulated": taught.final, "gain": taught.gain, "gain_interval": taught.intervals["gain"], "best": taught.best,
        **part.beside.model_dump(), "oracle": part.controls["oracle"].final, "lessons": lessons,
    }  # fmt: skip


def print_rows(part: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """One line a verifier."""
    print(f"{part}: simulated, gain [95%], best, AUC, in groups, ECE, top; taught first (by outcomes)")
    for row in rows:
        if told := row[part]:
            low, high = told["gain_interval"] or (float("nan"), float("nan"))
            plain = " ".join(f"{told[name]:.3f}" for name in list(PREDICTORS)[1:])
            gain = f"{100 * told['gain']:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"
            shown = f"{told['simulated']:.3f} {gain} {told['best']:.3f} {plain}"
            print(f"  {row['verifier']:<28} {shown}  {'; '.join(told['lessons'])}")


def agreement(
    part: str, rows: Sequence[Mapping[str, Any]], found: Mapping[str, Any]
) -> dict[str, tuple[float | None, Interval | None]]:
    """Spearman's correlation of each predictor with what was found, and its 95% interval."""
    known = {row["verifier"]: row[part] for row in rows if row["verifier"] in found and row[part]}
    figures = {name: {verifier: row[name] for verifier, row in known.items()} for name in PREDICTORS}
    results = {verifier: np.atleast_1d(found[verifier]).tolist() for verifier in known}
    return {one["predictor"]: (one["spearman"], one["interval"]) for one in foretold.agreement(figures, results)}


if __name__ == "__main__":
    main()
