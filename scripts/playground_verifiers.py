"""Fit verifiers that differ in how they were trained, on attempts at the playground's training tasks.

python scripts/playground_verifiers.py WORLD ATTEMPTS... --out DIR [--seed 0] [--only NAME...]

WORLD is what `swe-rm playground make` wrote, ATTEMPTS what `playground rollout` and `rl play --name warm` made of it.
Each folder of DIR is a verifier for `--verifier DIR/NAME`; DIR/NAME.jsonl holds its verdicts on the learning policy's
attempts at all other tasks, for `scripts/predict_order.py`. None has seen those tasks.
"""

import argparse
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import orjson

from swe_rm.playground.world import read_world
from swe_rm.sources import open_pile
from swe_rm.training_data import policy_weights
from swe_rm.trajectory import Labelled, Outcome
from swe_rm.verdict import Verifier
from swe_rm.verifiers.features import Features
from swe_rm.verifiers.words import Section, Words

LEARNER = "warm"
"""The policy that is to learn, before it does; the others are scripts."""
NOISE = 0.3
"""Share of the labels that are turned round for the verifier that learns from bad labels."""


class Recipe(NamedTuple):
    """What one verifier is trained on."""

    choose: Callable[[Sequence[Labelled], random.Random], Sequence[Labelled]]
    section: Section | None = None
    """Words of it, instead of features."""
    balance: bool = False
    """Weights that balance outcomes inside each policy."""


def so_many(n: int, section: Section | None = None) -> Recipe:
    """A few attempts."""
    return Recipe(lambda given, dice: dice.sample(list(given), min(n, len(given))), section)


def whole(given: Sequence[Labelled], dice: random.Random) -> Sequence[Labelled]:
    """All of them."""
    return given


def mislabelled(given: Sequence[Labelled], dice: random.Random) -> Sequence[Labelled]:
    """All of them, some with the other outcome."""
    other = {Outcome.RESOLVED: Outcome.UNRESOLVED, Outcome.UNRESOLVED: Outcome.RESOLVED}
    return [
        item.model_copy(update={"outcome": other[item.outcome]}) if dice.random() < NOISE else item for item in given
    ]


def by(*policies: str) -> Recipe:
    """Features of the attempts of some policies."""
    return Recipe(lambda given, dice: [i for i in given if any(p in i.trajectory.origin.policy for p in policies)])


def learners(n: int | None, section: Section) -> Recipe:
    """Words of the learning policy's own attempts, all or a few."""
    own = by(LEARNER).choose

    def chosen(given: Sequence[Labelled], dice: random.Random) -> Sequence[Labelled]:
        found = own(given, dice)
        return found if n is None else dice.sample(list(found), min(n, len(found)))

    return Recipe(chosen, section)


def by_scripts(given: Sequence[Labelled], dice: random.Random) -> Sequence[Labelled]:
    """Those of another policy than will be judged."""
    return [item for item in given if item.trajectory.origin.policy != LEARNER]


def failed_mostly(given: Sequence[Labelled], dice: random.Random) -> Sequence[Labelled]:
    """All unresolved ones and one resolved one in five."""
    return [item for item in given if item.outcome is Outcome.UNRESOLVED or dice.random() < 0.2]


RECIPES = {
    "all": Recipe(whole),
    "few-30": so_many(30),
    "few-60": so_many(60),
    "few-120": so_many(120),
    "few-300": so_many(300),
    "balanced": Recipe(whole, balance=True),
    "mislabelled": Recipe(mislabelled),
    "learner": by(LEARNER),
    "scripts": Recipe(by_scripts),
    "careful-and-hasty": by("careful", "hasty"),
    "liar-and-looper": by("liar", "looper"),
    "failed-mostly": Recipe(failed_mostly),
    "words-of-the-tail": Recipe(whole, section="tail"),
    "words-of-the-tail-100": so_many(100, "tail"),
    "words-of-the-tail-learner": learners(None, "tail"),
    "words-of-the-tail-learner-30": learners(30, "tail"),
    "words-of-the-tail-by-scripts": Recipe(by_scripts, section="tail"),
    "words-of-the-patch": Recipe(whole, section="patch"),
    "words-of-the-patch-100": so_many(100, "patch"),
}


def main() -> None:
    """Fit each, save it, and judge the attempts at the other tasks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("world", type=Path)
    parser.add_argument("attempts", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=RECIPES, default=[*RECIPES])
    arguments = parser.parse_args()
    training = {name for name, task in read_world(arguments.world).items() if task.split == "train"}
    attempts = [i for i in open_pile(arguments.attempts).attempts() if i.outcome is not Outcome.UNKNOWN]
    known = [item for item in attempts if item.trajectory.task.instance_id in training]
    others = [
        item
        for item in attempts
        if item.trajectory.task.instance_id not in training and item.trajectory.origin.policy == LEARNER
    ]
    print(f"{len(known)} attempts at training tasks, {len(others)} of {LEARNER} at others")
    for name in arguments.only:
        fitted = fit(name, RECIPES[name], known, arguments.seed)
        fitted.save(arguments.out / name)
        write(fitted, others, arguments.out / f"{name}.jsonl")
        print(name, flush=True)


def fit(name: str, recipe: Recipe, known: Sequence[Labelled], seed: int) -> Features | Words:
    """The verifier of a recipe."""
    chosen = recipe.choose(known, random.Random(seed))
    weights = policy_weights(chosen) if recipe.balance else [1.0] * len(chosen)
    if recipe.section:
        return Words.fit(chosen, weights, section=recipe.section, version=f"playground-{name}")
    return Features.fit(chosen, weights, version=f"playground-{name}", seed=seed)


def write(verifier: Verifier, attempts: Sequence[Labelled], file: Path) -> None:
    """Its verdicts, a line each."""
    verdicts = verifier([item.trajectory for item in attempts])
    file.write_bytes(b"".join(orjson.dumps(v.model_dump(exclude_none=True)) + b"\n" for v in verdicts))


if __name__ == "__main__":
    main()
