"""Reports against a slow twin that follows the contract's words, and what is said of what cannot be measured."""

import json
import math
import random
from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from swe_rm import resampling
from swe_rm.__main__ import main
from swe_rm.errors import RecordError, SweRmError, VerifierError
from swe_rm.evaluate import Report, evaluate
from swe_rm.figures import Metrics
from swe_rm.headline import MIN_PAIRS, MIN_TASKS
from swe_rm.trajectory import Labelled, Origin, Outcome, Task, Trajectory, policy_family
from swe_rm.verdict import Verdict
from swe_rm.verifiers.controls import controls
from swe_rm.verifiers.recorded import join, read_verdicts


class Row(NamedTuple):
    """One attempt, as the twin sees it."""

    task: str
    policy: str
    attempt: str
    resolved: bool
    score: float


def labelled(row: Row, outcome: Outcome | None = None) -> Labelled:
    trajectory = Trajectory(
        task=Task(instance_id=row.task, repo=row.task.split("-")[0]),
        patch=f"+{row.attempt}",
        origin=Origin(source="made", scaffold="loop", policy=row.policy, attempt=row.attempt),
    )
    known = Outcome.RESOLVED if row.resolved else Outcome.UNRESOLVED
    return Labelled(trajectory=trajectory, outcome=outcome or known)


def verdict(item: Labelled, score: float, **fields: Any) -> Verdict:
    id_ = item.trajectory.attempt_id
    return Verdict(**{"attempt_id": id_, "score": score, "raw_score": score, "verifier": "test@1", **fields})


def report(rows: Iterable[Row], **options: Any) -> Report:
    rows = list(rows)
    pool = [labelled(row) for row in rows]
    verdicts = [verdict(item, row.score) for item, row in zip(pool, rows, strict=True)]
    return evaluate(pool, verdicts, **{"resamples": 20, **options})


def made(n_tasks: int, policies: dict[str, float], runs: int, seed: int = 0, signal: float = 0.3) -> list[Row]:
    """A pool whose scores know something of the outcome."""
    rng = random.Random(seed)
    rows = []
    for task in range(n_tasks):
        ease = rng.gauss(0, 0.2)
        for policy, rate in policies.items():
            for run in range(runs):
                resolved = rng.random() < rate + ease
                score = min(1.0, max(0.0, round(0.4 + signal * resolved + rng.gauss(0, 0.15), 2)))
                rows.append(Row(f"pump-{task}", policy, str(run), resolved, score))
    return rows


POLICIES = {"mill+small": 0.3, "mill+large [a]": 0.7, "mill+large [b]": 0.6}


# --- the slow twin ---------------------------------------------------------------------------------------------------


def pairs_of(rows: Iterable[Row], counts: Callable[[Row, Row], bool]) -> tuple[float | None, int]:
    rows = list(rows)
    pairs = [(a, b) for a in rows for b in rows if a.resolved and not b.resolved and counts(a, b)]
    won = sum(1.0 if a.score > b.score else 0.5 if a.score == b.score else 0.0 for a, b in pairs)
    return (won / len(pairs) if pairs else None), len(pairs)


def curve(rows: list[Row], group: Callable[[Row], Any], value: Callable[[tuple[Row, ...]], float]) -> dict[int, float]:
    groups = defaultdict(list)
    for row in rows:
        groups[group(row)].append(row)
    found = {}
    for k in range(1, max(map(len, groups.values())) + 1):
        means = []
        for members in (members for members in groups.values() if len(members) >= k):
            subsets = list(combinations(members, k))
            means.append(sum(value(subset) for subset in subsets) / len(subsets))
        found[k] = sum(means) / len(means)
    return found


def picked(subset: tuple[Row, ...]) -> float:
    best = max(row.score for row in subset)
    tied = [row.resolved for row in subset if row.score == best]
    return sum(tied) / len(tied)


def any_resolved(subset: tuple[Row, ...]) -> float:
    return float(any(row.resolved for row in subset))


def mean_rates(rows: list[Row]) -> dict[str, float]:
    outcomes = defaultdict(list)
    for row in rows:
        outcomes[row.policy].append(row.resolved)
    return {policy: sum(seen) / len(seen) for policy, seen in outcomes.items()}


