"""Experiment: a control, and arms that differ from it only in the fields that are declared to vary."""

import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from swe_rm import config_file
from swe_rm.errors import SweRmError
from swe_rm.experiment.measures import FIGURES, bounds, is_measure
from swe_rm.experiment.setting import Setting, complete
from swe_rm.trajectory import Noun

Profile = Literal["cpu", "gpu", "30b-a3b"]
"""What the sizes fit: two cores, one GPU of 141 GB, or a node of them."""
_HERE = files("swe_rm.experiment") / "definitions"
_MIN_SEEDS = 3

_GROUPS = ("mix", "train", "warmup")
_GIVEN = frozenset({
    *(f"mix.{key}" for key in ("name", "data", "labels", "tasks", "decontaminate", "seed")),
    *(f"{group}.{key}" for group in ("train", "warmup") for key in (
        "name", "data", "labels", "tasks", "out", "seed", "auxiliary", "auxiliary_rows", "hold_out", "evaluation",
    )),
})  # fmt: skip
"""Keys of a setting that no definition may give: an arm with other files would differ in more than it declares."""

Changes = dict[str, Any]
"""Dotted key -> value."""


class Axis(Noun):
    """The factor as a number: what a picture's x axis shows."""

    title: str
    at: dict[str, float]
    """By arm."""
    logarithmic: bool = False


class PerValue(Noun):
    """Arms that are made of what a pool holds: each value alone, and all but that one."""

    of: Literal["source", "policy", "repo"]
    key: str
    """The field of weights by pattern that chooses among them."""
    alone: bool = True
    without: bool = True
    at_least: int = Field(default=1, ge=1)
    """Attempts of known outcome that a value must have."""


class Claim(Noun):
    """Something that the paper or common sense expects, to be held against what is found."""

    text: str
    source: str
    figure: str
    """Of a report, as `auc`, `ece` or `rm_at_k.widest`."""
    better: str | None = None
    """Arm that should have the higher figure, or the lower one where less is better."""
    than: str | None = None
    """An arm, or a pattern of arms: then it is claimed of each."""
    negative: str | None = None
    """In place of two arms: the one whose figure, a difference in itself as `rise_with_k`, should be below 0."""

    @model_validator(mode="after")
    def _of_two_arms_or_of_one(self) -> "Claim":
        if (self.better is None) != (self.than is None) or (self.better is None) == (self.negative is None):
            raise ValueError("a claim names the arms better and than, or the arm negative")
        if self.negative is not None and bounds(self.figure)[0] == 0:
            raise ValueError(f"{self.figure} is never negative")
        return self

    @property
    def arms(self) -> tuple[str, ...]:
        """Those that it names."""
        return tuple(arm for arm in (self.better, self.than, self.negative) if arm is not None)


class Published(Noun):
    """A figure of the paper, to stand beside ours."""

    arm: str
    figure: str
    value: float
    source: str


class Definition(Noun):
    """An experiment as its file says it."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    title: str
    question: str
    pool: Literal["attempts", "playground"] = "attempts"
    """What it is meant to run on; where both make sense, the same arms run on the other too."""
    profiles: tuple[Profile, ...] = ("cpu", "gpu", "30b-a3b")
    """Those that it makes sense in."""
    varies: tuple[str, ...] = Field(min_length=1)
    """Dotted keys of a setting in which arms may differ."""
    control: str
    base: Changes = Field(default={})
    """What all arms have in place of the profile's values: dotted keys."""
    arms: dict[str, Changes] = Field(default={})
    per_value: PerValue | None = None
    seeds: tuple[int, ...] = (0, 1, 2)
    axis: Axis | None = None
    claims: tuple[Claim, ...] = ()
    published: tuple[Published, ...] = ()

    @field_validator("seeds")
    @classmethod
    def _enough(cls, found: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(found)) < max(len(found), _MIN_SEEDS):
            raise ValueError(f"an experiment has {_MIN_SEEDS} different seeds at least")
        return found

    @model_validator(mode="after")
    def _names_what_there_is(self) -> "Definition":
        if self.control not in self.arms:
            raise ValueError(f"control: there is no arm {self.control}")
        figures = [*(one.figure for one in self.claims), *(one.figure for one in self.published)]
        if unknown := [name for name in figures if not is_measure(name)]:
            raise ValueError(f"{unknown[0]} is not measured; there are {', '.join(FIGURES)} and rm_at_k.K")
        named = {*(self.axis.at if self.axis else ()), *(one.arm for one in self.published)}
        named |= {arm for one in self.claims for arm in one.arms}
        if self.per_value is None and (unknown := sorted(named - self.arms.keys())):
            raise ValueError(f"claims, published or axis: there is no arm {unknown[0]}")
        if self.axis and (self.per_value or (unplaced := sorted(self.arms.keys() - self.axis.at.keys()))):
            raise ValueError(f"axis: has no place for {'arms per value' if self.per_value else f'arm {unplaced[0]}'}")
        return self


class Experiment(Noun):
    """An experiment whose arms are known, each complete.

    Raises SweRmError where an arm differs from the control in what is not declared, where two arms are one, and where
    a declared key never varies.
    """

    definition: Definition
    profile: Profile
    settings: dict[str, Setting]
    """By arm; the control is the first."""
    changes: Changes = Field(default={})
    """What all arms got in place of the profile's and the definition's values."""

    @property
    def name(self) -> str:
        """Of the definition."""
        return self.definition.name

    @model_validator(mode="after")
    def _differs_where_it_says(self) -> "Experiment":
        _refuse_other_differences(self.definition, self.settings)
        return self


