"""The cheap baseline `features`: documented facts about an attempt, judged by boosted trees and by their ranks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from swe_rm.errors import CheckpointError
from swe_rm.trajectory import Labelled, Noun, Outcome, Trajectory
from swe_rm.verdict import Verdict
from swe_rm.verifiers.arrays import judged, read_arrays, read_card
from swe_rm.verifiers.facts import FACTS, fact_matrix, facts
from swe_rm.verifiers.forest import Floats, Forest, fit_forest
from swe_rm.verifiers.linear import Linear, fit_linear

FILE = "features.json"
TREES = "forest.npz"
RANKS = "linear.npz"


class FeaturesCard(Noun):
    """What stands beside the arrays."""

    format: Literal[2] = 2
    name: str = "features"
    version: str
    columns: tuple[str, ...]
    """Names of the facts it was fitted on, in order."""
    training: dict[str, Any] = Field(default_factory=dict)


class Features:
    """Scores by the mean log-odds of boosted trees and of a regression on ranks, both over `FACTS`.

    Trees rank better over all attempts, the regression inside a policy (experiments/LOG.md). Reads the whole log;
    needs numpy only.
    """

    def __init__(self, card: FeaturesCard, forest: Forest, linear: Linear) -> None:
        """Raises CheckpointError when they were fitted on other facts than this version computes."""
        if card.columns != tuple(FACTS):
            raise CheckpointError(
                "the features verifier was fitted on other facts than this version of swe-rm computes"
            )
        self.card = card
        self.forest = forest
        self.linear = linear

    @property
    def name(self) -> str:
        """name@version."""
        return f"{self.card.name}@{self.card.version}"

    @classmethod
    def load(cls, folder: Path) -> "Features":
        """Read the card and both files of arrays. Raises CheckpointError when one is missing or damaged."""
        card = read_card(folder / FILE, FeaturesCard)
        forest = Forest(**read_arrays(folder / TREES, Forest._fields))
        return cls(card, forest, Linear(**read_arrays(folder / RANKS, Linear._fields)))

    @classmethod
    def fit(
        cls,
        labelled: Sequence[Labelled],
        weights: Sequence[float],
        *,
        version: str,
        name: str = "features",
        seed: int = 0,
    ) -> "Features":
        """Fit on labelled attempts (outcomes known), each with its weight."""
        resolved = np.array([item.outcome is Outcome.RESOLVED for item in labelled])
        matrix = fact_matrix([item.trajectory for item in labelled])
        weighed = np.asarray(weights, dtype=np.float64)
        return cls.fit_matrix(matrix, resolved, weighed, version=version, name=name, seed=seed)

    @classmethod
    def fit_matrix(
        cls,
        matrix: Floats,
        resolved: npt.NDArray[np.bool_],
        weights: Floats,
        *,
        version: str,
        name: str = "features",
        seed: int = 0,
    ) -> "Features":
        """Fit on the facts of attempts, [attempts, facts]. Raises as `fit_forest`."""
        card = FeaturesCard(name=name, version=version, columns=tuple(FACTS), training={"attempts": len(matrix)})
        return cls(card, fit_forest(matrix, resolved, weights, seed), fit_linear(matrix, resolved, weights))

    def save(self, folder: Path) -> None:
        """Write card and arrays."""
        folder.mkdir(parents=True, exist_ok=True)
        trees: dict[str, Any] = self.forest._asdict()
        ranks: dict[str, Any] = self.linear._asdict()
        np.savez_compressed(folder / TREES, **trees)
        np.savez_compressed(folder / RANKS, **ranks)
        (folder / FILE).write_text(self.card.model_dump_json(indent=1) + "\n", encoding="utf-8")

    def logits(self, matrix: Floats) -> Floats:
        """Log-odds of each row of facts, [rows]."""
        return (self.forest.logits(matrix) + self.linear.logits(matrix)) / 2

    def __call__(self, trajectories: Sequence[Trajectory], /) -> list[Verdict]:
        """One verdict for each trajectory."""
        return judged(trajectories, lambda t: float(self.logits(facts(t)[None])[0]), self.name)

    def explain(self, trajectory: Trajectory) -> list[str]:
        """The facts that move the score most, by what each would change if it took its middle value."""
        values = facts(trajectory)
        matrix = np.repeat(values[None], len(values) + 1, axis=0)
        matrix[np.arange(len(values)), np.arange(len(values))] = self.linear.knots[:, self.linear.knots.shape[1] // 2]
        logits = self.logits(matrix)
        effects = logits[-1] - logits[:-1]
        top = np.argsort(-np.abs(effects))[:5]
        names = list(FACTS)
        return [f"{names[i]} = {values[i]:.3g} ({FACTS[names[i]][0]}): {effects[i]:+.2f} log-odds" for i in top]