def within_policy(rows: list[Row], eligible: set[str]) -> float | None:
    total, weighted = 0, 0.0
    for policy in sorted(eligible):
        mine = [row for row in rows if row.policy == policy]
        auc = pairs_of(mine, lambda a, b: True)[0]
        if auc is not None:
            total, weighted = total + len(mine), weighted + auc * len(mine)
    return weighted / total if total else None


def eligible_policies(rows: list[Row]) -> set[str]:
    outcomes = defaultdict(list)
    for row in rows:
        outcomes[row.policy].append(row.resolved)
    return {policy for policy, seen in outcomes.items() if len(seen) >= 20 and len(set(seen)) == 2}


def ece_of(rows: list[Row], bin_of: Callable[[Row, list[Row]], int] | None = None) -> float:
    bins = [(bin_of or width_bin)(row, rows) for row in rows]
    gaps = [sum(r.score - r.resolved for r, b in zip(rows, bins, strict=True) if b == n) for n in range(10)]
    return sum(map(abs, gaps)) / len(rows)


def twin(rows: list[Row]) -> dict[str, Any]:
    """Every figure by its definition in the contract."""
    rates = mean_rates(rows)
    cell: Callable[[Row], Any] = lambda row: (row.task, row.policy)  # noqa: E731
    task: Callable[[Row], Any] = lambda row: row.task  # noqa: E731
    same, n_same = pairs_of(rows, lambda a, b: cell(a) == cell(b))
    upset, n_upset = pairs_of(rows, lambda a, b: a.task == b.task and rates[a.policy] < rates[b.policy])
    sizes = [sum(row.task == name for row in rows) for name in {row.task for row in rows}]
    return {
        "n_attempts": len(rows),
        "n_tasks": len(sizes),
        "base_rate": sum(row.resolved for row in rows) / len(rows),
        "auc": pairs_of(rows, lambda a, b: True)[0],
        "auc_within_task": pairs_of(rows, lambda a, b: a.task == b.task)[0],
        "auc_within_policy": within_policy(rows, eligible_policies(rows)),
        "auc_same_policy_task": same,
        "n_pairs_same_policy_task": n_same,
        "auc_upset": upset,
        "n_pairs_upset": n_upset,
        "ece": ece_of(rows),
        "brier": sum((row.score - row.resolved) ** 2 for row in rows) / len(rows),
        "rm_at_k": curve(rows, task, picked),
        "pass_at_k": curve(rows, task, any_resolved),
        "rm_at_k_same_policy": curve(rows, cell, picked),
        "pass_at_k_same_policy": curve(rows, cell, any_resolved),
        "n_tasks_at_k": {k: sum(size >= k for size in sizes) for k in range(1, max(sizes) + 1)},
        "average_precision": precision_of(rows),
        "ece_mass": ece_of(rows, mass_bin),
        "random_at_k": curve(rows, task, mean_outcome),
        "random_at_k_same_policy": curve(rows, cell, mean_outcome),
        **{f"gap_recovered{suffix}": gap(rows, group) for suffix, group in (("", task), ("_same_policy", cell))},
    }


def mean_outcome(subset: tuple[Row, ...]) -> float:
    return sum(row.resolved for row in subset) / len(subset)


def gap(rows: list[Row], group: Callable[[Row], Any]) -> dict[int, float | None]:
    """(RM@K - random) / (pass@K - random), None where an oracle adds nothing."""
    random_, best = curve(rows, group, mean_outcome), curve(rows, group, any_resolved)
    mine = curve(rows, group, picked)
    return {
        k: (mine[k] - random_[k]) / (best[k] - random_[k]) if abs(best[k] - random_[k]) > 1e-9 else None for k in mine
    }


def precision_of(rows: list[Row]) -> float | None:
    good = [row for row in rows if row.resolved]
    shares = [mean_outcome(tuple(other for other in rows if other.score >= row.score)) for row in good]
    return sum(shares) / len(shares) if shares else None


def width_bin(row: Row, rows: list[Row]) -> int:
    return min(9, math.floor(10 * row.score))


def mass_bin(row: Row, rows: list[Row]) -> int:
    below = sum(other.score < row.score for other in rows) + sum(other.score == row.score for other in rows) / 2
    return math.floor(10 * below / len(rows))


