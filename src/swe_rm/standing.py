"""What must be known of each compared verifier first: how its attempts without a verdict count, and its headline."""

from collections.abc import Sequence

from swe_rm.entries import Entry
from swe_rm.errors import SweRmError
from swe_rm.headline import Headline
from swe_rm.trajectory import Noun
from swe_rm.unscored import Unscored


class Standing(Noun):
    """What must be known of a verifier before any of its figures is believed."""

    verifier: str
    unscored: Unscored | None
    """How attempts without a verdict count in its evaluation; None where that does not say."""
    headline: str
    """On the common attempts; its own report's where that shows less, or where it is not paired."""
    beats_chance: bool | None
    """Whether the headline is shown to be above chance; None where nothing says."""

    @property
    def counting(self) -> str:
        """How attempts without a verdict count, in words."""
        if self.unscored is None:
            return "its evaluation does not say how attempts without a verdict count"
        n = self.unscored.n_counted
        return f"{self.unscored}; {n} of them are in its figures" if n else str(self.unscored)


def standing(entry: Entry, common: Headline | None) -> Standing:
    """What is known of a verifier; `common` is its headline on the common attempts, None where it is not paired.

    A verifier that its own report does not show to be fit is not called fit on the common attempts.
    """
    own = f"In its own report: {entry.headline}" if entry.headline else "No report says whether it is fit."
    if common is None:
        said, shown = own, entry.beats_chance if entry.headline else None
    elif common.beats_chance and not entry.beats_chance:
        said, shown = own, False
    else:
        said, shown = str(common), common.beats_chance
    return Standing(verifier=entry.name, unscored=entry.unscored, headline=said, beats_chance=shown)


def check_one_rule(entries: Sequence[Entry]) -> None:
    """Raise SweRmError where attempts without a verdict count in two ways; where none lacks one all rules are alike."""
    rules = [(entry.name, entry.unscored.rule) for entry in entries if entry.unscored and entry.unscored.n]
    for name, rule in rules[1:]:
        if rule != rules[0][1]:
            raise SweRmError(
                f"{rules[0][0]} was measured with another --unscored than {name}: {rules[0][1]} and {rule}"
            )
