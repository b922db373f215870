"""What an experiment found: every arm's figures over seeds and tasks, their differences from the control's, claims."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

import numpy as np

from swe_rm.errors import RecordError, SweRmError
from swe_rm.experiment.cell import RESULT_FILE, Result, read_result
from swe_rm.experiment.definition import Axis, Claim, Definition, Published
from swe_rm.experiment.measures import FIGURES, bounds
from swe_rm.experiment.running import CELLS_FOLDER, Planned, read_planned
from swe_rm.experiment.setting import HELD
from swe_rm.figures import BIASED, LOWER_IS_BETTER, Figures, Measured, pool_from
from swe_rm.metrics import Flags, Floats
from swe_rm.resampling import resample_weights
from swe_rm.spread import RESAMPLES, Draws, Figure
from swe_rm.trajectory import Noun

Standing = Literal["agrees", "disagrees", "not told apart", "not measured"]


class ArmFound(Noun):
    """What one arm came to."""

    name: str
    seeds: tuple[int, ...]
    drawn: int
    """Attempts trained on, mean over seeds."""
    resolved_share: float
    """Of those."""
    minutes: float
    """Of training and judging, without the warm-up that all share; mean over seeds."""
    prompt_tokens: float | None
    metrics: dict[str, float | None]
    intervals: dict[str, tuple[float, float] | None]
    """95%, over seeds and tasks."""
    per_seed: dict[str, tuple[float | None, ...]]
    differences: dict[str, Figure]
    """From the control, seed by seed; empty for the control."""
    rm_at_k: dict[int, Figure]
    """K -> RM@K over the tasks with the widest K, so that every K is over the same tasks."""


class ClaimFound(Noun):
    """A claim beside what was found."""

    claim: Claim
    difference: Figure | None
    """better - than in the figure, or the figure itself of the arm that is named alone."""
    standing: Standing


class Findings(Noun):
    """The report of one experiment."""

    name: str
    title: str
    question: str
    profile: str
    control: str
    varies: tuple[str, ...]
    axis: Axis | None
    digest: str
    arms: tuple[ArmFound, ...]
    k: int
    """The widest K that half of the tasks have."""
    n_tasks: int
    n_tasks_at_k: int
    n_attempts: int
    n_pairs_same_policy_task: int
    n_pairs_upset: int
    base_rate: float
    random_at_k: float | None
    pass_at_k: float | None
    claims: tuple[ClaimFound, ...]
    published: tuple[Published, ...]
    read: int
    refused: int
    """Records that could not be read."""
    dropped: dict[str, int]
    held: int
    """Attempts at the tasks that are kept apart, of which some or all are measured on."""
    changes: dict[str, Any]
    """What all arms have in place of the profile's and the definition's values, by dotted key."""
    inputs: dict[str, str]
    settings: dict[str, dict[str, Any]]
    """Arm -> declared keys in which it differs from the control."""
    of_all: dict[str, Any]
    """The control's whole setting, by dotted key: what of it the others share is all that is not in `settings`."""
    commit: str | None
    code: str
    versions: dict[str, str]
    missing: tuple[str, ...]
    """Cells that are not finished."""


def findings(out: Path, definition: Definition) -> Findings:
    """What the finished cells of an experiment tell.

    Title, question, axis, claims and published figures are those of `definition`, so that words can be mended after
    a run. Raises SweRmError where the run is of a definition that differs in anything else, where the control has no
    finished cell, or arms were measured on other attempts; an arm that has none is left out, and its cells stand in
    `missing`.
    """
    name = definition.name
    planned = read_planned(out / name)
    _refuse_other_run(out / name, definition, planned.experiment.definition)
    results, missing = _results(out, planned, definition.axis)
    if definition.control not in results:
        raise SweRmError(f"{name}: no cell of the control, {definition.control}, is finished")
    measured = _common(name, results)
    k, keep = _widest(measured)
    draws = {arm: _draws([one.measured for one in found.values()], k, keep) for arm, found in results.items()}
    control = draws[definition.control]
    seeds = {arm: tuple(found) for arm, found in results.items()}
    arms = tuple(
        _arm(arm, list(found.values()), seeds[arm], draws[arm], _difference(definition, arm, draws, control, seeds))
        for arm, found in results.items()
    )
    plain = Figures(_pool(measured), np.asarray(measured.scores), None).metrics(None)
    return Findings(
        name=name,
        title=definition.title,
        question=definition.question,
        profile=planned.experiment.profile,
        control=definition.control,
        varies=definition.varies,
        axis=definition.axis,
        digest=planned.digest,
        arms=arms,
        k=k,
        n_tasks=plain.n_tasks,
        n_tasks_at_k=int(keep.sum()),
        n_attempts=plain.n_attempts,
        n_pairs_same_policy_task=plain.n_pairs_same_policy_task,
        n_pairs_upset=plain.n_pairs_upset,
        base_rate=float(np.mean(measured.resolved)),
        random_at_k=plain.random_at_k.get(k),
        pass_at_k=plain.pass_at_k.get(k),
        claims=tuple(_claim(claim, draws, seeds) for claim in of_each_arm(definition.claims, [*results])),
        published=definition.published,
        read=planned.read,
        refused=planned.refused,
        dropped=planned.dropped,
        held=planned.cells[0].drawn[HELD],
        changes=planned.experiment.changes,
        inputs=planned.inputs,
        settings=_settings(planned, results),
        of_all=planned.experiment.settings[definition.control].flat(),
        commit=planned.commit,
        code=planned.code,
        versions=planned.versions,
        missing=tuple(missing),
    )


