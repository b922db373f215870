"""How often the alarm of `swe-rm audit` is false, and how soon it finds a fall of the AUC by 0.10, on real verdicts.

python scripts/simulate_audit.py --streams 300 [--reference 1000] [--within 200] [--parted] PILE... --verdicts FILE...

The pool stands for all there is: for each stream tasks are drawn from it as the reference, and outcomes one by one.
With `--parted` the reference is of one half of the tasks and the outcomes of the other, whose AUC is another by chance.
A fall is made in several ways, each as strong as lowers the AUC of what streams by 0.10.
"""

import argparse
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

from swe_rm.drift import Reference, Watch
from swe_rm.metrics import Flags, Floats, Ids, auc_score
from swe_rm.outcome_rows import Table, is_table
from swe_rm.scored import Gathering, Scored
from swe_rm.sources import open_pile
from swe_rm.verifiers.recorded import joined, verdict_rows

DROP = 0.10
LATER = 500
"""Outcomes without a fall before a late one."""
TOGETHER = 8
"""Outcomes of one task in a row where whole tasks are tested."""

Stream = tuple[Floats, Flags]
Draw = Callable[[np.random.Generator, Ids], Stream]
"""Places in the pool -> the scores and outcomes that are seen."""


class Pool(NamedTuple):
    """Attempts with verdicts and outcomes."""

    scores: Floats
    resolved: Flags
    tasks: Ids

    def at(self, places: Ids) -> "Pool":
        """Some of them."""
        return Pool(self.scores[places], self.resolved[places], self.tasks[places])

    @property
    def auc(self) -> float:
        """Of all of them."""
        return float(auc_score(self.scores, self.resolved) or 0.0)


def read(paths: Sequence[Path], verdicts: Sequence[Path]) -> Pool:
    """The measurable attempts of piles, or of tables of outcomes, with recorded verdicts on them."""
    gathered = Gathering(lengths=False)
    if all(map(is_table, paths)):
        for row, key in Table(paths).rows():
            gathered.add_row(row, key)
    else:
        for item in open_pile(paths).attempts():
            gathered.add(item)
    rows = chain.from_iterable(map(verdict_rows, verdicts))
    kept: Scored = gathered.judged(joined(rows, gathered.named)).measurable()
    return Pool(kept.scores, kept.resolved, np.unique(kept.tasks.astype(np.str_), return_inverse=True)[1])


# --- what makes the AUC fall -----------------------------------------------------------------------------------------


def unchanged(pool: Pool) -> Draw:
    """Nothing does."""
    return lambda rng, who: (pool.scores[who], pool.resolved[who])


def blurred(pool: Pool) -> Draw:
    """Some scores become those of another attempt."""
    share = min(1.0, DROP / (pool.auc - 0.5))

    def draw(rng: np.random.Generator, who: Ids) -> Stream:
        shown = np.where(rng.random(len(who)) < share, rng.integers(0, len(pool.scores), len(who)), who)
        return pool.scores[shown], pool.resolved[who]

    return draw


def overrated(pool: Pool) -> Draw:
    """Failed attempts score higher: a policy learns to please."""
    return _moved(pool, ~pool.resolved, 1.0)


def underrated(pool: Pool) -> Draw:
    """Resolved attempts score lower."""
    return _moved(pool, pool.resolved, -1.0)


def _moved(pool: Pool, which: Flags, sign: float) -> Draw:
    logits = np.log(np.clip(pool.scores, 1e-6, 1 - 1e-6)) - np.log1p(-np.clip(pool.scores, 1e-6, 1 - 1e-6))

    def scores(by: float) -> Floats:
        return np.asarray(1 / (1 + np.exp(-(logits + sign * by * which))))

    by = _strength(lambda by: float(auc_score(scores(by), pool.resolved) or 0.0), pool.auc - DROP, 20.0)
    return lambda rng, who: (scores(by)[who], pool.resolved[who])


def harder(pool: Pool) -> Draw:
    """More of the attempts that the verifier misjudges come, and fewer of those it judges well."""
    reference = Reference(pool.scores, pool.resolved)
    wrong = np.array(
        [reference.shortfall(s, r) for s, r in zip(pool.scores.tolist(), pool.resolved.tolist(), strict=True)]
    )

    def weights(by: float) -> Floats:
        found = np.exp(by * wrong)
        for flags in (pool.resolved, ~pool.resolved):
            found[flags] *= flags.sum() / found[flags].sum()
        return np.asarray(found / found.sum())

    by = _strength(lambda by: _weighted_auc(pool, weights(by)), pool.auc - DROP, 20.0)
    chances = weights(by)

    def draw(rng: np.random.Generator, who: Ids) -> Stream:
        drawn = rng.choice(len(chances), len(who), p=chances)
        return pool.scores[drawn], pool.resolved[drawn]

    return draw


def _weighted_auc(pool: Pool, weights: Floats) -> float:
    order = np.argsort(pool.scores, kind="stable")
    ordered, good, weight = pool.scores[order], pool.resolved[order], weights[order]
    level = np.cumsum(np.append(True, ordered[1:] != ordered[:-1])) - 1
    bad = np.bincount(level, weight * ~good)
    below = (np.cumsum(bad) - bad / 2) / bad.sum()
    return float((below[level] * weight * good).sum() / (weight * good).sum())


def _strength(auc: Callable[[float], float], goal: float, most: float) -> float:
    low, high = 0.0, most
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if auc(middle) > goal else (low, middle)
    return high


FALLS = {"blurred": blurred, "overrated": overrated, "underrated": underrated, "harder": harder}


# --- one stream ------------------------------------------------------------------------------------------------------


