"""Chooses thresholds of abstention on 1,000 splits and writes docs/abstention.svg: what is promised and what is kept.

python scripts/simulate_abstention.py [PILE VERDICTS]...

Without piles the picks are simulated, so that the truth is known. With piles (attempts, and recorded verdicts on them)
the known tasks are drawn from theirs with replacement, and the truth is the share wrong over all of theirs; the shift
is from picks among the stronger half of the policies to picks among the weaker half.
"""

import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from swe_rm.abstention import GRID, Picks, Testing, choose_threshold, known_picks
from swe_rm.errors import SweRmError
from swe_rm.selection import groups, parse_rule
from swe_rm.sources import open_pile
from swe_rm.trajectory import Labelled, Outcome
from swe_rm.verdict import Verdict
from swe_rm.verifiers.recorded import join, read_verdicts

PICTURE = Path(__file__).parents[1] / "docs" / "abstention.svg"
SPLITS = 1000
KNOWN = 300
"""Tasks in each split."""
ASSURANCE = 0.9
TRUTH = 200_000
BINS = np.linspace(0, 0.3, 61)


class World(NamedTuple):
    """Where picks come from: a draw of n known ones, and all of them, here and after the shift."""

    name: str
    max_wrong: float
    draw: Callable[[np.random.Generator, int], Picks]
    here: Picks
    shifted: Picks


def simulated(rng: np.random.Generator, n: int, overrated: float = 0.0) -> Picks:
    """Three tasks in ten are hard: there the pick is right with 0.35, else with 0.95, and looks so only roughly."""
    right = np.where(rng.random(n) < 0.3, 0.35, 0.95)
    confidences = np.clip(right + rng.normal(0, 0.15, n) + overrated, 0, 1)
    return Picks(confidences, rng.random(n) >= right)


def from_simulation() -> World:
    """Picks of a known truth; the shift is to a policy that the verifier overrates by 0.3."""
    rng = np.random.default_rng(0)
    return World("simulated picks", 0.15, simulated, simulated(rng, TRUTH), simulated(rng, TRUTH, 0.3))


def from_piles(files: Sequence[Path]) -> World:
    """Picks by score among real candidates."""
    items: list[Labelled] = []
    verdicts: dict[str, Verdict] = {}
    for pile, recorded in zip(files[::2], files[1::2], strict=True):
        read = [item for item in open_pile([pile]).attempts() if item.outcome is not Outcome.UNKNOWN]
        verdicts |= join(read_verdicts(recorded), [item.trajectory for item in read])
        items += read
    stronger, weaker = _halves(items)
    here, shifted = (
        _picks([i for i in items if i.trajectory.origin.policy in half], verdicts) for half in (stronger, weaker)
    )

    def draw(rng: np.random.Generator, n: int) -> Picks:
        drawn = rng.integers(0, len(here.wrong), n)
        return Picks(here.confidences[drawn], here.wrong[drawn])

    return World("real picks", 0.2, draw, here, shifted)


def _halves(items: Sequence[Labelled]) -> tuple[set[str], set[str]]:
    rates: dict[str, list[bool]] = defaultdict(list)
    for item in items:
        rates[item.trajectory.origin.policy].append(item.outcome is Outcome.RESOLVED)
    order = sorted(rates, key=lambda policy: (-np.mean(rates[policy]), policy))
    return set(order[: len(order) // 2]), set(order[len(order) // 2 :])


def _picks(items: Sequence[Labelled], verdicts: Mapping[str, Verdict]) -> Picks:
    outcomes = {item.trajectory.attempt_id: item.outcome for item in items}
    return known_picks(groups([item.trajectory for item in items], verdicts), parse_rule("score"), outcomes)


def risk(picks: Picks, threshold: float) -> float:
    """P(wrong | accepted)."""
    accepted = picks.confidences >= threshold
    return float(picks.wrong[accepted].mean()) if accepted.any() else 0.0


def naive(picks: Picks, max_wrong: float) -> float | None:
    """The lowest threshold at which the known picks themselves are wrong seldom enough: no guarantee."""
    shares = {threshold: risk(picks, threshold) for threshold in GRID if (picks.confidences >= threshold).any()}
    return min((threshold for threshold, share in shares.items() if share <= max_wrong), default=None)


def chosen(picks: Picks, max_wrong: float, testing: Testing = "bonferroni") -> float | None:
    """The threshold with the guarantee; None where it is refused."""
    try:
        return choose_threshold(picks, max_wrong, ASSURANCE, testing).threshold
    except SweRmError:
        return None


def main(files: Sequence[Path]) -> None:
    """Simulate, print a row for each way of choosing, draw."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "swe-rm"
    from matplotlib import pyplot

    worlds = [from_simulation(), *([from_piles(files)] if files else [])]
    figure, axes = pyplot.subplots(1, len(worlds), figsize=(5.5 * len(worlds), 4.2), squeeze=False)
    for world, axis in zip(worlds, axes[0], strict=True):
        rng = np.random.default_rng(1)
        drawn = [world.draw(rng, KNOWN) for _ in range(SPLITS)]
        ways = {
            "as often as it was right": [naive(picks, world.max_wrong) for picks in drawn],
            "with the guarantee": [chosen(picks, world.max_wrong) for picks in drawn],
        }
        for name, thresholds in ways.items():
            _draw(axis, name, world, thresholds, world.here)
        sequence = [chosen(picks, world.max_wrong, "fixed-sequence") for picks in drawn]
        _tell("the same, by a fixed sequence", world, sequence, world.here)
        _draw(axis, "after a policy shift", world, ways["with the guarantee"], world.shifted)
        axis.axvline(world.max_wrong, color="black", linewidth=1)
        axis.set(title=f"{world.name}, promised {world.max_wrong:.0%}", xlabel="P(wrong | accepted)", ylabel="splits")
        axis.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.18))
    figure.tight_layout()
    figure.savefig(PICTURE, metadata={"Date": None})


def _draw(axis: Any, name: str, world: World, thresholds: Sequence[float | None], truth: Picks) -> None:
    worth = _tell(name, world, thresholds, truth)
    broken = sum(value > world.max_wrong for value in worth)
    axis.hist(worth, bins=BINS, alpha=0.6, label=f"{name}: {broken} of {len(thresholds)} broken")


def _tell(name: str, world: World, thresholds: Sequence[float | None], truth: Picks) -> list[float]:
    """Print what the thresholds keep; P(wrong | accepted) of each that was chosen."""
    found = [threshold for threshold in thresholds if threshold is not None]
    at = {t: (risk(truth, t), float(np.mean(truth.confidences >= t))) for t in set(found)}
    worth = [at[threshold][0] for threshold in found]
    broken = sum(value > world.max_wrong for value in worth)
    accepted = np.mean([at[threshold][1] for threshold in found]) if found else 0.0
    print(f"{world.name:16} {name:32} chosen {len(found):4} broken {broken:4} accepted {accepted:.2f} of the tasks")
    return worth


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