def assert_same(found: Any, expected: Any) -> None:
    for key, value in expected.items():
        if isinstance(value, dict):
            assert_same(found[key], value)
        else:
            assert found[key] == (value if value is None else pytest.approx(value, abs=1e-9)), key


pools = st.lists(
    st.tuples(
        st.sampled_from(["pump-0", "pump-1", "valve-2"]),
        st.sampled_from(list(POLICIES)),
        st.booleans(),
        st.sampled_from([0.0, 0.3, 0.5, 0.55, 1.0]),
    ),
    min_size=1,
    max_size=14,
).map(lambda rows: [Row(t, p, str(i), y, s) for i, (t, p, y, s) in enumerate(rows)])


@settings(max_examples=60, deadline=None)
@given(pools)
def test_every_figure_is_its_definition(rows: list[Row]) -> None:
    assert_same(report(rows).metrics.model_dump(), twin(rows))


def test_every_figure_is_its_definition_where_policies_are_large_enough() -> None:
    rows = made(9, POLICIES, 3)
    assert eligible_policies(rows) == set(POLICIES)
    assert_same(report(rows).metrics.model_dump(), twin(rows))


def test_a_policy_of_twenty_attempts_counts_and_one_of_nineteen_does_not() -> None:
    rows = [Row(f"pump-{i}", "mill", str(i), i % 2 == 0, i / 20) for i in range(20)]
    assert report(rows).metrics.auc_within_policy == report(rows).metrics.auc
    assert report(rows[:19]).metrics.auc_within_policy is None


@settings(max_examples=25, deadline=None)
@given(pools, st.randoms())
def test_the_order_of_the_input_changes_nothing(rows: list[Row], rng: random.Random) -> None:
    shuffled = rng.sample(rows, len(rows))
    assert report(rows).to_json() == report(shuffled).to_json()


def flat(document: Any, path: str = "") -> dict[str, float]:
    """Every number of a JSON document by its path; null as -1."""
    if isinstance(document, dict):
        return {k: v for key, value in document.items() for k, v in flat(value, f"{path}/{key}").items()}
    if isinstance(document, list):
        return {k: v for i, value in enumerate(document) for k, v in flat(value, f"{path}/{i}").items()}
    return {path: -1 if document is None else document} if not isinstance(document, str) else {}


@settings(max_examples=25, deadline=None)
@given(pools)
def test_controls_are_floor_and_ceiling(rows: list[Row]) -> None:
    found = report(rows)
    oracle, constant = found.controls["oracle"], found.controls["constant"]
    for suffix in ("", "_same_policy"):
        assert getattr(oracle, f"rm_at_k{suffix}") == pytest.approx(getattr(oracle, f"pass_at_k{suffix}"))
        assert getattr(oracle, f"pass_at_k{suffix}") == pytest.approx(getattr(found.metrics, f"pass_at_k{suffix}"))
    sizes = {task: [row.resolved for row in rows if row.task == task] for task in {row.task for row in rows}}
    for k, value in constant.rm_at_k.items():
        means = [sum(seen) / len(seen) for seen in sizes.values() if len(seen) >= k]
        assert value == pytest.approx(sum(means) / len(means))
    for prior in ("policy_prior", "task_prior", "constant"):
        assert found.controls[prior].auc_same_policy_task in (0.5, None)
    assert found.controls["shortest"].ece is None
    assert found.controls["shortest"].brier is None
    assert list(found.controls) == ["constant", "shortest", "policy_prior", "task_prior", "oracle"]


def test_families_join_configurations() -> None:
    rows = made(6, POLICIES, 2)
    renamed = [row._replace(policy=policy_family(row.policy), attempt=f"{row.policy}{row.attempt}") for row in rows]
    exact, family = report(rows).metrics, report(rows, policy="family").metrics
    assert_same(family.model_dump(), twin(renamed))
    assert family.n_pairs_same_policy_task > exact.n_pairs_same_policy_task
    assert set(report(rows, policy="family").slices["policy"]) == {"mill+small", "mill+large"}


