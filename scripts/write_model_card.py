"""Measure what ships on dev, on sets of other kinds and on the generated pool, and write docs/model-card.md.

    python scripts/write_model_card.py --dev DEV --patches DEV_PATCHES --other NAME=FILE... --nine ROLLOUTS

Run it after scripts/ship_verifier.py, whose figures it reads from experiments/reports/default_verifier.json.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from swe_rm import sources
from swe_rm.evaluate import Report, evaluate
from swe_rm.trajectory import Labelled, Outcome
from swe_rm.verifiers import ShippedFile, load_verifier
from swe_rm.verifiers.facts import FACTS

REPORT = Path("experiments/reports/default_verifier.json")
CARD = Path("docs/model-card.md")
KEYS = ("auc_within_policy", "auc_same_policy_task", "auc_upset", "auc_within_task", "auc", "ece")
NAMES = tuple(ShippedFile.model_fields)
LEFT_OUT = {"measured", "mistakes", "cost", "slices"}
"""Of a report: what names attempts, or is long and not told."""
FEWEST_GROUPS = 20
"""Policies and tasks with eight attempts that a figure of the best of eight takes."""
GOALS = {"auc_same_policy_task": 0.70, "auc_upset": 0.60, "auc_within_policy": 0.78}
PAIRS = {"auc_same_policy_task": "n_pairs_same_policy_task", "auc_upset": "n_pairs_upset"}
FEWEST_PAIRS = 20
"""Of which a goal is called reached or missed."""


def read(path: Path) -> list[Labelled]:
    """Labelled attempts of known outcome."""
    return [item for item in sources.open_pile([path]).attempts() if item.outcome is not Outcome.UNKNOWN]


def document(report: Report) -> dict[str, Any]:
    """A report's figures, with its noise floor and a random pick's best of K, and nothing that names an attempt."""
    found = {key: value for key, value in report.to_json().items() if key not in LEFT_OUT}
    metrics = report.metrics
    random = {str(k): value for k, value in metrics.random_at_k.items()}
    same = {str(k): value for k, value in metrics.random_at_k_same_policy.items()}
    return {
        **found,
        "ece_noise_floor": report.ece_noise_floor,
        "random_at_k": random,
        "random_at_k_same_policy": same,
    }


def measured(items: Sequence[Labelled], name: str, *, controls: bool = False) -> dict[str, Any]:
    """What `swe-rm evaluate` says of a shipped verifier on these attempts; policies are families.

    `controls` render every attempt once more, and are the same for every verifier.
    """
    verifier = load_verifier(name)
    verdicts = verifier([item.trajectory for item in items])
    return document(evaluate(items, verdicts, policy="family", with_controls=controls))


def cell(found: dict[str, Any], key: str) -> str:
    """0.712 [0.650, 0.770], or - where there is no figure."""
    value, interval = found[key], found["intervals"].get(key)
    if value is None:
        return "-"
    return f"{value:.3f}" + (f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else "")


def table(rows: dict[str, dict[str, Any]], first: str = "verifier") -> str:
    """Markdown of the figures with their 95% intervals."""
    lines = [f"| {first} | " + " | ".join(f"`{key}`" for key in KEYS) + " |", "|---" * (len(KEYS) + 1) + "|"]
    lines += [f"| {name} | {' | '.join(cell(row, key) for key in KEYS)} |" for name, row in rows.items()]
    return "\n".join(lines)


def goals(rows: dict[str, dict[str, Any]], unseen: dict[str, dict[str, float]]) -> str:
    """The goals set before, and what was found: reached where the figure is, its interval left aside.

    The first row is cross-validated, on policies that were seen, and `unseen` is what each of them has as a new one; of
    the others both of `dev` have policies that were seen.
    """
    lines = ["| goal | " + " | ".join(rows) + " |", "|---" * (len(rows) + 1) + "|"]
    for key, least in GOALS.items():
        cells = [_at_least(row, key, least) for row in rows.values()]
        lines.append(f"| `{key}` >= {least:.2f} | " + " | ".join(cells) + " |")
    cells = [_reached(row["ece"] <= row["ece_noise_floor"] + 0.02, cell(row, "ece")) for row in rows.values()]
    lines.append("| `ece` <= noise floor + 0.02 | " + " | ".join(cells) + " |")
    cells = [
        _unseen(unseen),
        *["not measured"] * 2,
        *(_reached(r["ece"] <= 0.08, cell(r, "ece")) for r in [*rows.values()][3:]),
    ]
    lines.append("| `ece` <= 0.08 on a policy that was not seen | " + " | ".join(cells) + " |")
    lines.append("| best of 8 of one policy, half of the way | " + " | ".join(map(_half_way, rows.values())) + " |")
    cells = [_reached(r["rm_at_k"][k] >= r["random_at_k"][k], picked(r, k)) for r in rows.values() for k in [widest(r)]]
    lines.append("| best of K not below a random pick | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _at_least(row: dict[str, Any], key: str, least: float) -> str:
    """A goal of one set, with the pairs it is of where these are counted."""
    if row[key] is None:
        return "not measured"
    n_pairs = row[PAIRS[key]] if key in PAIRS else None
    told = cell(row, key) + (f" ({n_pairs:,} pairs)" if n_pairs is not None else "")
    if n_pairs is not None and n_pairs < FEWEST_PAIRS:
        return f"{told} too few"
    return _reached(row[key] >= least, told)


def _unseen(found: dict[str, dict[str, float]]) -> str:
    values = [one["ece"] for one in found.values()]
    mean, good = sum(values) / len(values), sum(value <= 0.08 for value in values)
    told = f"mean {mean:.3f} ({min(values):.3f} to {max(values):.3f}), {good} of {len(values)} families"
    return _reached(good == len(values), told)


def with_labels(found: dict[str, dict[str, float]]) -> str:
    """What a few labelled attempts of a new policy make of its ECE."""
    keys = ("ece", "ece_20", "ece_50", "chance_50")
    without, few, more, chance = (sum(one[key] for one in found.values()) / len(found) for key in keys)
    good = sum(one["ece_50"] <= 0.08 for one in found.values())
    return (
        f"20 bring the ECE from {without:.3f} to {few:.3f}, 50 to {more:.3f}, where a perfect map would show "
        f"{chance:.3f} (means over the families); {good} of {len(found)} come to 0.08 or below with 50"
    )


def _half_way(found: dict[str, Any]) -> str:
    if found["n_cells_at_k"].get("8", 0) < FEWEST_GROUPS:
        return "not measured"
    share = found["gap_recovered_same_policy"]["8"]
    return _reached(share >= 0.5, picked(found, "8", "_same_policy"))


def _reached(reached: bool, text: str) -> str:
    return text + (" reached" if reached else " **missed**")


def best_of(found: dict[str, Any]) -> str:
    """The best of K at the widest K, beside a random pick and the oracle."""
    k = widest(found)
    return f"{picked(found, k)}, {found['n_tasks_at_k'][k]} tasks"


def widest(found: dict[str, Any]) -> str:
    """The widest K, up to 8, that a third of the tasks have."""
    tasks = found["n_tasks_at_k"]
    return max((k for k in tasks if int(k) <= 8 and tasks[k] * 3 >= found["n_tasks"]), key=int)


def picked(found: dict[str, Any], k: str, among: str = "") -> str:
    """What the verifier's pick of K resolves, and how much of the way from a random pick to the oracle that is."""
    random_pick, own, oracle = (found[f"{name}_at_k{among}"][k] for name in ("random", "rm", "pass"))
    low, high = found["intervals"].get(f"rm_at_k{among}.{k}") or (None, None)
    interval = "" if low is None else f" [{low:.3f}, {high:.3f}]"
    way = f", {(own - random_pick) / (oracle - random_pick):.0%} of the way" if oracle > random_pick else ""
    return f"best of {k} {own:.3f}{interval} (random pick {random_pick:.3f}, oracle {oracle:.3f}{way})"