def _refuse_other_run(folder: Path, given: Definition, there: Definition) -> None:
    words = {"title", "question", "axis", "claims", "published"}
    mine, theirs = given.model_dump(exclude=words), there.model_dump(exclude=words)
    if differing := [key for key in mine if mine[key] != theirs[key]]:
        raise SweRmError(f"{folder}: is a run of {there.name} with other {', '.join(differing)}; give another --out")


def _results(out: Path, planned: Planned, axis: Axis | None) -> tuple[dict[str, dict[int, Result]], list[str]]:
    """Arm -> seed -> what it left, in the plan's order or along the axis; a line for each that is not finished."""
    arms = sorted(planned.experiment.settings, key=lambda arm: axis.at.get(arm, 0) if axis else 0)
    found: dict[str, dict[int, Result]] = {arm: {} for arm in arms}
    missing = []
    for one in planned.cells:
        file = out / CELLS_FOLDER / one.digest / RESULT_FILE
        if file.is_file():
            result = read_result(file)
            if result.digest != one.digest:
                raise RecordError(str(file), "digest", f"is {result.digest}: another cell's result")
            found[one.arm][one.seed] = result
        else:
            missing.append(f"{one.arm}/seed-{one.seed}: is not finished")
    return {arm: by_seed for arm, by_seed in found.items() if by_seed}, missing


def _common(name: str, results: Mapping[str, Mapping[int, Result]]) -> Measured:
    """What all were measured on."""
    first: Measured | None = None
    for arm, found in results.items():
        for seed, one in found.items():
            if first is None:
                first = one.measured
            elif (one.measured.attempt_ids, one.measured.resolved) != (first.attempt_ids, first.resolved):
                raise SweRmError(f"{name}: {arm}/seed-{seed} was measured on other attempts than the rest")
    assert first is not None
    return first


def _pool(measured: Measured) -> Any:
    names = np.array(measured.task_names, dtype=np.object_)[list(measured.tasks)]
    policies = np.array(measured.policy_names, dtype=np.object_)[list(measured.policies)]
    return pool_from(names, policies, np.array(measured.resolved, dtype=np.bool_))


def _widest(measured: Measured) -> tuple[int, Flags]:
    """The widest K that half of the tasks have, and which tasks have it."""
    sizes = np.bincount(measured.tasks, minlength=len(measured.task_names))
    k = max((k for k in range(1, sizes.max() + 1) if 2 * (sizes >= k).sum() >= len(sizes)), default=1)
    return k, sizes >= k


def _draws(measured: Sequence[Measured], k: int, keep: Flags) -> dict[str, Draws]:
    """Every figure of an arm, by seed and in draws of tasks that all arms share."""
    found: dict[str, list[tuple[float, Floats]]] = {}
    for one in measured:
        for name, pair in _of_one(one, k, keep).items():
            found.setdefault(name, []).append(pair)
    n_tasks = len(measured[0].task_names)
    return {
        name: Draws(np.array([value for value, _ in pairs]), np.stack([drawn for _, drawn in pairs], axis=1), n_tasks)
        for name, pairs in found.items()
    }


def _of_one(measured: Measured, k: int, keep: Flags) -> dict[str, tuple[float, Floats]]:
    """Figure -> its value, and that in every draw of tasks."""
    figures = Figures(_pool(measured), np.asarray(measured.scores, np.float64), None)
    plain = figures.metrics(None)
    weights = resample_weights(len(measured.task_names), RESAMPLES, seed=0)
    drawn = figures.resampler()(weights)
    found: dict[str, tuple[float, Floats]] = {}
    for name in ("auc", "auc_within_policy", "auc_same_policy_task", "auc_within_task", "auc_upset", "ece", "brier"):
        value = getattr(plain, name)
        value = np.nan if value is None else value
        found[name] = value, (2 * value - drawn[name] if name in BIASED else drawn[name])
    rm, random = (_over(figures.curves[name], keep, weights) for name in ("rm_at_k", "random_at_k"))
    for at in range(1, k + 1):
        found[f"rm_at_k.{at}"] = rm[at - 1]
    found["rm_at_k.widest"] = rm[k - 1]
    found["gain_at_k"] = _minus(rm[k - 1], random[k - 1])
    found["rise_with_k"] = _minus(rm[k - 1], rm[min(1, k - 1)])
    return found