def test_k_max_keeps_only_tasks_that_have_so_many() -> None:
    rows = [*made(4, POLICIES, 2), Row("valve-9", "mill+small", "0", True, 0.9)]
    found = report(rows, k_max=4)
    expected = twin(rows[:-1])
    assert found.n_below_k == 1
    assert found.warnings == ("attempts left out: 1 at tasks with fewer attempts than k_max",)
    assert found.metrics.n_tasks_at_k == {1: 4, 2: 4, 3: 4, 4: 4}
    assert found.metrics.rm_at_k == pytest.approx({k: expected["rm_at_k"][k] for k in range(1, 5)})
    assert found.metrics.auc == pytest.approx(expected["auc"])
    assert found.metrics.rm_at_k_same_policy == pytest.approx(expected["rm_at_k_same_policy"])
    assert found.controls["oracle"].rm_at_k.keys() == {1, 2, 3, 4}
    with pytest.raises(SweRmError, match="at least 1"):
        report(rows, k_max=0)


# --- intervals -------------------------------------------------------------------------------------------------------


def test_intervals_are_quantiles_of_resamples_spelled_out() -> None:
    rows = made(12, POLICIES, 3, seed=4)
    found = report(rows, resamples=60, seed=3).intervals
    rates, eligible = mean_rates(rows), eligible_policies(rows)
    figures: dict[str, list[float | None]] = defaultdict(list)
    names = sorted({row.task for row in rows})
    for drawn in resampling.resample_weights(len(names), 60, 3):
        copies = [
            row._replace(task=f"{row.task}#{copy}") for row in rows for copy in range(int(drawn[names.index(row.task)]))
        ]
        figures["auc"].append(pairs_of(copies, lambda a, b: True)[0])
        figures["auc_within_policy"].append(within_policy(copies, eligible))
        figures["auc_within_task"].append(pairs_of(copies, lambda a, b: a.task == b.task)[0])
        same = pairs_of(copies, lambda a, b: (a.task, a.policy) == (b.task, b.policy))
        figures["auc_same_policy_task"].append(same[0])
        upset = pairs_of(copies, lambda a, b: a.task == b.task and rates[a.policy] < rates[b.policy])
        figures["auc_upset"].append(upset[0])
        figures["ece"].append(ece_of(copies))
        figures["brier"].append(sum((row.score - row.resolved) ** 2 for row in copies) / len(copies))
        figures["base_rate"].append(sum(row.resolved for row in copies) / len(copies))
        figures["gap_recovered.3"].append(gap(copies, lambda row: row.task)[3])
        figures["random_at_k.3"].append(curve(copies, lambda row: row.task, mean_outcome)[3])
        figures["rm_at_k.3"].append(curve(copies, lambda row: row.task, picked)[3])
        figures["rm_at_k_same_policy.2"].append(curve(copies, lambda row: (row.task, row.policy), picked)[2])
        figures["pass_at_k.2"].append(curve(copies, lambda row: row.task, any_resolved)[2])
    for name, values in figures.items():
        defined = [value for value in values if value is not None]
        low, high = np.quantile(defined, [0.025, 0.975])
        if name == "ece":
            low, high = (max(0, 2 * ece_of(rows) - bound) for bound in (high, low))
        assert found[name] == pytest.approx((low, high), abs=1e-12), name


def test_the_interval_of_the_ece_holds_what_a_percentile_interval_would_miss() -> None:
    """A verifier that is 0.1 too sure of itself on pools of 60 tasks: true ECE 0.1, or near it."""
    held = percentile = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        scores = np.repeat(rng.uniform(0.15, 0.85, 60), 3).round(3)
        rows = [
            Row(f"pump-{n // 3}", "mill", str(n), bool(rng.random() < s - 0.1), float(s)) for n, s in enumerate(scores)
        ]
        low, high = report(rows, resamples=200, seed=seed, with_controls=False).intervals["ece"] or (0, 0)
        held += low <= 0.1 <= high
        value = ece_of(rows)
        percentile += 2 * value - high <= 0.1 <= 2 * value - low
    assert held >= 26
    assert percentile < held