def about(name: str, found: dict[str, Any]) -> str:
    """A line on one set: size, base rate, best of K, and what a perfect verifier's ECE would be."""
    return (
        f"- {name}: {found['n_attempts']:,} attempts at {found['n_tasks']} tasks, {found['base_rate']:.1%} resolved; "
        f"{best_of(found)}; a perfectly calibrated verifier with these scores shows an ECE of "
        f"{found['ece_noise_floor']:.3f}"
    )


def _default(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    generated = {"generated": report["generated"]["default"], "generated, nine each": report["nine"]}
    patches = {"patches of dev": report["dev_patches"]["default"]}
    return {"dev": report["dev"]["default"], **patches, **report["other"], **generated}


def card(report: dict[str, Any]) -> str:
    """The page, of model_card.md's words and the report's figures."""
    controls = report["dev"]["default"]["controls"]
    chosen = report["cross_validated"][report["chosen"]]
    shipped = ShippedFile.model_validate_json(Path("src/swe_rm/shipped/verifiers.json").read_bytes()).default
    members, of_patches = shipped.members, shipped.patches
    assert of_patches, "what ships has a judge of patches alone"
    of_dev = {f"dev, {name}": row for name, row in report["dev_patches"].items()}
    words = Path(__file__).with_name("model_card.md").read_text(encoding="utf-8")
    return words.format(
        members=", ".join(f"`{m.folder}`" + ("" if m.weight == 1 else f" (weight {m.weight:g})") for m in members),
        patch_members=" and ".join(f"`{member.folder}`" for member in of_patches.members),
        n_facts=len(FACTS),
        goals=goals({"cross-validated": chosen, **_default(report)}, report["unseen_policies"]),
        with_labels=with_labels(report["unseen_policies"]),
        chosen=report["chosen"],
        candidates=table(report["cross_validated"]),
        about_chosen=about("The chosen one", chosen),
        same_policy=picked(chosen, "3", "_same_policy"),
        n_same_policy=chosen["n_cells_at_k"]["3"],
        model_patches=picked(report["dev_patches"]["model"], "8"),
        dev=table(report["dev"]),
        about_dev=about("`default`", report["dev"]["default"]),
        patches=table({f"cross-validated, {name}": row for name, row in report["patches"].items()} | of_dev),
        wide_patches=picked(report["dev_patches"]["default"], "19"),
        about_patches=about("`default` on dev", report["dev_patches"]["default"]),
        about_all_patches=".\n".join(about(f"Cross-validated, {name}", row) for name, row in report["patches"].items()),
        other=table(report["other"], "`default` on"),
        about_other=".\n".join(about(name, found) for name, found in report["other"].items()),
        generated=table(report["generated"]),
        about_generated=about("`default`", report["generated"]["default"]),
        about_nine=about("`default`", report["nine"]),
        nine=table({"default": report["nine"]}),
        nine_same=picked(report["nine"], "8", "_same_policy"),
        n_nine=report["nine"]["n_cells_at_k"]["8"],
        prior=f"{controls['policy_prior']['auc']:.3f}",
        task_prior=f"{controls['task_prior']['auc_within_policy']:.3f}",
    )


def main() -> None:
    """Measure, and write the report and the card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dev", type=Path, help="measure anew; without it the card is of the report as it is")
    parser.add_argument("--patches", type=Path, help="attempts of dev without a log; needed with --dev")
    parser.add_argument("--other", nargs="*", default=[], help="NAME=FILE of attempts of another kind")
    parser.add_argument("--generated", type=Path, default=Path("tests/playground_pool"))
    parser.add_argument("--nine", type=Path, help="rollouts of the playground, nine attempts of a policy at a task")
    arguments = parser.parse_args()
    if arguments.dev and not arguments.patches:
        parser.error("--dev needs --patches")
    report = json.loads(REPORT.read_text(encoding="utf-8"))
    if arguments.dev:
        others = dict(given.split("=", 1) for given in arguments.other)
        report["dev"] = {name: measured(read(arguments.dev), name, controls=name == "default") for name in NAMES}
        report["dev_patches"] = {name: measured(read(arguments.patches), name) for name in NAMES}
        report["other"] = {name: measured(read(Path(file)), "default") for name, file in others.items()}
        report["generated"] = {name: measured(read(arguments.generated), name) for name in NAMES}
    if arguments.nine:
        report["nine"] = measured(read(arguments.nine), "default")
    REPORT.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    CARD.write_text(card(report), encoding="utf-8")


if __name__ == "__main__":
    main()
