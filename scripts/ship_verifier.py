"""Choose the default verifier by cross-validation and fit what ships.

    python scripts/ship_verifier.py --train TRAIN --dev DEV --patches PATCHES --tasks TASKS --model CV --out DIR

`--model` is the folder of scripts/cross_validate.py. Folds are by task over train and dev. What ships is fitted on
train alone and calibrated on out-of-fold scores of train, so the figures on dev are of attempts nothing was fitted to.
The words of the patch are learnt from patch-only attempts, too, and attempts without a log are judged by two verifiers
learnt from such attempts alone, with the issue and without. Then scripts/list_trained_tasks.py lists what it was
trained on, and scripts/write_model_card.py measures it elsewhere and writes the card.
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
from write_model_card import REPORT, document, table

from swe_rm import model, sources
from swe_rm.calibrate import fit as fit_calibrator
from swe_rm.evaluate import evaluate
from swe_rm.metrics import calibration_error, noise_floors
from swe_rm.mix.task_rows import read_issues, with_statement
from swe_rm.training_data import Tasks, policy_weights
from swe_rm.trajectory import Labelled, Outcome, policy_family
from swe_rm.verdict import Verdict
from swe_rm.verifiers import Member, Shipped, ShippedFile
from swe_rm.verifiers.facts import fact_matrix
from swe_rm.verifiers.features import Features
from swe_rm.verifiers.words import Section, Words, section_text

FOLDS = 5
VERSION = "3"
CHEAP = ("features", "words-tail", "words-patch")
Weights = tuple[tuple[str, float], ...]
"""Members of a mean, each with its weight."""
OF_PATCHES: Weights = (("patches-features", 1.0), ("patches-words", 1.0))
"""What judges attempts without a log: facts, outcomes balanced inside each policy, and words of the patch, unweighted.

Chosen among thirteen by folds of policies and tasks at once (experiments/LOG.md): with balanced weights alone the
pick among policies is below a random one, without them the order within a policy suffers.
"""
CANDIDATES: tuple[Weights, ...] = (
    (("model", 1.0),),
    (("features", 1.0),),
    (("words-tail", 1.0),),
    (("words-patch", 1.0),),
    (("features", 1.0), ("words-tail", 0.5), ("words-patch", 0.5)),
    (("features", 1.0), ("model", 1.0)),
    (("features", 1.0), ("model", 0.5)),
    (("features", 1.0), ("words-tail", 0.5), ("words-patch", 0.5), ("model", 1.0)),
    (("features", 1.0), ("words-tail", 0.5), ("words-patch", 0.5), ("model", 0.5)),
    (("features", 1.0), ("words-tail", 0.25), ("words-patch", 0.5), ("model", 0.5)),
)
Floats = npt.NDArray[np.float64]
NEW = 100
"""Attempts that a family taken for new has at least: with fewer chance alone makes an ECE of 0.1."""
OWN_LABELS = (20, 50)
"""Labelled attempts of a new family that a map of its own is fitted on."""
DRAWS = 20


def read(paths: Sequence[Path]) -> list[Labelled]:
    """Labelled attempts of known outcome."""
    attempts = sources.open_pile(paths).attempts()
    return [item for item in attempts if item.outcome is not Outcome.UNKNOWN]


def named(members: Weights) -> str:
    """A mean in a word: 0.5 model + features."""
    return " + ".join(name if weight == 1 else f"{weight:g} {name}" for name, weight in members)


def out_of_fold(items: Sequence[Labelled], patches: Sequence[Labelled], cheap: str) -> Floats:
    """Scores of a cheap verifier, each by the fit that did not see the attempt's task."""
    folds = np.array([item.trajectory.task.fold(FOLDS) for item in items])
    resolved = np.array([item.outcome is Outcome.RESOLVED for item in items])
    logits = _logits_of(items, resolved, patches, cheap)
    scores = np.zeros(len(items))
    for fold in range(FOLDS):
        seen, held_out = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        weights = np.array(policy_weights([items[i] for i in seen.tolist()]))
        scores[held_out] = 1 / (1 + np.exp(-logits(seen, held_out, weights)))
        print(f"{cheap}: fold {fold} done", flush=True)
    return scores


Ids = npt.NDArray[np.intp]


