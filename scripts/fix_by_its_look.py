"""How often the fix is found among a playground task's listed edits by its look alone, without issue, code or tests.

python scripts/fix_by_its_look.py WORLD

Rules: the edit that adds the most characters; of edits within two lines of two others, that which is nearest to them in
words; that whose words stand in most of the others; and a logistic regression on the words that go and come, fitted on
the training tasks. All beside chance, for tasks of the held-out splits. A policy that learns could learn as much.
"""

import argparse
import difflib
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from swe_rm.playground.actions import Choice, options
from swe_rm.playground.checkouts import Checkouts
from swe_rm.playground.world import read_world

Rule = Callable[[Sequence[Choice]], Sequence[float]]
"""A value for each edit; the highest is picked."""
_NEAR = 2
"""Lines."""


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
    rules: dict[str, Rule] = {
        "chance": lambda choices: [0.0] * len(choices),
        "adds the most": lambda choices: [added(one) for one in choices],
        "nearest to two others": nearest,
        "words stand in others": contained,
        "regression on words": lambda choices: rule.decision_function(reader.transform(map(words, choices))).tolist(),
    }
    for split in ("held_out_tasks", "held_out_packages"):
        asked = [row for row in rows if row.split == split]
        found = ", ".join(f"{name} {share(asked, rule):.1%}" for name, rule in rules.items())
        print(f"{split}: {len(asked)} tasks, {found}")


def words(choice: Choice) -> str:
    """The words that go and come, marked as such."""
    return " ".join(
        f"{line[0]}{word}" for line in choice.summary.splitlines()[1:] for word in re.findall(r"\w+|[^\w\s]+", line[1:])
    )


def added(choice: Choice) -> int:
    """Characters that come, less those that go."""
    lines = [line for line in choice.patch.splitlines() if line[:3] not in ("+++", "---")]
    return sum(len(line) * ((line[:1] == "+") - (line[:1] == "-")) for line in lines)


def tokens(choice: Choice) -> list[str]:
    """The words that come."""
    lines = [line[1:] for line in choice.patch.splitlines() if line[:1] == "+" and line[:3] != "+++"]
    return re.findall(r"\w+|[^\w\s]", "\n".join(lines))


def nearest(choices: Sequence[Choice]) -> list[float]:
    """Minus the distance in words to the two nearest edits of the same place; where there are no two, the least."""
    found = []
    for one in choices:
        near = [
            other
            for other in choices
            if other is not one and other.path == one.path and abs(other.line - one.line) <= _NEAR
        ]
        ways = sorted(distance(tokens(one), tokens(other)) for other in near)
        found.append(-float(sum(ways[:2])) if len(ways) > 1 else -math.inf)
    return found


def distance(one: Sequence[str], other: Sequence[str]) -> int:
    """Words that one has and the other has not, in order."""
    blocks = difflib.SequenceMatcher(None, one, other, autojunk=False).get_matching_blocks()
    return len(one) + len(other) - 2 * sum(block.size for block in blocks)


def contained(choices: Sequence[Choice]) -> list[float]:
    """In how many others the words of an edit stand."""
    counts = [Counter(words(one).split()) for one in choices]
    return [float(sum(not (mine - other) for other in counts)) for mine in counts]


def share(rows: Sequence[Listed], rule: Rule) -> float:
    """Of the tasks, those at which the fix is picked; of edits that a rule does not tell apart one is drawn."""
    total = 0.0
    for row in rows:
        values = rule(row.choices)
        best = [place for place, value in enumerate(values) if value == max(values)]
        total += (row.fix in best) / len(best)
    return total / len(rows)


if __name__ == "__main__":
    main()
