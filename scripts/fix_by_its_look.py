"""How often the fix is found among a playground task's listed edits by its look alone, without issue, code or tests.

python scripts/fix_by_its_look.py WORLD

Two rules: the edit that adds the most characters, and a logistic regression on the words that go and come, fitted on
the training tasks. Both beside chance, for tasks of the held-out splits. A policy that learns could learn as much.
"""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from swe_rm.playground.actions import Choice, options
from swe_rm.playground.checkouts import Checkouts
from swe_rm.playground.world import read_world


class Listed(NamedTuple):
    """The edits of the code that are listed at a task, and which is the fix."""

    split: str
    choices: Sequence[Choice]

    @property
    def fix(self) -> int:
        """Its place."""
        return [choice.role for choice in self.choices].index("fix")


def main() -> None:
    """Print the share of tasks at which each rule finds the fix."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("world", type=Path)
    world = parser.parse_args().world
    with Checkouts(world) as checkouts:
        rows = [
            Listed(task.split, [one for one in options(task, checkouts).choices if one.role != "tests"])
            for task in read_world(world).values()
        ]
    reader = CountVectorizer(ngram_range=(1, 2), token_pattern=r"\S+", binary=True, lowercase=False)
    known = [row for row in rows if row.split == "train"]
    seen = reader.fit_transform([words(choice) for row in known for choice in row.choices])
    rule = LogisticRegression(class_weight="balanced", max_iter=1000).fit(
        seen, [choice.role == "fix" for row in known for choice in row.choices]
    )
    for split in ("held_out_tasks", "held_out_packages"):
        asked = [row for row in rows if row.split == split]
        most = [max(range(len(row.choices)), key=lambda place: added(row.choices[place])) for row in asked]
        by_words = [
            int(rule.decision_function(reader.transform([words(one) for one in row.choices])).argmax()) for row in asked
        ]
        chance = sum(1 / len(row.choices) for row in asked) / len(asked)
        print(f"{split}: {len(asked)} tasks, chance {chance:.1%}, adds the most {share(asked, most):.1%}", end="")
        print(f", by its words {share(asked, by_words):.1%}")


def words(choice: Choice) -> str:
    """The words that go and come, marked as such."""
    return " ".join(
        f"{line[0]}{word}" for line in choice.summary.splitlines()[1:] for word in re.findall(r"\w+|[^\w\s]+", line[1:])
    )


def added(choice: Choice) -> int:
    """Characters that come, less those that go."""
    lines = [line for line in choice.patch.splitlines() if line[:3] not in ("+++", "---")]
    return sum(len(line) * ((line[:1] == "+") - (line[:1] == "-")) for line in lines)


def share(rows: Sequence[Listed], picked: Sequence[int]) -> float:
    """Of the tasks, those at which the fix was picked."""
    return sum(row.fix == place for row, place in zip(rows, picked, strict=True)) / len(rows)


if __name__ == "__main__":
    main()