def _logits_of(
    items: Sequence[Labelled], resolved: npt.NDArray[np.bool_], patches: Sequence[Labelled], cheap: str
) -> Callable[[Ids, Ids, Floats], Floats]:
    """(seen, held out, weights) -> log-odds of the held out; what is read of an attempt is computed once."""
    if cheap == "features":
        matrix = fact_matrix([item.trajectory for item in items])
        return lambda seen, out, weights: Features.fit_matrix(
            matrix[seen], resolved[seen], weights, version=VERSION
        ).logits(matrix[out])
    section: Section = "tail" if cheap == "words-tail" else "patch"
    more = patches if section == "patch" else []
    texts = [section_text(item.trajectory, section) for item in items]

    def words(seen: Ids, out: Ids, weights: Floats) -> Floats:
        held = {items[i].trajectory.task.fold(FOLDS) for i in out.tolist()}
        extra = [item for item in more if item.trajectory.task.fold(FOLDS) not in held]
        fitted = fit_words([items[i] for i in seen.tolist()], extra, section)
        return np.array([fitted.logit(texts[i]) for i in out.tolist()])

    return words


def out_of_fold_patches(patches: Sequence[Labelled]) -> dict[str, Floats]:
    """Scores of `OF_PATCHES` on attempts without a log, each by the fit that did not see the attempt's task.

    `patches` are `twice`.
    """
    folds = np.array([item.trajectory.task.fold(FOLDS) for item in patches])
    resolved = np.array([item.outcome is Outcome.RESOLVED for item in patches])
    matrix = fact_matrix([item.trajectory for item in patches])
    texts = [section_text(item.trajectory, "patch") for item in patches]
    logits = {name: np.zeros(len(patches)) for name, _ in OF_PATCHES}
    for fold in range(FOLDS):
        seen, out = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        others = [patches[i] for i in seen.tolist()]
        weights = np.array(policy_weights(others))
        facts = Features.fit_matrix(matrix[seen], resolved[seen], weights, version=VERSION)
        words = patch_words(others)
        logits["patches-features"][out] = facts.logits(matrix[out])
        logits["patches-words"][out] = [words.logit(texts[i]) for i in out.tolist()]
        print(f"patches: fold {fold} done", flush=True)
    return {name: 1 / (1 + np.exp(-found)) for name, found in logits.items()}


def twice(patches: Sequence[Labelled], tasks: Tasks) -> list[Labelled]:
    """Attempts without a log as they are, then with the issue that rows of tasks have: both are judged one day."""
    return [*patches, *(with_statement(item, tasks) for item in patches)]


def patch_words(patches: Sequence[Labelled]) -> Words:
    """Words of the patch of attempts without a log, no weights; the issue is not read, so once of each is enough."""
    found = once(patches)
    return Words.fit(found, [1.0] * len(found), section="patch", version=VERSION, name="patches-words")