def _over(sums: tuple[Floats, Floats], keep: Flags, weights: Floats) -> list[tuple[float, Floats]]:
    """A curve over some tasks alone: each K's value and that in every draw."""
    over, under = (np.where(keep[:, None], part, 0) for part in sums)
    with np.errstate(divide="ignore", invalid="ignore"):
        values, drawn = over.sum(axis=0) / under.sum(axis=0), (weights @ over) / (weights @ under)
    return [(float(values[place]), drawn[:, place]) for place in range(over.shape[1])]


def _minus(one: tuple[float, Floats], other: tuple[float, Floats]) -> tuple[float, Floats]:
    return one[0] - other[0], one[1] - other[1]


def _arm(
    name: str, found: Sequence[Result], seeds: tuple[int, ...], draws: Mapping[str, Draws], apart: dict[str, Figure]
) -> ArmFound:
    figures = {one: draws[one].figure(bounds(one)) for one in FIGURES}
    tokens = [one.tokens.get("prompt_tokens") for one in found]
    known = [value for value in tokens if value is not None]
    return ArmFound(
        name=name,
        seeds=seeds,
        drawn=round(sum(one.n_trained_on for one in found) / len(found)),
        resolved_share=sum(one.resolved_share for one in found) / len(found),
        minutes=sum(one.seconds["train"] + one.seconds["judge"] for one in found) / len(found) / 60,
        prompt_tokens=sum(known) / len(known) if known else None,
        metrics={one: figure.value for one, figure in figures.items()},
        intervals={one: figure.interval for one, figure in figures.items()},
        per_seed={one: figure.per_seed for one, figure in figures.items()},
        differences=apart,
        rm_at_k={
            int(one.rpartition(".")[2]): draw.figure(bounds(one))
            for one, draw in draws.items()
            if one.startswith("rm_at_k.") and one != "rm_at_k.widest"
        },
    )


def _difference(
    definition: Definition,
    arm: str,
    draws: Mapping[str, Mapping[str, Draws]],
    control: Mapping[str, Draws],
    seeds: Mapping[str, tuple[int, ...]],
) -> dict[str, Figure]:
    if arm == definition.control:
        return {}
    found = {}
    for name in FIGURES:
        apart = _apart(draws[arm][name], control[name], seeds[arm], seeds[definition.control])
        if apart is not None:
            found[name] = apart
    return found


def _apart(one: Draws, other: Draws, mine: Sequence[int], theirs: Sequence[int]) -> Figure | None:
    """The difference over the seeds that both have."""
    both = [seed for seed in mine if seed in theirs]
    if not both:
        return None
    return one.of([mine.index(s) for s in both]).minus(other.of([theirs.index(s) for s in both])).figure((-1.0, 1.0))


def of_each_arm(claims: Sequence[Claim], arms: Sequence[str]) -> list[Claim]:
    """A claim for each arm that its pattern fits; as it is where that fits none."""
    found = []
    for claim in claims:
        fits = [arm for arm in arms if claim.than and fnmatchcase(arm, claim.than)]
        found += [claim.model_copy(update={"than": arm}) for arm in fits] or [claim]
    return found


def _claim(claim: Claim, draws: Mapping[str, Mapping[str, Draws]], seeds: Mapping[str, tuple[int, ...]]) -> ClaimFound:
    if not all(claim.figure in draws.get(arm, ()) for arm in claim.arms):
        return ClaimFound(claim=claim, difference=None, standing="not measured")
    mine = [(draws[arm][claim.figure], seeds[arm]) for arm in claim.arms]
    if claim.negative is not None:
        (one, _), lower = mine[0], True
        apart: Figure | None = one.figure(bounds(claim.figure))
    else:
        (one, own), (other, others) = mine
        apart, lower = _apart(one, other, own, others), claim.figure in LOWER_IS_BETTER
    return ClaimFound(claim=claim, difference=apart, standing=_standing(apart, lower=lower))


def _standing(apart: Figure | None, *, lower: bool) -> Standing:
    """Whether a difference lies on the side that was expected, below 0 or above."""
    if apart is None or apart.value is None:
        return "not measured"
    low, high = apart.interval or (0.0, 0.0)
    if low <= 0 <= high:
        return "not told apart"
    return "agrees" if (high < 0) == lower else "disagrees"


def _settings(planned: Planned, results: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What each arm changes, in declared keys."""
    flat = {arm: setting.flat() for arm, setting in planned.experiment.settings.items() if arm in results}
    control = flat[planned.experiment.definition.control]
    return {
        arm: {key: mine.get(key) for key in sorted(mine.keys() | control.keys()) if mine.get(key) != control.get(key)}
        for arm, mine in flat.items()
    }
