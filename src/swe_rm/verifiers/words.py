"""The cheap baseline `words`: TF-IDF and logistic regression over the last messages or over the patch."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from swe_rm import dialects
from swe_rm.errors import CheckpointError, MissingExtraError, VerifierError
from swe_rm.trajectory import Labelled, Noun, Outcome, Trajectory
from swe_rm.verdict import Verdict
from swe_rm.verifiers.arrays import judged, read_arrays, read_card

FILE = "words.json"
ARRAYS = "words.npz"

Section = Literal["tail", "patch"]

TAIL_TURNS = 6
TURN_TEXT = 6_000
"""Characters of each turn that are read, half from either end."""
PATCH_TEXT = 40_000
_WORD = re.compile(r"[A-Za-z_]{2,}|\d+|[+\-]{1,3}(?=[ \t]*\w)|[^\w\s]")
MOST_TERMS = 12_000
STRENGTH = 0.3
"""scikit-learn's C, the inverse of the penalty. 1, its own, tells policies better and attempts of one policy worse:
within policy 0.658 against 0.667, upsets 0.424 against 0.472 (experiments/LOG.md)."""
FEWEST_ATTEMPTS = 5
"""A term must stand in this many attempts, or it names a task and teaches nothing."""


class WordsCard(Noun):
    """What stands beside the arrays."""

    format: Literal[1] = 1
    name: str
    version: str
    section: Section
    intercept: float
    terms: tuple[str, ...]
    """Words and pairs of words, in the order of the arrays."""
    training: dict[str, Any] = Field(default_factory=dict)


def section_text(trajectory: Trajectory, section: Section) -> str:
    """The text one of the two sections reads."""
    if section == "patch":
        return trajectory.patch[:PATCH_TEXT]
    return "\n".join(_turn_text(turn) for turn in dialects.turns(trajectory)[-TAIL_TURNS:])


def _turn_text(turn: dialects.Turn) -> str:
    text = "\n".join([turn.text, *(action.text for action in turn.actions)])
    half = TURN_TEXT // 2
    return text if len(text) <= TURN_TEXT else f"{text[:half]}\n{text[-half:]}"


def terms(text: str) -> list[str]:
    """Lower-cased words, signs, and pairs of neighbours."""
    words = [word.lower() for word in _WORD.findall(text)]
    return [*words, *(f"{a} {b}" for a, b in pairwise(words))]


class Words:
    """Logistic regression on sublinear TF-IDF of `terms`, rows of length 1. Scoring needs numpy only."""

    def __init__(self, card: WordsCard, idf: npt.NDArray[np.float32], weights: npt.NDArray[np.float32]) -> None:
        self.card = card
        self._index = {term: i for i, term in enumerate(card.terms)}
        self._idf = idf
        self._weights = weights

    @property
    def name(self) -> str:
        """name@version."""
        return f"{self.card.name}@{self.card.version}"

    @classmethod
    def load(cls, folder: Path) -> "Words":
        """Read `words.json` and `words.npz`. Raises CheckpointError when one is missing or damaged."""
        card = read_card(folder / FILE, WordsCard)
        arrays = read_arrays(folder / ARRAYS, ("idf", "weights"))
        if not len(card.terms) == len(arrays["idf"]) == len(arrays["weights"]):
            raise CheckpointError(f"{folder}: {FILE} and {ARRAYS} are not of one verifier")
        return cls(card, **arrays)

    @classmethod
    def fit(
        cls,
        labelled: Sequence[Labelled],
        weights: Sequence[float],
        *,
        section: Section,
        version: str,
        name: str | None = None,
    ) -> "Words":
        """Fit on labelled attempts (outcomes known), each with its weight. Raises as `fit_texts`."""
        texts = [section_text(item.trajectory, section) for item in labelled]
        resolved = [item.outcome is Outcome.RESOLVED for item in labelled]
        return cls.fit_texts(texts, resolved, weights, section=section, version=version, name=name)

    @classmethod
    def fit_texts(
        cls,
        texts: Sequence[str],
        resolved: Sequence[bool],
        weights: Sequence[float],
        *,
        section: Section,
        version: str,
        name: str | None = None,
    ) -> "Words":
        """Fit on the section's text of each attempt; `words-SECTION` is its name unless one is given.

        Raises MissingExtraError without scikit-learn, VerifierError where only one outcome is there, or no word.
        """
        try:
            from sklearn.feature_extraction.text import TfidfVectorizer
            from sklearn.linear_model import LogisticRegression
        except ImportError:
            raise MissingExtraError("scikit-learn", "eval") from None
        if len(set(resolved)) < 2:
            raise VerifierError("attempts of both outcomes are needed to fit the words verifier")
        vectorizer = TfidfVectorizer(
            analyzer=terms, min_df=FEWEST_ATTEMPTS, max_features=MOST_TERMS, sublinear_tf=True, dtype=np.float32
        )
        try:
            matrix = vectorizer.fit_transform(texts)
        except ValueError as error:  # no words, or none that so many attempts share
            raise VerifierError(f"the words verifier cannot be fitted on the {section}: {error}") from None
        regression = LogisticRegression(C=STRENGTH, max_iter=1_000)
        model = regression.fit(matrix, resolved, sample_weight=np.asarray(weights))
        card = WordsCard(
            name=name or f"words-{section}",
            version=version,
            section=section,
            intercept=float(model.intercept_[0]),
            terms=tuple(vectorizer.get_feature_names_out()),
            training={"attempts": len(texts)},
        )
        return cls(card, vectorizer.idf_.astype(np.float32), model.coef_[0].astype(np.float32))

    def save(self, folder: Path) -> None:
        """Write card and arrays."""
        folder.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(folder / ARRAYS, idf=self._idf, weights=self._weights)
        (folder / FILE).write_text(self.card.model_dump_json() + "\n", encoding="utf-8")

    def logit(self, text: str) -> float:
        """Log-odds of an attempt from the text of its section."""
        return self.card.intercept + sum(self._effects(text).values())

    def _effects(self, text: str) -> dict[str, float]:
        """What each term adds to the log-odds."""
        counts = Counter(t for t in terms(text) if t in self._index)
        values = {t: (1 + math.log(n)) * float(self._idf[self._index[t]]) for t, n in counts.items()}
        norm = math.sqrt(sum(value * value for value in values.values())) or 1.0
        return {t: value / norm * float(self._weights[self._index[t]]) for t, value in values.items()}

    def __call__(self, trajectories: Sequence[Trajectory], /) -> list[Verdict]:
        """One verdict for each trajectory."""
        return judged(trajectories, lambda t: self.logit(section_text(t, self.card.section)), self.name)

    def explain(self, trajectory: Trajectory) -> list[str]:
        """The terms that move the score most."""
        effects = self._effects(section_text(trajectory, self.card.section))
        top = sorted(effects, key=lambda term: -abs(effects[term]))[:5]
        return [f"{term!r}: {effects[term]:+.2f} log-odds" for term in top]
