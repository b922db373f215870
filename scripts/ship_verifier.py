"""Choose the default verifier by cross-validation, fit what ships, and write its model card.

    python scripts/ship_verifier.py --train TRAIN --dev DEV --model runs/cv --out src/swe_rm/shipped

`--model` is the folder of scripts/cross_validate.py. Folds are by task over train and dev. What ships is fitted on
train alone and calibrated on out-of-fold scores of train, so the figures on dev are of attempts nothing was fitted to.
Then scripts/list_trained_tasks.py lists what it was trained on.
"""

import argparse
import json
import multiprocessing
import shutil
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from swe_rm import model, sources
from swe_rm.calibrate import fit as fit_calibrator
from swe_rm.evaluate import Report, evaluate
from swe_rm.training_data import policy_weights
from swe_rm.trajectory import Labelled, Outcome
from swe_rm.verdict import Verdict, Verifier
from swe_rm.verifiers import Member, Shipped, ShippedFile, load_verifier
from swe_rm.verifiers.features import FEATURES, Features, feature_matrix
from swe_rm.verifiers.forest import fit_forest
from swe_rm.verifiers.words import Section, Words, section_text

FOLDS = 5
VERSION = "1"
CHEAP = ("features", "words-tail", "words-patch")
CANDIDATES = (
    ("model",),
    ("features",),
    ("words-tail",),
    ("words-patch",),
    ("model", "features"),
    ("features", "words-tail"),
    ("features", "words-tail", "words-patch"),
    ("model", "features", "words-tail"),
    ("model", "features", "words-tail", "words-patch"),
)
KEYS = ("auc_within_policy", "auc_same_policy_task", "auc_upset", "auc_within_task", "auc", "ece")

Floats = npt.NDArray[np.float64]


def read(paths: Sequence[Path]) -> list[Labelled]:
    """Labelled attempts of known outcome."""
    attempts = sources.open_pile(paths).attempts()
    return [item for item in attempts if item.outcome is not Outcome.UNKNOWN]


def out_of_fold(items: Sequence[Labelled], cheap: str) -> Floats:
    """Scores of a cheap verifier, each by the fit that did not see the attempt's task."""
    folds = np.array([item.trajectory.task.fold(FOLDS) for item in items])
    resolved = np.array([item.outcome is Outcome.RESOLVED for item in items])
    logits = _logits_of(items, resolved, cheap)
    scores = np.zeros(len(items))
    for fold in range(FOLDS):
        seen, held_out = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        weights = np.array(policy_weights([items[i] for i in seen.tolist()]))
        scores[held_out] = 1 / (1 + np.exp(-logits(seen, held_out, weights)))
        print(f"{cheap}: fold {fold} done", flush=True)
    return scores


Ids = npt.NDArray[np.intp]


def _logits_of(
    items: Sequence[Labelled], resolved: npt.NDArray[np.bool_], cheap: str
) -> Callable[[Ids, Ids, Floats], Floats]:
    """(seen, held out, weights) -> log-odds of the held out; what is read of an attempt is computed once."""
    if cheap == "features":
        matrix = feature_matrix([item.trajectory for item in items])
        return lambda seen, out, weights: fit_forest(matrix[seen], resolved[seen], weights).logits(matrix[out])
    section: Section = "tail" if cheap == "words-tail" else "patch"
    texts = [section_text(item.trajectory, section) for item in items]

    def words(seen: Ids, out: Ids, weights: Floats) -> Floats:
        fitted = Words.fit_texts(
            [texts[i] for i in seen.tolist()],
            resolved[seen].tolist(),
            weights.tolist(),
            section=section,
            version=VERSION,
        )
        return np.array([fitted.logit(texts[i]) for i in out.tolist()])

    return words


def all_out_of_fold() -> dict[str, Floats]:
    """Every cheap verifier's out-of-fold scores, each in a process of its own."""
    with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as workers:
        found = {name: workers.submit(_in_worker, name) for name in CHEAP}
        return {name: future.result() for name, future in found.items()}


_shared: list[Labelled] = []
"""The attempts, for workers to find after the fork."""


