"""What the policy reads and says as tokens: a list of edits, actions of one token each, observations of two.

The policy is tiny and reads no prose: of an edit it is told whether it is in the tests, and the words that go and come.
"""

import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from swe_rm.playground.actions import Choice, Options
from swe_rm.trajectory import Noun

EDITS = 8
"""Listed at most, as `playground.actions.options` does."""
_SEARCHES = 4
_WORDS = 5
"""Words of an edit that are shown of what goes, and as many of what comes."""

CLAIM = "claim"
"""To hand in saying that all is verified; `submit` says nothing."""
CLAIMED = "submit\nAll tests pass, I have verified the fix. The issue is completely resolved."

ENDS = ("submit", CLAIM)
ACTIONS = (
    *(f"view {number}" for number in range(1, EDITS + 1)),
    *(f"search {number}" for number in range(1, _SEARCHES + 1)),
    "reproduce", "test", "undo",
    *(f"edit {number}" for number in range(1, EDITS + 1)),
    *ENDS,
)  # fmt: skip
_SEEN = ("done", "failed", "passes", "fails", "no-such-action")
_COUNTS = tuple(f"{number} failing" for number in ("no", 1, 2, 3, "4 or more"))
PAD, UNKNOWN = "<pad>", "<unknown>"
_MARKS = (PAD, UNKNOWN, "<list>", "<code>", "<tests>", "<goes>", "<comes>", "<reproducible>", "<not-reproducible>")


class Order(NamedTuple):
    """Under which numbers the edits of a task are listed: others each time, so that none is learnt."""

    numbers: tuple[int, ...]
    """Of the choices, in the order they are listed."""

    @classmethod
    def shuffled(cls, offered: Options, seed: str) -> "Order":
        """An order that follows from the seed."""
        numbers = [choice.number for choice in offered.choices]
        random.Random(seed).shuffle(numbers)
        return cls(tuple(numbers))

    def listed(self, number: int) -> int:
        """Under which number a choice is listed."""
        return self.numbers.index(number) + 1


class Wording(Noun):
    """The policy's vocabulary; token ids are places in `words`."""

    words: tuple[str, ...]

    @classmethod
    def fitted(cls, offers: Iterable[Options], size: int) -> "Wording":
        """All that is needed to act, and the most frequent words of these tasks' edits."""
        counts: Counter[str] = Counter()
        for offered in offers:
            for choice in offered.choices:
                goes, comes = _difference(choice.patch)
                counts.update([*goes, *comes])
        frequent = sorted(counts, key=lambda word: (-counts[word], word))[:size]
        return cls(words=(*_MARKS, *ACTIONS, *_SEEN, *_COUNTS, *(f"'{word}" for word in frequent)))

    @cached_property
    def ids(self) -> dict[str, int]:
        """Token id by word."""
        return {word: number for number, word in enumerate(self.words)}

    @property
    def ends(self) -> list[int]:
        """Tokens that hand in."""
        ids = self.ids
        return [ids[word] for word in ENDS]

    def prompt(self, offered: Options, order: Order) -> list[int]:
        """What the policy reads first."""
        ids = self.ids
        words = ["<list>", "<reproducible>" if offered.reproduction else "<not-reproducible>"]
        by_number = {choice.number: choice for choice in offered.choices}
        for place, number in enumerate(order.numbers, 1):
            words += [f"edit {place}", *_described(by_number[number])]
        return [ids.get(word, ids[UNKNOWN]) for word in words]

    def action(self, answer: str, offered: Options, order: Order) -> int | None:
        """The token of an answer of the environment's own words; None where there is none."""
        verb, _, rest = answer.partition(" ")
        if verb in ("view", "edit"):
            answer = f"{verb} {order.listed(int(rest))}"
        elif verb == "search":
            answer = f"search {offered.names.index(rest) + 1}"
        return self.ids[answer] if answer in ACTIONS else None

    def answer(self, token: int, offered: Options, order: Order) -> str:
        """The environment's words for what the policy says; what is no action there stays as it is."""
        word = self.words[token]
        verb, _, rest = word.partition(" ")
        if word == CLAIM:
            return CLAIMED
        if word in ACTIONS and verb in ("view", "edit") and int(rest) <= len(order.numbers):
            return f"{verb} {order.numbers[int(rest) - 1]}"
        if word in ACTIONS and verb == "search" and int(rest) <= len(offered.names):
            return f"search {offered.names[int(rest) - 1]}"
        return word

    def observed(self, answer: str, shown: str) -> list[int]:
        """What came of an action, as two tokens: how it went, and how many tests fail."""
        ids = self.ids
        return [ids[word] for word in _told(answer, shown)]

    def save(self, file: Path) -> None:
        """Write it."""
        file.write_text(self.model_dump_json(), encoding="utf-8")

    @classmethod
    def read(cls, file: Path) -> "Wording":
        """What `save` wrote."""
        return cls.model_validate_json(file.read_text(encoding="utf-8"))


def _told(answer: str, shown: str) -> tuple[str, str]:
    code = shown[: shown.find("]") + 1]
    if answer in ("test", "reproduce"):
        if shown.rstrip().endswith("OK"):
            return "passes", "no failing"
        failing = sum(int(number) for number in re.findall(r"(?:failures|errors)=(\d+)", shown[-80:]))
        return "fails", f"{failing} failing" if 1 <= failing <= 3 else "4 or more failing" if failing else "no failing"
    if shown.rstrip().endswith("no such action"):
        return "no-such-action", "no failing"
    return "done" if code == "[0]" else "failed", "no failing"


def _described(choice: Choice) -> list[str]:
    goes, comes = _difference(choice.patch)
    return [
        "<tests>" if choice.path.startswith("tests/") else "<code>",
        "<goes>", *(f"'{word}" for word in goes[:_WORDS]),
        "<comes>", *(f"'{word}" for word in comes[:_WORDS]),
    ]  # fmt: skip


def _difference(patch: str) -> tuple[Sequence[str], Sequence[str]]:
    """The words that go and those that come, without what both begin and end with."""
    changed = [line for line in patch.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    goes, comes = ([word for line in changed if line[0] == sign for word in _split(line[1:])] for sign in "-+")
    start = 0
    while start < min(len(goes), len(comes)) and goes[start] == comes[start]:
        start += 1
    end = 0
    while end < min(len(goes), len(comes)) - start and goes[-1 - end] == comes[-1 - end]:
        end += 1
    return goes[start : len(goes) - end], comes[start : len(comes) - end]


def _split(line: str) -> list[str]:
    return re.findall(r"[A-Za-z_]+|\d+|[^\sA-Za-z_\d]+", line)