def test_the_interval_of_the_average_precision_is_near_that_of_resamples_spelled_out() -> None:
    rows = made(60, POLICIES, 3, seed=2)
    found = report(rows, resamples=400, seed=3).intervals["average_precision"]
    names, values = sorted({row.task for row in rows}), []
    for drawn in resampling.resample_weights(len(names), 400, 3):
        copies = [row for row in rows for _ in range(int(drawn[names.index(row.task)]))]
        flags, scores = [row.resolved for row in copies], [row.score for row in copies]
        values.append(average_precision_score(flags, scores))
    assert found == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])), abs=0.01)


def test_intervals_are_seeded() -> None:
    rows = made(8, POLICIES, 2)
    first, again, other = (report(rows, seed=seed, resamples=40).intervals for seed in (1, 1, 2))
    assert first == again != other


def test_one_task_has_no_interval() -> None:
    found = report(made(1, POLICIES, 4))
    assert found.metrics.auc is not None
    assert set(found.intervals.values()) == {None}


# --- what is left out ------------------------------------------------------------------------------------------------


def test_attempts_without_outcome_or_verdict_are_left_out_and_counted() -> None:
    rows = made(5, POLICIES, 3)
    pool = [labelled(row) for row in rows]
    verdicts = {item.trajectory.attempt_id: verdict(item, row.score) for item, row in zip(pool, rows, strict=True)}
    pool[0], pool[1] = (labelled(row, Outcome.UNKNOWN) for row in rows[:2])
    for item in (pool[1], pool[2], pool[3]):
        del verdicts[item.trajectory.attempt_id]
    found = evaluate(pool, verdicts, resamples=20)
    assert (found.n_unscored, found.n_unknown, found.metrics.n_attempts) == (3, 1, len(rows) - 4)
    assert found.warnings == (
        "3 attempts without a verdict are left out of every figure (unscored: drop)",
        "attempts left out: 1 without a known outcome",
    )
    assert_same(found.metrics.model_dump(), twin(rows[4:]))
    assert found.controls == report(rows[4:]).controls


@pytest.mark.parametrize("policy", ["exact", "family"])
def test_the_controls_are_the_figures_of_the_verifiers_of_their_names(policy: Any) -> None:
    pool = [labelled(row) for row in made(6, POLICIES, 2)]
    beside = evaluate(pool, [verdict(item, 0.5) for item in pool], resamples=2, policy=policy).controls
    for key, control in controls(pool, policy).items():
        figures = evaluate(pool, control([item.trajectory for item in pool]), resamples=2, policy=policy).metrics
        if key == "shortest":
            figures = figures.model_copy(update=dict.fromkeys(("ece", "ece_mass", "brier", "brier_parts")))
        assert beside[key] == figures


@pytest.mark.parametrize("resolved", [True, False])
def test_one_class_only_is_null_with_a_warning(resolved: bool) -> None:
    found = report(row._replace(resolved=resolved) for row in made(5, POLICIES, 3))
    for key in ("auc", "auc_within_task", "auc_within_policy", "auc_same_policy_task", "auc_upset"):
        assert found.to_json()[key] is None
        assert found.to_json()["intervals"][key] is None
        assert found.to_json()["controls"]["oracle"][key] is None
    assert found.metrics.base_rate == resolved
    assert found.metrics.ece is not None
    assert found.warnings == (f"every attempt is {'' if resolved else 'un'}resolved: ranking figures are undefined",)


def test_no_attempts_at_all() -> None:
    found = evaluate([], [])
    document = found.to_json()
    assert document["base_rate"] is document["ece"] is document["brier"] is document["verifier"] is None
    assert document["rm_at_k"] == {}
    assert "nothing can be measured" in found.warnings[0]


FIGURES = {
    *("n_attempts", "n_tasks", "base_rate", "auc", "auc_within_task", "ece", "brier", "verifier"),
    *("auc_within_policy", "auc_same_policy_task", "n_pairs_same_policy_task", "auc_upset", "n_pairs_upset"),
    *("rm_at_k", "pass_at_k", "rm_at_k_same_policy", "pass_at_k_same_policy", "n_tasks_at_k"),
}
"""The contract's."""


