"""RL on logged attempts in seconds: what a verifier's scores would teach a policy, by true outcomes on held-out tasks.

A policy that chooses among the attempts logged at a task (`logged_policy`) is trained with group advantages of the
verifier's scores. It can learn what attempts show (`traits`) and nothing else, so it follows what the scores have in
common with that: the truth as far as it shows, and the verifier's leanings. What the verifier errs in by chance, from
one attempt to the next, averages out over the tasks it learns at.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from swe_rm import metrics
from swe_rm.errors import SweRmError
from swe_rm.figures import Pool, pool_of
from swe_rm.logged_policy import FOLDS, Choices, Learned, Plan, learn
from swe_rm.metrics import Floats, Ids, divide, sum_by
from swe_rm.pitfalls import MIN_MIXED
from swe_rm.priors import Known, Rates
from swe_rm.resampling import Interval, interval, resample_weights
from swe_rm.scored import Scored
from swe_rm.traits import traits_of
from swe_rm.trajectory import Noun
from swe_rm.verifiers.controls import PolicyName

RESAMPLES = 2_000
"""Draws of tasks that an interval rests on."""

MIN_TASKS = 2 * FOLDS
"""With fewer tasks that leave a choice nothing is simulated: less than two would be held out at a time."""


class Taught(Noun):
    """What one reward taught, on tasks it was not taught at. Index 0 of a curve is before the first step."""

    resolve_rate: tuple[float, ...]
    """At each step, the mean over seeds and their held-out groups."""
    reward: tuple[float, ...]
    start: float
    """The resolve rate before the first step: every logged attempt of a group is as likely."""
    final: float
    gain: float
    """final - start."""
    best: float
    """The highest point of the curve; a curve that ends well below it was taught to please."""
    best_step: int
    final_reward: float
    intervals: dict[str, Interval | None]
    """95% of start, final, gain and final_reward: bootstrap by task."""
    held_out: dict[str, tuple[float, float]]
    """Task -> its resolve rate before and after, over the seeds that did not learn at it."""


class Course(Noun):
    """One seed's curves on the tasks it was not taught at."""

    resolve_rate: tuple[float, ...]
    reward: tuple[float, ...]


class Lesson(Noun):
    """How much more of a trait the policy shows after training, on held-out tasks."""

    trait: str
    about: str
    shift: float
    """In standard deviations of the trait inside groups."""
    shift_by_outcomes: float
    """The same where the reward is what the tests said."""


class Beside(Noun):
    """What plain figures say of the same scores; None where undefined."""

    auc: float | None
    auc_in_groups: float | None
    """Share of (resolved, unresolved) pairs of one group in the right order, ties half."""
    ece: float | None
    top: float
    """Resolve rate of each group's best-scored: RM@K with K the group's size."""


class Simulation(Noun):
    """What was taught with one kind of group: all attempts at a task, or one policy's attempts at a task."""

    n_attempts: int
    n_groups: int
    n_tasks: int
    n_mixed: int
    """Groups with both outcomes: the others teach and show nothing of the truth."""
    taught: Taught
    per_seed: tuple[Course, ...]
    lessons: tuple[Lesson, ...]
    """The largest shift first."""
    controls: dict[str, Taught]
    """oracle: the outcomes as the reward. policy_prior: whose attempt it is, which groups of one policy do not show."""
    beside: Beside

    def to_json(self) -> dict[str, Any]:
        """The curves and figures first, then the rest."""
        return {**self.taught.model_dump(mode="json"), **self.model_dump(mode="json", exclude={"taught"})}


