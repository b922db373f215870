"""Which figure of a verifier foretold what it taught: rank correlations of a recorded prediction with real training."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import ConfigDict, Field, ValidationError

from swe_rm.errors import MissingExtraError, RecordError, SweRmError
from swe_rm.metrics import Floats, divide
from swe_rm.resampling import Interval
from swe_rm.rl.outcome import ArmsOutcome
from swe_rm.rl.runs import HELD_OUT
from swe_rm.trajectory import Noun

PREDICTORS = {
    "simulated": "simulated",
    "auc": "AUC",
    "auc_in_groups": "AUC inside groups",
    "ece": "-ECE",
    "top": "RM@K at the size of a group",
}
"""Figures of a prediction, and what each is called; of the ECE a small one is the better."""
MIN_VERIFIERS = 4
"""With fewer a rank correlation says nothing."""
DRAWS = 2_000

Number = Annotated[float, Field(allow_inf_nan=False)]
Part = Literal["task", "same_policy"]
GROUPS: dict[Part, str] = {"task": "simulated with the attempts at a task", "same_policy": "with one policy's attempts"}
"""Parts of a prediction: which attempts were a group."""


class Agreement(Noun):
    """How well a figure foretold the order in which verifiers did as rewards."""

    split: str
    part: Part
    """Of the prediction: which attempts were a group."""
    predictor: str
    n_verifiers: int
    spearman: float | None
    interval: Interval | None
    """95% over verifiers and seeds."""
    behind_simulated: float | None
    """The simulation's rank correlation less this one's; None for the simulation itself."""
    behind_interval: Interval | None


class _Foretold(Noun):
    model_config = ConfigDict(frozen=True, extra="ignore")

    simulated: Number
    auc: Number | None
    auc_in_groups: Number | None
    ece: Number | None
    top: Number


class _Predicted(Noun):
    model_config = ConfigDict(frozen=True, extra="ignore")

    verifier: str
    task: _Foretold
    same_policy: _Foretold | None


class _Prediction(Noun):
    model_config = ConfigDict(frozen=True, extra="ignore")

    verifiers: tuple[_Predicted, ...] = Field(min_length=1)


def foretold(file: Path, found: ArmsOutcome) -> list[Agreement]:
    """How the figures of a prediction agree with the final rates of the arms whose reward was a score alone.

    `file` is what `scripts/predict_order.py --json` wrote. Raises RecordError for another, SweRmError where two arms
    have one verifier or fewer than `MIN_VERIFIERS` predicted ones were trained with.
    """
    prediction = _read(file)
    arms = _scored_alone(found)
    known = [one for one in prediction.verifiers if one.verifier in arms]
    if len(known) < MIN_VERIFIERS:
        raise SweRmError(
            f"{file}: {len(known)} of its verifiers are the reward of an arm by their score alone, not {MIN_VERIFIERS}"
        )
    told = []
    for split in HELD_OUT:
        rates = {
            one.verifier: splits[split].final.per_seed
            for one in known
            if split in (splits := found.arms[arms[one.verifier]].splits)
        }
        for part in GROUPS:
            rows = {one.verifier: row for one in known if one.verifier in rates and (row := getattr(one, part))}
            figures = {name: {verifier: getattr(row, name) for verifier, row in rows.items()} for name in PREDICTORS}
            if len(rows) >= MIN_VERIFIERS:
                told += [Agreement(split=split, part=part, **one) for one in agreement(figures, rates)]
    return told


def _read(file: Path) -> _Prediction:
    try:
        return _Prediction.model_validate_json(file.read_bytes())
    except OSError as error:
        raise RecordError(str(file), "", error.strerror or "cannot be read") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise RecordError(str(file), where, f"no prediction of predict_order: {first['msg']}") from None


def _scored_alone(found: ArmsOutcome) -> dict[str, str]:
    """Verifier -> the arm whose reward is its score and nothing else."""
    arms: dict[str, str] = {}
    for name, arm in found.arms.items():
        if arm.reward == "execution-free" and arm.verifier:
            if arm.verifier in arms:
                raise SweRmError(f"arms {arms[arm.verifier]} and {name} have one reward, {arm.verifier}: report one")
            arms[arm.verifier] = name
    return arms


def agreement(
    figures: Mapping[str, Mapping[str, float | None]], found: Mapping[str, Sequence[float | None]]
) -> list[dict[str, Any]]:
    """Spearman's correlation of each predictor with what was found, with 95% intervals; the simulation comes first.

    `figures` is predictor -> verifier -> figure, `found` verifier -> what each seed came to. Verifiers are drawn with
    replacement and then seeds of each, the same draws for all predictors. A verifier without a figure is left out; of
    fewer than `MIN_VERIFIERS` no correlation is told. A draw has ties and the noise of its seeds, so that intervals lie
    lower than the estimate (their middle by 0.14 to 0.27 where it was tried) and hold the truth more often than 95%.
    """
    names = sorted(
        name for name in found
        if None not in found[name] and all(column.get(name) is not None for column in figures.values())
    )  # fmt: skip
    if len(names) < MIN_VERIFIERS:
        nothing = {"spearman": None, "interval": None, "behind_simulated": None, "behind_interval": None}
        return [{"predictor": predictor, "n_verifiers": len(names), **nothing} for predictor in figures]
    columns = {
        predictor: np.array([column[name] for name in names], np.float64) * (-1 if predictor == "ece" else 1)
        for predictor, column in figures.items()
    }
    dice = np.random.default_rng(0)
    places = dice.integers(0, len(names), (DRAWS, len(names)))
    results = [np.array(found[name], dtype=np.float64) for name in names]
    means = np.empty(places.shape)
    for place, seeds in enumerate(results):
        drawn = seeds[dice.integers(0, len(seeds), (*places.shape, len(seeds)))].mean(axis=-1)
        means = np.where(places == place, drawn, means)
    truth = np.array([one.mean() for one in results])
    values = {name: float(spearman(column, truth)) for name, column in columns.items()}
    draws = {name: spearman(column[places], means) for name, column in columns.items()}
    return [
        {
            "predictor": name,
            "n_verifiers": len(names),
            "spearman": _defined(values[name]),
            "interval": _bounds(draws[name]),
            "behind_simulated": None if name == "simulated" else _defined(values["simulated"] - values[name]),
            "behind_interval": None if name == "simulated" else _bounds(draws["simulated"] - draws[name]),
        }
        for name in columns
    ]


def spearman(one: Floats, other: Floats) -> Floats:
    """Correlation of ranks along the last axis, ties at their middle: (..., n) -> (...); NaN where all are equal.

    Raises MissingExtraError without scipy.
    """
    try:
        from scipy.stats import rankdata
    except ImportError:
        raise MissingExtraError("scipy", "eval") from None
    middle = (one.shape[-1] + 1) / 2
    mine, theirs = (rankdata(values, axis=-1) - middle for values in (one, other))
    return divide((mine * theirs).sum(axis=-1), np.sqrt((mine**2).sum(axis=-1) * (theirs**2).sum(axis=-1)))


def _defined(value: float) -> float | None:
    return None if np.isnan(value) else value


def _bounds(drawn: Floats) -> Interval | None:
    known = drawn[~np.isnan(drawn)]
    if 2 * len(known) < len(drawn):
        return None
    low, high = np.quantile(known, [0.025, 0.975])
    return float(low), float(high)