def once(patches: Sequence[Labelled]) -> list[Labelled]:
    """The first half of `twice`: each as it was."""
    return list(patches[: len(patches) // 2])


def fit_words(items: Sequence[Labelled], patches: Sequence[Labelled], section: Section) -> Words:
    """Words of a section of these attempts, and of patch-only ones, outcomes balanced inside each policy of either."""
    weights = [*policy_weights(items), *(policy_weights(patches) if patches else [])]
    return Words.fit([*items, *patches], weights, section=section, version=VERSION)


def all_out_of_fold() -> dict[str, Floats]:
    """Every cheap verifier's out-of-fold scores, each in a process of its own."""
    with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as workers:
        found = {name: workers.submit(_in_worker, name) for name in CHEAP}
        patches = workers.submit(_patches_in_worker)
        return {name: future.result() for name, future in found.items()} | patches.result()


_shared: list[list[Labelled]] = []
"""The attempts, those without a log, and these `twice`, for workers to find after the fork."""


def _in_worker(name: str) -> Floats:
    return out_of_fold(_shared[0], _shared[1], name)


def _patches_in_worker() -> dict[str, Floats]:
    return out_of_fold_patches(_shared[2])


def model_scores(files: Iterable[Path], items: Sequence[Labelled]) -> Floats:
    """P(YES) of the language model's held-out verdicts, in the order of `items`."""
    found = {}
    for file in files:
        for row in map(json.loads, file.read_text(encoding="utf-8").splitlines()):
            found[row["attempt_id"]] = 1 / (1 + np.exp(row["no"] - row["yes"]))
    return np.array([found[item.trajectory.attempt_id] for item in items])


def figures(items: Sequence[Labelled], scores: Floats, name: str, *, controls: bool) -> dict[str, Any]:
    """What `swe-rm evaluate` says of these scores; the controls are the same for all candidates and slow."""
    pairs = zip(items, scores.tolist(), strict=True)
    verdicts = [
        Verdict(attempt_id=item.trajectory.attempt_id, score=s, raw_score=s, verifier=name) for item, s in pairs
    ]
    return document(evaluate(items, verdicts, with_controls=controls, policy="family"))


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


def unseen_policies(items: Sequence[Labelled], mean: Floats) -> dict[str, dict[str, float]]:
    """Family of at least `NEW` attempts -> its size, and its ECE by a map fitted on the other families' attempts.

    `ece_20`, `ece_50`: with so many labelled attempts of its own instead and nothing else, on the rest of its tasks;
    `chance_50` is what a perfect map would show there. The parts of the mean have seen attempts of the family at other
    tasks, so that a really new policy fares worse.
    """
    families = np.array([policy_family(item.trajectory.origin.policy) for item in items])
    resolved = np.array([item.outcome is Outcome.RESOLVED for item in items])
    tasks = np.array([item.trajectory.task.instance_id for item in items])
    found = {}
    for family in sorted(set(families)):
        own = families == family
        if own.sum() >= NEW:
            scores = fit_calibrator("platt", mean[~own], resolved[~own])(mean[own])
            told = {"n": float(own.sum()), "ece": float(calibration_error(scores, resolved[own]) or 0)}
            for labels in OWN_LABELS:
                error, chance = _with_own_labels(labels, mean[own], resolved[own], tasks[own])
                told |= {f"ece_{labels}": error, f"chance_{labels}": chance}
            found[str(family)] = told
    return found


def _with_own_labels(
    labels: int, scores: Floats, resolved: npt.NDArray[np.bool_], tasks: npt.NDArray[np.str_]
) -> tuple[float, float]:
    """ECE, and that of a perfect map, after a fit on so many attempts, whole tasks of them; means over `DRAWS` draws.

    A draw of one outcome only, of which no map can be fitted, is drawn again: give scores of both outcomes.
    """
    rng = np.random.default_rng(0)
    errors, floors = [], []
    while len(errors) < DRAWS:
        order = rng.permutation(np.unique(tasks))
        sizes = np.cumsum([np.count_nonzero(tasks == task) for task in order])
        seen = np.isin(tasks, order[: int(np.searchsorted(sizes, labels)) + 1])
        if not 0 < resolved[seen].sum() < seen.sum():
            continue
        mapped = fit_calibrator("platt", scores[seen], resolved[seen])(scores[~seen])
        errors.append(float(calibration_error(mapped, resolved[~seen]) or 0))
        floors.append((noise_floors(mapped, n_draws=50) or (0.0,))[0])
    return float(np.mean(errors)), float(np.mean(floors))


def fit_shipped(
    arguments: argparse.Namespace, items: Sequence[Labelled], patches: Sequence[Labelled], chosen: Sequence[str]
) -> None:
    """Fit the cheap verifiers that ship on train and copy the language model in bf16."""
    for folder in filter(Path.is_dir, arguments.out.iterdir()):
        shutil.rmtree(folder)
    weights = policy_weights(items)
    Features.fit(items, weights, version=VERSION).save(arguments.out / "features")
    sections: tuple[Section, ...] = ("tail", "patch")
    for section in (section for section in sections if f"words-{section}" in chosen):
        fit_words(items, once(patches) if section == "patch" else [], section).save(arguments.out / f"words-{section}")
    facts = Features.fit(patches, policy_weights(patches), version=VERSION, name="patches-features")
    facts.save(arguments.out / "patches-features")
    patch_words(patches).save(arguments.out / "patches-words")
    model.load(arguments.model / "final", dtype="float32", device="cpu").save(arguments.out / "model", "bfloat16")


def shipped(
    members: Weights,
    scores: dict[str, Floats],
    resolved: npt.NDArray[np.bool_],
    name: str | None = None,
    patches: Shipped | None = None,
) -> Shipped:
    """A shipped name with its maps fitted on out-of-fold scores: one a member before the mean, and one after it."""
    if len(members) == 1:
        ((only, _),) = members
        bent = fit_calibrator("platt", scores[only], resolved)
        return Shipped(name=name, members=(Member(folder=only),), calibrator=bent, patches=patches)
    maps = {member: fit_calibrator("platt", scores[member], resolved) for member, _ in members}
    mean = mean_of(members, {member: bent(scores[member]) for member, bent in maps.items()})
    parts = tuple(Member(folder=member, calibrator=maps[member], weight=weight) for member, weight in members)
    return Shipped(name=name, members=parts, calibrator=fit_calibrator("platt", mean, resolved), patches=patches)


def mean_of(members: Weights, scores: dict[str, Floats]) -> Floats:
    """The weighted mean of their scores."""
    return np.average([scores[member] for member, _ in members], axis=0, weights=[weight for _, weight in members])


def _within(reports: dict[str, dict[str, Any]], members: Weights) -> float:
    return float(reports[named(members)]["auc_within_policy"] or 0)


def main() -> None:
    """Measure every candidate, choose, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--dev", type=Path, required=True)
    parser.add_argument(
        "--patches", type=Path, nargs="+", required=True, help="patch-only attempts, of train and of dev"
    )
    parser.add_argument("--tasks", type=Path, required=True, help="rows of their tasks, which have the issues")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--scores", type=Path, help="keep out-of-fold scores there, and use those already there")
    arguments = parser.parse_args()
    own, dev = read([arguments.train]), read([arguments.dev])
    items, bare = own + dev, read(arguments.patches)
    patches = twice(bare, read_issues([arguments.tasks]))
    print(f"{len(own)} train, {len(dev)} dev, {len(bare)} patches", flush=True)
    if arguments.scores and arguments.scores.is_file():
        scores = dict(np.load(arguments.scores))
        if lacking := {*CHEAP, *dict(OF_PATCHES)} - scores.keys():
            raise SystemExit(f"{arguments.scores}: no scores of {', '.join(sorted(lacking))}: of an older version")
    else:
        _shared[:] = [items, bare, patches]
        scores = all_out_of_fold()
        if arguments.scores:
            np.savez(arguments.scores, **scores)
    scores["model"] = model_scores(arguments.model.glob("fold-*/held_out.jsonl"), items)
    of_patches = {name: scores.pop(name) for name, _ in OF_PATCHES}
    bent = {name: calibrated(items, found) for name, found in scores.items()}
    means = {named(members): mean_of(members, bent) for members in CANDIDATES}
    reports = {
        name: figures(items, calibrated(items, mean), name, controls=name == "model") for name, mean in means.items()
    }
    print(table(reports), flush=True)
    chosen = max((m for m in CANDIDATES if "model" in dict(m)), key=lambda m: _within(reports, m))
    print("chosen:", named(chosen), flush=True)
    mean = mean_of(OF_PATCHES, {name: calibrated(patches, found) for name, found in of_patches.items()})
    mapped, half = calibrated(patches, mean), len(bare)
    without_log = {
        "patches alone": figures(bare, mapped[:half], "patches", controls=False),
        "with the issue": figures(patches[half:], mapped[half:], "patches", controls=False),
    }
    print(table(without_log), flush=True)
    tasks = {item.trajectory.task.instance_id for item in dev}
    kept = np.array([item.trajectory.task.instance_id not in tasks for item in patches])
    own_patches = [item for item, keep in zip(patches, kept, strict=True) if keep]
    fit_shipped(arguments, own, own_patches, list(dict(chosen)))
    of_own = {name: found[kept] for name, found in of_patches.items()}
    judge = shipped(OF_PATCHES, of_own, np.array([item.outcome is Outcome.RESOLVED for item in own_patches]))
    resolved = np.array([item.outcome is Outcome.RESOLVED for item in own])
    own_scores = {name: found[: len(own)] for name, found in scores.items()}
    file = ShippedFile(
        default=shipped(chosen, own_scores, resolved, f"swe-rm-blend@{VERSION}", judge),
        model=shipped((("model", 1.0),), own_scores, resolved),
        features=shipped((("features", 1.0),), own_scores, resolved, f"swe-rm-features@{VERSION}", judge),
    )
    (arguments.out / "verifiers.json").write_text(file.model_dump_json(indent=1) + "\n", encoding="utf-8")
    unseen = unseen_policies(items, means[named(chosen)])
    result = {"cross_validated": reports, "chosen": named(chosen), "unseen_policies": unseen, "patches": without_log}
    REPORT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