def singly(rng: np.random.Generator, pool: Pool, n: int, base_rate: float | None = None) -> Ids:
    """Places of attempts drawn one by one, at their own rate of resolved ones or another."""
    if base_rate is None:
        return rng.integers(0, len(pool.scores), n)
    good, bad = np.flatnonzero(pool.resolved), np.flatnonzero(~pool.resolved)
    return np.where(rng.random(n) < base_rate, rng.choice(good, n), rng.choice(bad, n))


def by_task(rng: np.random.Generator, pool: Pool, n: int) -> Ids:
    """Places of attempts drawn task by task, up to eight of each in a row."""
    found: list[int] = []
    while len(found) < n:
        mine = np.flatnonzero(pool.tasks == pool.tasks[rng.integers(0, len(pool.tasks))])
        found += rng.permutation(mine)[:TOGETHER].tolist()
    return np.array(found[:n])


def alarms(watch: Watch, stream: Stream) -> list[int]:
    """The outcomes, from 1, at which a fresh watch raises an alarm."""
    watch.restart()
    return [
        n
        for n, (score, good) in enumerate(zip(*map(np.ndarray.tolist, stream), strict=True), 1)
        if watch.add(score, good)
    ]


def joined_streams(*parts: Stream) -> Stream:
    """One after another."""
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


class Tally:
    """Shares over the streams."""

    def __init__(self) -> None:
        self._told: dict[str, list[float]] = {}

    def add(self, name: str, value: float | None) -> None:
        """A figure of one stream; None is none."""
        self._told.setdefault(name, []).extend([] if value is None else [value])

    def __str__(self) -> str:
        lines = []
        for name, values in ((name, values) for name, values in self._told.items() if values):
            error = np.std(values) / max(1, len(values)) ** 0.5
            lines.append(f"{name:55s} {np.mean(values):.3f} +- {error:.3f} ({len(values)} streams)")
        return "\n".join(lines)


def whole(rng: np.random.Generator, pool: Pool, n_reference: int) -> tuple[Pool, Pool]:
    """Tasks drawn with replacement as the reference, and the pool itself."""
    members = [np.flatnonzero(pool.tasks == task) for task in range(int(pool.tasks.max()) + 1)]
    parts, tasks = [], []
    while sum(map(len, parts)) < n_reference:
        parts.append(members[rng.integers(0, len(members))])
        tasks.append(np.full(len(parts[-1]), len(tasks)))
    return pool.at(np.concatenate(parts))._replace(tasks=np.concatenate(tasks)), pool


def parted(rng: np.random.Generator, pool: Pool, n_reference: int) -> tuple[Pool, Pool]:
    """Attempts at one half of the tasks as the reference, and the other half."""
    tasks = rng.permutation(int(pool.tasks.max()) + 1)
    mine = np.isin(pool.tasks, tasks[: len(tasks) // 2])
    return pool.at(rng.permutation(np.flatnonzero(mine))[:n_reference]), pool.at(np.flatnonzero(~mine))


def simulate(pool: Pool, streams: int, draw: Callable[[np.random.Generator], tuple[Pool, Pool]], within: int) -> Tally:
    """False alarms and found falls, over so many streams."""
    rng = np.random.default_rng(0)
    tally = Tally()
    for _ in range(streams):
        known, streaming = draw(rng)
        watch = Watch(Reference(*known), within=within)
        _one(tally, rng, watch, streaming, within)
    return tally


def _one(tally: Tally, rng: np.random.Generator, watch: Watch, other: Pool, within: int) -> None:
    tally.add("AUC of the reference", watch.reference.auc)
    tally.add("AUC of what streams", other.auc)
    still = unchanged(other)
    for name, who in {
        "": singly(rng, other, 1000),
        " 20% resolved": singly(rng, other, 2 * within, 0.2),
        " 60% resolved": singly(rng, other, 2 * within, 0.6),
        " whole tasks": by_task(rng, other, 2 * within),
    }.items():
        found = alarms(watch, still(rng, who))
        tally.add(f"false alarm in the first {within}{name}", float(any(n <= within for n in found)))
        if not any(n <= within for n in found):
            tally.add(f"false alarm in the next {within}{name}", float(any(within < n <= 2 * within for n in found)))
        if len(who) >= 1000:
            tally.add("false alarm in the first 1000", float(bool(found)))
    for name, fall in FALLS.items():
        draw = fall(other)
        for before in (0, within, LATER):
            parts = still(rng, singly(rng, other, before)), draw(rng, singly(rng, other, within))
            found = alarms(watch, joined_streams(*parts))
            if not any(n <= before for n in found):
                tally.add(f"{name} after {before}: found within {within}", float(any(n > before for n in found)))
                tally.add(f"{name} after {before}: outcomes until found", next((n - before for n in found), None))


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pile", type=Path, nargs="+")
    parser.add_argument("--verdicts", type=Path, nargs="+", required=True)
    parser.add_argument("--streams", type=int, default=300)
    parser.add_argument("--reference", type=int, default=1000)
    parser.add_argument("--within", type=int, default=200)
    parser.add_argument("--parted", action="store_true")
    given = parser.parse_args()
    pool = read(given.pile, given.verdicts)
    print(
        f"{len(pool.scores)} attempts at {pool.tasks.max() + 1} tasks, AUC {pool.auc:.3f}, "
        f"{pool.resolved.mean():.3f} resolved; reference {given.reference}"
    )
    draw = parted if given.parted else whole
    print(simulate(pool, given.streams, lambda rng: draw(rng, pool, given.reference), given.within))


if __name__ == "__main__":
    main()