def test_the_document_has_the_keys_of_the_contract_and_no_nan() -> None:
    document = report(made(6, POLICIES, 2)).to_json()
    assert FIGURES | {"n_unscored", "cost", "intervals", "slices", "controls"} <= set(document)
    assert {frozenset(control) for control in document["controls"].values()} == {frozenset(Metrics.model_fields)}
    assert set(Metrics.model_fields) >= FIGURES
    assert set(document["cost"]) == {"prompt_tokens", "seconds"}
    assert {"policy", "repo", "source", "scaffold", "length", "cut", "difficulty"} == set(document["slices"])
    assert {"n", "base_rate", "auc", "ece", "mean_score"} <= set(document["slices"]["repo"]["pump"])
    text = json.dumps(document, allow_nan=False)
    assert json.loads(text) == orjson.loads(orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS))
    assert next(iter(document)) == "verifier"


def test_slices_are_the_figures_of_their_part() -> None:
    rows = made(6, POLICIES, 2)
    slices = report(rows).slices["policy"]
    for policy, found in slices.items():
        mine = [row for row in rows if row.policy == policy]
        expected = twin(mine)
        assert found.n == len(mine)
        assert found.auc == pytest.approx(expected["auc"])
        assert found.ece == pytest.approx(expected["ece"])
        assert found.base_rate == pytest.approx(expected["base_rate"])
        assert found.mean_score == pytest.approx(sum(row.score for row in mine) / len(mine))


def test_bins_and_rankings_hold_every_attempt() -> None:
    rows = made(6, POLICIES, 2)
    found = report(rows)
    assert sum(b.n_resolved for b in found.bins) == sum(row.resolved for row in rows)
    assert sum(b.n_resolved + b.n_unresolved for b in found.bins) == len(rows)
    assert sum(len(ranking.candidates) for ranking in found.rankings) == len(rows) == len(found.outcomes)


def test_cost_is_summed_over_the_verdicts_that_tell_it() -> None:
    rows = made(1, POLICIES, 1)
    pool = [labelled(row) for row in rows]
    told = [verdict(item, 0.5, prompt_tokens=10, seconds=0.25) for item in pool[:2]]
    assert evaluate(pool, [*told, verdict(pool[2], 0.5)]).to_json()["cost"] == {"prompt_tokens": 20, "seconds": 0.5}
    assert evaluate(pool, [verdict(pool[2], 0.5)]).to_json()["cost"] == {"prompt_tokens": None, "seconds": None}


# --- verdicts that cannot be joined ----------------------------------------------------------------------------------


def test_verdicts_must_be_about_the_attempts_once_and_by_one_verifier() -> None:
    pool = [labelled(row) for row in made(2, POLICIES, 1)]
    first, second = verdict(pool[0], 0.4), verdict(pool[1], 0.6)
    with pytest.raises(VerifierError, match="two verdicts on one attempt"):
        evaluate(pool, [first, first])
    with pytest.raises(VerifierError, match="2 verifiers in one evaluation: other@1, test@1"):
        evaluate(pool, [first, verdict(pool[1], 0.6, verifier="other@1")])
    with pytest.raises(VerifierError, match="nobody asked for"):
        evaluate(pool[:1], [first, second])
    with pytest.raises(SweRmError, match="given twice"):
        evaluate([pool[0], pool[0]], [first])


