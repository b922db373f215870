"""The headline in words: whether a verifier is shown to tell one policy's attempts at one task apart."""

from typing import NamedTuple

from swe_rm.figures import Figures, Metrics
from swe_rm.resampling import Interval

FIGURE = "auc_same_policy_task"

MIN_PAIRS = 30
"""With fewer pairs the headline is called too few to tell: their share alone moves by 0.09 (one standard error)."""

MIN_TASKS = 10
"""With fewer tasks carrying those pairs a bootstrap by task gives an interval that is too narrow to trust."""


class Headline(NamedTuple):
    """The headline figure, and what it rests on."""

    value: float | None
    interval: Interval | None
    n_pairs: int
    n_tasks: int
    """Tasks that carry the pairs."""

    @staticmethod
    def of(figures: Figures, found: Metrics, intervals: dict[str, Interval | None]) -> "Headline":
        """The headline of a verifier's figures."""
        n_pairs = found.n_pairs_same_policy_task
        return Headline(found.auc_same_policy_task, intervals[FIGURE], n_pairs, figures.n_tasks_with(FIGURE))

    @property
    def beats_chance(self) -> bool:
        """Whether the figure is shown to be above 0.5: enough pairs and tasks, and an interval above it."""
        return not self._doubt

    @property
    def _doubt(self) -> str:
        """Why the headline shows nothing; empty where it does."""
        if self.n_pairs < MIN_PAIRS:
            return f"fewer than {MIN_PAIRS} pairs"
        if self.n_tasks < MIN_TASKS:
            return f"from {self.n_tasks} tasks: fewer than {MIN_TASKS}"
        if not self.interval:
            return "it has no interval"
        return "" if self.interval[0] > 0.5 else "the interval does not lie above chance"

    def __str__(self) -> str:
        if self.value is None:
            return f"No task has both a resolved and an unresolved attempt by one policy. {_NOT_SHOWN}"
        bounds = " [{:.3f}, {:.3f}]".format(*self.interval) if self.interval else ""
        said = f"{FIGURE} is {self.value:.3f}{bounds} over {self.n_pairs} pairs; chance is 0.5"
        if self.beats_chance:
            return f"{said}. Better than chance where neither policy nor difficulty can help."
        return f"{said} ({self._doubt}). {_NOT_SHOWN}"


_NOT_SHOWN = "Not shown to be fit for best-of-N within one policy: do not use as an RL reward."