def known() -> list[str]:
    """The experiments of the package."""
    return sorted(one.name.removesuffix(".yaml") for one in _HERE.iterdir() if one.name.endswith(".yaml"))


def load(name: str) -> Definition:
    """An experiment of the package by its name, or one of a file. Raises SweRmError naming file and key."""
    if name in known():
        return config_file.load(Definition, Path(str(_HERE / f"{name}.yaml")), (), "an experiment")
    if name.endswith((".yaml", ".yml")):
        return config_file.load(Definition, Path(name), (), "an experiment")
    raise SweRmError(f"{name}: no experiment; there are {', '.join(known())}, or give a file NAME.yaml")


def experiment(
    definition: Definition, profile: Profile, more: Mapping[str, Changes] | None = None, changes: Changes | None = None
) -> Experiment:
    """The experiment with `more` arms, those that are made of a pool, and with changes that all arms get.

    Raises SweRmError where it is not of this profile, where a setting is wrong, where a change is of what varies, and
    where it may not exist.
    """
    if profile not in definition.profiles:
        raise SweRmError(f"{definition.name}: is of profile {' or '.join(definition.profiles)}, not {profile}")
    base = config_file.content(Path(str(_HERE / "profiles" / f"{profile}.yaml")), "a profile")
    arms = {**definition.arms, **(more or {})}
    _refuse_given(definition, [definition.base, changes or {}, *arms.values()])
    if taken := [key for key in changes or {} if _declared(key, definition.varies)]:
        raise SweRmError(
            f"{definition.name}: {taken[0]} is what varies: no --set for all arms; change a copy of the definition "
            f"(swe-rm experiment show {definition.name})"
        )
    ordered = [definition.control, *(name for name in arms if name != definition.control)]
    settings = {
        arm: _setting(definition.name, arm, base, (definition.base, changes or {}, arms[arm])) for arm in ordered
    }
    return Experiment(definition=definition, profile=profile, settings=settings, changes=changes or {})


def arms_per_value(wanted: PerValue, values: Sequence[str]) -> dict[str, Changes]:
    """An arm for each value alone and one for all but it. Raises SweRmError where two values make one name."""
    names = {value: re.sub(r"[^\w.+]+", "-", value).strip("-") for value in values}
    if len({*names.values()}) < len(names):
        raise SweRmError(f"per_value: two of {', '.join(values)} make arms of one name")
    alone = {f"only-{names[v]}": {wanted.key: {_literal(v): 1}} for v in values} if wanted.alone else {}
    without = {f"without-{names[v]}": {wanted.key: {_literal(v): 0, "*": 1}} for v in values} if wanted.without else {}
    return {**alone, **without}


def _literal(value: str) -> str:
    """A glob pattern that matches the value alone."""
    return re.sub(r"([*?[])", r"[\1]", value)


def _setting(name: str, arm: str, base: Mapping[str, Any], layers: Sequence[Changes]) -> Setting:
    content: dict[str, Any] = deepcopy(dict(base))
    for layer in layers:
        for key, value in layer.items():
            config_file.put(content, key, value)
    try:
        return complete(content)
    except ValidationError as error:
        first = error.errors()[0]
        raise SweRmError(f"{name}: arm {arm}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def _refuse_given(definition: Definition, layers: Sequence[Changes]) -> None:
    """Files and seeds are said at the run, for all arms alike; and every key is one of a setting's groups."""
    for key, value in (pair for layer in layers for pair in layer.items()):
        if key in _GROUPS and not isinstance(value, dict) and (key, value) != ("warmup", None):
            raise SweRmError(f"{definition.name}: {key} is a group of keys")
        inner = [f"{key}.{name}" for name in value] if key in _GROUPS and value else [key]
        if taken := [one for one in inner if any(one == given or one.startswith(f"{given}.") for given in _GIVEN)]:
            raise SweRmError(
                f"{definition.name}: {taken[0]} is given at the run (--data, --tasks, --evaluation, seeds)"
            )


def _refuse_other_differences(definition: Definition, settings: Mapping[str, Setting]) -> None:
    flat = {arm: setting.flat() for arm, setting in settings.items()}
    read = {arm: setting.read_by_verifier() for arm, setting in settings.items()}
    control = flat[definition.control]
    varied: set[str] = set()
    for arm, mine in flat.items():
        differing = sorted(_differing(control, mine))
        if undeclared := [key for key in differing if not _declared(key, definition.varies)]:
            raise SweRmError(
                f"{definition.name}: arm {arm} differs from {definition.control} in {', '.join(undeclared)}, "
                f"and only {', '.join(definition.varies)} may vary"
            )
        varied |= {key for key in definition.varies if any(_declared(one, (key,)) for one in differing)}
        if twin := next((other for other in flat if other != arm and read[other] == read[arm]), None):
            told = "" if flat[twin] == mine else f": {settings[arm].verifier} does not read what they differ in"
            raise SweRmError(f"{definition.name}: arms {arm} and {twin} are one{told}")
    whole = definition.per_value is None or settings.keys() > definition.arms.keys()  # arms of a pool are known late
    if whole and (idle := [key for key in definition.varies if key not in varied]):
        raise SweRmError(f"{definition.name}: {', '.join(idle)} may vary and does not")


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[str]:
    for key in one.keys() | other.keys():
        if (key in one) != (key in other) or one[key] != other[key]:
            yield key


def _declared(key: str, varies: Sequence[str]) -> bool:
    return any(key == allowed or key.startswith(f"{allowed}.") or allowed.startswith(f"{key}.") for allowed in varies)