@pytest.mark.parametrize("score", [-0.1, 1.1, math.nan, math.inf])
def test_a_score_that_is_none_is_an_error_and_no_figure(score: float) -> None:
    pool = [labelled(row) for row in made(2, POLICIES, 1)]
    broken = verdict(pool[0], 0.5).model_copy(update={"score": score})
    with pytest.raises(VerifierError, match=r"score .* is not in \[0, 1\]"):
        evaluate(pool, [broken, *(verdict(item, 0.5) for item in pool[1:])])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"score": 1.5}, "line 2: score: Input should be less than or equal to 1"),
        ({"score": -0.5}, "line 2: score: Input should be greater than or equal to 0"),
        ({"score": None}, "line 2: has no score"),
        ({"score": "0.5"}, "line 2: score: Input should be a valid number"),
        ({"attempt": "nobody"}, "line 2: names no attempt given"),
        ({"attempt": "0"}, "line 2: a second verdict on the attempt of line 1"),
        ({"attempt": None}, "line 2: names no attempt"),
        ({"verifier": "other@1"}, "holds verdicts of 2 verifiers"),
    ],
)
def test_recorded_verdicts_that_cannot_be_used_are_one_line(
    tmp_path: Path, change: dict[str, Any], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pile, verdicts, out = (tmp_path / name for name in ("pile.jsonl", "v.jsonl", "e.json"))
    rows = [
        {"instance_id": "pump-1", "policy": "mill", "attempt": str(n), "score": 0.5, "verifier": "v@1"}
        for n in range(3)
    ]
    attempts = [
        {"source": "made", "scaffold": "loop", "instance_id": "pump-1", "policy": "mill", "run": str(n),
         "messages": None, "patch": f"+{n}", "resolved": n == 1} for n in range(3)
    ]  # fmt: skip
    pile.write_text("".join(json.dumps(row) + "\n" for row in attempts))
    rows[1] |= change
    verdicts.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["evaluate", str(pile), "--verdicts", str(verdicts), "--json", str(out)]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert says in lines[0]
    assert not out.exists()


def test_a_nan_in_a_file_of_verdicts_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "v.jsonl").write_text('{"attempt_id": "a", "score": NaN}\n')
    with pytest.raises(RecordError, match="line 1"):
        read_verdicts(tmp_path / "v.jsonl")


# --- the headline in words -------------------------------------------------------------------------------------------


def test_a_verifier_that_orders_attempts_of_one_policy_is_said_to() -> None:
    rows = made(30, POLICIES, 4, signal=0.4)
    too_few = report(rows, resamples=1)
    assert not too_few.beats_chance
    assert "(it has no interval). Not shown to be fit" in too_few.headline
    found = report(rows, resamples=200)
    assert found.beats_chance
    assert "Better than chance" in found.headline
    assert f"{found.metrics.auc_same_policy_task:.3f}" in found.headline


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (made(30, POLICIES, 4, signal=0.0), "does not lie above chance"),
        (made(30, POLICIES, 4, signal=-0.4), "does not lie above chance"),
        (made(MIN_TASKS - 2, POLICIES, 6, signal=0.5), f"fewer than {MIN_TASKS}"),
        (made(12, POLICIES, 2, signal=0.5), f"fewer than {MIN_PAIRS} pairs"),
        (made(30, POLICIES, 1, signal=0.5), "No task has both"),
    ],
)
def test_a_verifier_not_shown_to_is_said_not_to_be(rows: list[Row], why: str) -> None:
    found = report(rows, resamples=200)
    assert not found.beats_chance
    assert why in found.headline
    assert found.headline.endswith("Not shown to be fit for best-of-N within one policy: do not use as an RL reward.")


# --- an independent implementation -----------------------------------------------------------------------------------


@pytest.mark.shared_data
@pytest.mark.parametrize(("policy", "name"), [("exact", "tfidf"), ("family", "tfidf.family")])
def test_an_independent_implementation_finds_the_same(shared_data: Path, policy: Any, name: str) -> None:
    import zstandard

    with zstandard.open(shared_data / "dev_attempts.jsonl.zst", "rt", encoding="utf-8") as lines:
        pool = [attempt_row(orjson.loads(line)) for line in lines]
    recorded = read_verdicts(shared_data / "expected" / "dev_attempts.tfidf.verdicts.jsonl")
    found = evaluate(pool, join(recorded, [item.trajectory for item in pool]), policy=policy)
    assert found.n_unscored == 0
    document = orjson.loads(orjson.dumps(found.to_json()))
    expected = orjson.loads((shared_data / "expected" / f"dev_attempts.{name}.json").read_bytes())
    for path, value in flat(expected).items():
        assert flat(document)[path] == pytest.approx(value, abs=1e-9), path


def attempt_row(row: dict[str, Any]) -> Labelled:
    """A row without its log, which no figure reads."""
    origin = Origin(source=row["source"], scaffold=row["scaffold"], policy=row["policy"], attempt=row["run"])
    task = Task(instance_id=row["instance_id"], repo=row["repo"])
    outcome = Outcome.RESOLVED if row["resolved"] else Outcome.UNRESOLVED
    return Labelled(trajectory=Trajectory(task=task, patch=row["patch"] or "", origin=origin), outcome=outcome)