def _in_worker(name: str) -> Floats:
    return out_of_fold(_shared, name)


def model_scores(files: Iterable[Path], items: Sequence[Labelled]) -> Floats:
    """P(YES) of the language model's held-out verdicts, in the order of `items`."""
    found = {}
    for file in files:
        for row in map(json.loads, file.read_text(encoding="utf-8").splitlines()):
            found[row["attempt_id"]] = 1 / (1 + np.exp(row["no"] - row["yes"]))
    return np.array([found[item.trajectory.attempt_id] for item in items])


def figures(items: Sequence[Labelled], scores: Floats, name: str, *, controls: bool) -> Report:
    """What `swe-rm evaluate` says of these scores; the controls are the same for all candidates and slow."""
    pairs = zip(items, scores.tolist(), strict=True)
    verdicts = [
        Verdict(attempt_id=item.trajectory.attempt_id, score=s, raw_score=s, verifier=name) for item, s in pairs
    ]
    return evaluate(items, verdicts, with_controls=controls)


def calibrated(items: Sequence[Labelled], scores: Floats) -> Floats:
    """Platt-calibrated scores, each fold by the map of the others."""
    folds = np.array([item.trajectory.task.fold(FOLDS) for item in items])
    resolved = np.array([item.outcome is Outcome.RESOLVED for item in items])
    mapped = np.zeros(len(items))
    for fold in range(FOLDS):
        mapped[folds == fold] = fit_calibrator("platt", scores[folds != fold], resolved[folds != fold])(
            scores[folds == fold]
        )
    return mapped


def fit_shipped(arguments: argparse.Namespace, items: Sequence[Labelled], chosen: Sequence[str]) -> None:
    """Fit the cheap verifiers that ship on train and copy the language model in bf16."""
    shutil.rmtree(arguments.out, ignore_errors=True)
    weights = policy_weights(items)
    Features.fit(items, weights, version=VERSION).save(arguments.out / "features")
    sections: tuple[Section, ...] = ("tail", "patch")
    for section in (section for section in sections if f"words-{section}" in chosen):
        Words.fit(items, weights, section=section, version=VERSION).save(arguments.out / f"words-{section}")
    model.load(arguments.model / "final", dtype="float32", device="cpu").save(arguments.out / "model", "bfloat16")


def shipped(
    members: Sequence[str], scores: dict[str, Floats], resolved: npt.NDArray[np.bool_], name: str | None = None
) -> Shipped:
    """A shipped name with its maps fitted on out-of-fold scores: one a member before the mean, and one after it."""
    if len(members) == 1:
        whole = fit_calibrator("platt", scores[members[0]], resolved)
        return Shipped(members=(Member(folder=members[0]),), calibrator=whole)
    maps = {member: fit_calibrator("platt", scores[member], resolved) for member in members}
    mean = np.mean([maps[member](scores[member]) for member in members], axis=0)
    parts = tuple(Member(folder=member, calibrator=maps[member]) for member in members)
    return Shipped(name=name, members=parts, calibrator=fit_calibrator("platt", mean, resolved))


def table(rows: dict[str, Report]) -> str:
    """Markdown of the selection metrics with their 95% intervals."""
    lines = ["| verifier | " + " | ".join(f"`{key}`" for key in KEYS) + " |", "|---" * (len(KEYS) + 1) + "|"]
    for name, report in rows.items():
        found = report.to_json()
        lines.append(f"| {name} | " + " | ".join(_cell(found, key) for key in KEYS) + " |")
    return "\n".join(lines)


def figures_of(report: Report) -> dict[str, Any]:
    """A report's document without anything that names an attempt."""
    return {key: value for key, value in report.to_json().items() if key not in {"measured", "mistakes"}}


def _cell(found: dict[str, Any], key: str) -> str:
    value, interval = found[key], found["intervals"].get(key)
    if value is None:
        return "-"
    return f"{value:.3f}" + (f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else "")


