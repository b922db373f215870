"""Fit the features verifier on partial logs too, so that its scores before the end are in distribution.

    python scripts/partial_logs.py TRAIN... --out runs/partial [--states 2] [--seed 0]
    swe-rm progress DEV --verifier runs/partial --stopping

Every training attempt is shown whole and after so many of its turns, drawn by the seed, under the outcome of the whole.
"""

import argparse
from pathlib import Path

from swe_rm import cut_short
from swe_rm.sources import open_pile
from swe_rm.training_data import policy_weights
from swe_rm.trajectory import Labelled, Outcome
from swe_rm.verifiers.features import Features


def shown(item: Labelled, states: int, seed: int) -> list[Labelled]:
    """The attempt, and some of its states before the end; fewer where it has fewer."""
    partial = (cut_short.drawn(item, 1.0, seed * states + number) for number in range(states))
    found = {one.trajectory.attempt_id: one for one in (item, *partial)}
    return list(found.values())


def main() -> None:
    """Fit and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--states", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    known = (item for item in open_pile(options.train).attempts() if item.outcome is not Outcome.UNKNOWN)
    items = [one for item in known for one in shown(item, options.states, options.seed)]
    fitted = Features.fit(items, policy_weights(items), version="partial", seed=options.seed)
    fitted.save(options.out)
    print(f"{options.out}: {fitted.name}, fitted on {len(items)} attempts and states")


if __name__ == "__main__":
    main()