class Simulated(Noun):
    """What `simulate` found of a verifier."""

    verifier: str | None
    policy: PolicyName
    plan: Plan
    n_unscored: int
    n_unknown: int
    """Attempts with a verdict whose outcome is unknown."""
    task: Simulation
    """The attempts at a task are a group. Becoming more like another policy of the pool can be learnt."""
    same_policy: Simulation | None
    """One policy's attempts at a task are a group, as in real group-relative RL; None where the pool has too few."""
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The document of `simulate --json`: those of `task` on top, those of `same_policy` beneath their name."""
        mine = self.model_dump(mode="json", exclude={"task", "same_policy"})
        return {**mine, **self.task.to_json(), "same_policy": self.same_policy and self.same_policy.to_json()}


def simulate(
    scored: Scored,
    facts: Floats,
    *,
    policy: PolicyName = "exact",
    plan: Plan | None = None,
    trained_on: frozenset[str] = frozenset(),
    rewards: Floats | None = None,
) -> Simulated:
    """What the verdicts in `scored` would teach; `facts` [n, features] are those of its attempts, in their order.

    `rewards` (n,), in the same order, is what the policy is trained on in place of the scores: a hybrid, for one.

    `policy="family"` takes the configurations of a policy as one. Attempts without a verdict or a known outcome are
    left out and counted, those alone in their group too. `trained_on` holds tasks the verifier has seen. Raises
    SweRmError where fewer than `MIN_TASKS` tasks have two attempts.
    """
    plan = plan or Plan()
    order = np.argsort(scored.attempt_ids.astype(np.str_), kind="stable")
    places = order[(scored.has_verdict & scored.is_tested)[order]]
    kept = scored[places]
    pool = pool_of(kept, policy)
    given = (scored.scores if rewards is None else rewards)[places]
    whole, own = (_Grouping.of(pool, kept, facts[places], given, by_policy=by_policy) for by_policy in (False, True))
    if whole is None:
        raise SweRmError(f"fewer than {MIN_TASKS} tasks have two attempts with a verdict and a known outcome")
    left_out = {
        "without a verdict": int((~scored.has_verdict).sum()),
        "without a known outcome": int((scored.has_verdict & ~scored.is_tested).sum()),
        "alone at their task": len(kept) - len(whole.rewards),
    }
    return Simulated(
        verifier=scored.verifier,
        policy=policy,
        plan=plan,
        n_unscored=left_out["without a verdict"],
        n_unknown=left_out["without a known outcome"],
        task=whole.simulation(plan),
        same_policy=own and own.simulation(plan),
        warnings=tuple(_warnings(left_out, trained_on & set(kept.tasks), whole, own)),
    )


def _warnings(
    left_out: Mapping[str, int], seen: frozenset[str], whole: "_Grouping", own: "_Grouping | None"
) -> Iterator[str]:
    if seen:
        yield f"the verifier was trained on {len(seen)} of these tasks: at others its scores are worse teachers"
    yield from (f"attempts left out: {n} {why}" for why, n in left_out.items() if n)
    if own is None:
        yield f"fewer than {MIN_TASKS} tasks have two attempts by one policy: groups of one policy are not simulated"
    for name, grouping in (("attempts at a task", whole), ("one policy's attempts at a task", own)):
        if grouping and grouping.n_mixed < MIN_MIXED:
            yield f"{name}: {grouping.n_mixed} groups have both outcomes, and the figures rest on them alone"


# --- one kind of group -----------------------------------------------------------------------------------------------


class _Grouping(NamedTuple):
    """Attempts in groups of at least two, group by group, and what may be a reward."""

    choices: Choices
    names: tuple[str, ...]
    """Of the tasks."""
    about: Mapping[str, str]
    """The traits, and what each says."""
    values: Floats
    """Of the traits, [n, traits]."""
    scores: Floats
    rewards: Floats
    resolved: Floats
    priors: Floats | None
    """The resolve rate of an attempt's policy on other tasks; None where all of a group are by one policy."""

    @staticmethod
    def of(pool: Pool, kept: Scored, facts: Floats, rewards: Floats, *, by_policy: bool) -> "_Grouping | None":
        """None where fewer than `MIN_TASKS` tasks have a group."""
        given = pool.cells if by_policy else pool.tasks
        sizes = sum_by(given, int(given.max(initial=-1)) + 1)
        places = np.flatnonzero(sizes[given] > 1)
        places = places[np.argsort(given[places], kind="stable")]
        groups = _numbered(given[places])
        present, tasks = np.unique(pool.tasks[places], return_inverse=True)
        if len(present) < MIN_TASKS:
            return None
        policies = None if by_policy else pool.policy_names[pool.policies[places]]
        traits = traits_of(facts[places], groups, kept.truncated_tokens[places], policies)
        return _Grouping(
            choices=Choices(groups, tasks[np.flatnonzero(metrics.starts(groups))], traits.directions),
            names=tuple(pool.task_names[present]),
            about=dict(zip(traits.names, traits.about, strict=True)),
            values=traits.values,
            scores=kept.scores[places],
            rewards=rewards[places],
            resolved=pool.resolved[places].astype(np.float64),
            priors=None if by_policy else _priors(pool)[places],
        )

    @property
    def n_mixed(self) -> int:
        """Groups with both outcomes."""
        rates = self._by_group(self.resolved) / self._by_group(np.ones(len(self.resolved)))
        return int(((rates > 0) & (rates < 1)).sum())

    def simulation(self, plan: Plan) -> Simulation:
        """Train by the verifier, then by what it is compared with."""
        own, oracle = (learn(self.choices, by, self._watched(by), plan) for by in (self.rewards, self.resolved))
        controls = {"oracle": self._taught(self.resolved, oracle)}
        if self.priors is not None:
            learned = learn(self.choices, self.priors, self._watched(self.priors), plan)
            controls["policy_prior"] = self._taught(self.priors, learned)
        return Simulation(
            n_attempts=len(self.rewards),
            n_groups=len(self.choices.starts),
            n_tasks=len(self.names),
            n_mixed=self.n_mixed,
            taught=self._taught(self.rewards, own),
            per_seed=tuple(
                Course(resolve_rate=tuple(curves[0].tolist()), reward=tuple(curves[1].tolist()))
                for curves in own.curves.transpose(2, 0, 1)
            ),
            lessons=self._lessons(own, oracle),
            controls=controls,
            beside=self._beside(),
        )

    def _watched(self, rewards: Floats) -> Floats:
        return np.stack([self.resolved, rewards])

    def _by_group(self, values: Floats) -> Floats:
        """Sums: (..., n) -> (..., n_groups)."""
        return np.asarray(np.add.reduceat(values, self.choices.starts, axis=-1))

    def _taught(self, rewards: Floats, learned: Learned) -> Taught:
        seeds = learned.held_out.sum(axis=1)
        resolve_rate, reward = learned.curves @ seeds / seeds.sum()
        best = int(resolve_rate.argmax())
        sums = self._sums(rewards, learned)
        weights = resample_weights(len(self.names), RESAMPLES, 0)
        drawn = {name: divide(weights @ sums[name], weights @ sums["n"]) for name in sums}
        drawn["gain"] = drawn["final"] - drawn["start"]
        wanted = ("start", "final", "gain", "final_reward")
        held = sums["n"] > 0
        rates = divide(np.stack([sums["start"], sums["final"]]), sums["n"]).T
        return Taught(
            resolve_rate=tuple(resolve_rate.tolist()),
            reward=tuple(reward.tolist()),
            start=resolve_rate[0],
            final=resolve_rate[-1],
            gain=resolve_rate[-1] - resolve_rate[0],
            best=resolve_rate[best],
            best_step=best,
            final_reward=reward[-1],
            intervals={name: interval(drawn[name], int(held.sum())) for name in wanted},
            held_out={
                name: tuple(rate) for name, rate, told in zip(self.names, rates.tolist(), held, strict=True) if told
            },
        )

    def _sums(self, rewards: Floats, learned: Learned) -> dict[str, Floats]:
        """Held-out groups of each task over all seeds, and sums over them: (n_tasks,) each."""
        start = 1 / self._by_group(np.ones(len(rewards)))[self.choices.groups]
        values = {
            "n": np.ones_like(learned.held_out, dtype=np.float64),
            "start": self._by_group(start * self.resolved)[None],
            "final": self._by_group(learned.chances * self.resolved),
            "final_reward": self._by_group(learned.chances * rewards),
        }
        return {
            name: sum_by(self.choices.tasks, len(self.names), (value * learned.held_out).sum(axis=0))
            for name, value in values.items()
        }

    def _lessons(self, own: Learned, oracle: Learned) -> tuple[Lesson, ...]:
        shifts = self._shifts(own), self._shifts(oracle)
        found = [
            Lesson(trait=trait, about=about, shift=shift, shift_by_outcomes=truth)
            for (trait, about), shift, truth in zip(self.about.items(), *(s.tolist() for s in shifts), strict=True)
        ]
        return tuple(sorted(found, key=lambda lesson: -abs(lesson.shift)))

    def _shifts(self, learned: Learned) -> Floats:
        """Mean of each trait over held-out groups after training; before it, it is 0."""
        held = (learned.chances * learned.held_out[:, self.choices.groups]).sum(axis=0)
        return np.asarray(held @ self.values / learned.held_out.sum())

    def _beside(self) -> Beside:
        resolved, groups = self.resolved > 0, self.choices.groups
        top = metrics.top_outcome(self.scores, resolved, groups, len(self.choices.starts))
        return Beside(
            auc=metrics.auc_score(self.scores, resolved),
            auc_in_groups=metrics.pair_accuracy_score(self.scores, resolved, groups),
            ece=metrics.calibration_error(self.scores, resolved),
            top=float(top.mean()),
        )


def _numbered(ascending: Ids) -> Ids:
    """Numbers without gaps for ascending ones with gaps."""
    return np.cumsum(metrics.starts(ascending)) - 1


def _priors(pool: Pool) -> Floats:
    known = [
        Known(*one)
        for one in zip(
            pool.policy_names[pool.policies], pool.task_names[pool.tasks], pool.resolved.tolist(), strict=True
        )
    ]
    rates = Rates(known)
    return np.array([rates.policy_prior(one.policy, one.task) for one in known], dtype=np.float64)