def card(chosen: Sequence[str], reports: dict[str, Report], on_dev: dict[str, Report]) -> str:
    """The model card: figures of this run in the words of model_card.md."""
    best = reports["+".join(chosen)]
    controls = reports["model"].controls
    shown = [
        f"`{name}` {controls[name].auc_within_policy:.3f} within policy, {controls[name].auc:.3f} pooled"
        for name in ("policy_prior", "task_prior", "shortest")
        if controls[name].auc_within_policy is not None
    ]
    told = [f"- `{'+'.join(chosen)}` in cross-validation: {best.headline}"]
    told += [f"- `{name}` in cross-validation: {reports[name].headline}" for name in reports if "+" not in name]
    told += [f"- `{name}` on dev: {report.headline}" for name, report in on_dev.items()]
    told += [f"- Upsets, in cross-validation: {'; '.join(_upset(name, report) for name, report in reports.items())}."]
    template = Path(__file__).with_name("model_card.md").read_text(encoding="utf-8")
    return template.format(
        members="the mean of " + ", ".join(f"`{name}`" for name in chosen),
        n_features=len(FEATURES),
        candidates=table(reports),
        controls="; ".join(shown),
        dev=table(on_dev),
        floor=f"{on_dev['default'].ece_noise_floor:.3f}",
        verdict="\n".join(told),
        prior_auc=f"{controls['policy_prior'].auc:.3f}",
    )


def _upset(name: str, report: Report) -> str:
    low, high = report.intervals["auc_upset"] or (0.0, 1.0)
    said = "better than chance" if low > 0.5 else "worse than chance" if high < 0.5 else "no better than chance"
    return f"`{name}` {said} ({report.metrics.auc_upset:.3f} [{low:.3f}, {high:.3f}])"


def _within(reports: dict[str, Report], members: Sequence[str]) -> float:
    return reports["+".join(members)].metrics.auc_within_policy or 0.0


def main() -> None:
    """Measure every candidate, choose, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--dev", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--scores", type=Path, help="keep out-of-fold scores there, and use those already there")
    arguments = parser.parse_args()
    own, dev = read([arguments.train]), read([arguments.dev])
    items = own + dev
    print(f"{len(own)} train, {len(dev)} dev", flush=True)
    if arguments.scores and arguments.scores.is_file():
        scores = dict(np.load(arguments.scores))
    else:
        _shared[:] = items
        scores = all_out_of_fold()
        if arguments.scores:
            np.savez(arguments.scores, **scores)
    scores["model"] = model_scores(arguments.model.glob("fold-*/held_out.jsonl"), items)
    bent = {name: calibrated(items, found) for name, found in scores.items()}
    means = {"+".join(members): np.mean([bent[m] for m in members], axis=0) for members in CANDIDATES}
    reports = {
        name: figures(items, calibrated(items, mean), name, controls=name == "model") for name, mean in means.items()
    }
    print(table(reports), flush=True)
    chosen = max((m for m in CANDIDATES if "model" in m), key=lambda m: _within(reports, m))
    print("chosen:", chosen, flush=True)
    fit_shipped(arguments, own, chosen)
    resolved = np.array([item.outcome is Outcome.RESOLVED for item in own])
    own_scores = {name: found[: len(own)] for name, found in scores.items()}
    file = ShippedFile(
        default=shipped(chosen, own_scores, resolved, f"swe-rm-blend@{VERSION}"),
        model=shipped(("model",), own_scores, resolved),
        features=shipped(("features",), own_scores, resolved),
    )
    (arguments.out / "verifiers.json").write_text(file.model_dump_json(indent=1) + "\n", encoding="utf-8")
    on_dev = {}
    for name in ShippedFile.model_fields:
        verifier: Verifier = load_verifier(name)
        on_dev[name] = evaluate(dev, verifier([item.trajectory for item in dev]))
    result = {
        "cross_validated": {name: figures_of(report) for name, report in reports.items()},
        "dev": {name: figures_of(report) for name, report in on_dev.items()},
        "noise_floor_dev": {name: report.ece_noise_floor for name, report in on_dev.items()},
        "chosen": chosen,
    }
    Path("experiments/reports/default_verifier.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (arguments.out / "README.md").write_text(card(chosen, reports, on_dev), encoding="utf-8")
    print(table(on_dev), "\n", result["noise_floor_dev"])


if __name__ == "__main__":
    main()
