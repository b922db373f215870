"""MixConfig: one training mix as a value, read from YAML, with a digest of everything that decides what it holds."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from swe_rm import config_file
from swe_rm.trajectory import Noun

_LEAST, _MOST = 1e-3, 1e3
"""Bounds of weights and ratios: beyond them a share is nothing, or all."""


def _weights(weights: dict[str, float]) -> dict[str, float]:
    for pattern, weight in weights.items():
        if weight and not _LEAST <= weight <= _MOST:
            raise ValueError(f"{pattern}: {weight:g} is no weight; one is 0, or from {_LEAST:g} to {_MOST:g}")
    if weights and not any(weights.values()):
        raise ValueError("all weights are 0: nothing could be drawn")
    return weights


def _threshold(value: Any) -> Any:
    if value is True:
        raise ValueError("give a threshold, like 0.8")
    return None if value is False else value


Count = Annotated[int, Field(strict=True, ge=1)]
Weights = Annotated[dict[str, float], AfterValidator(_weights)]
"""Shares of the draw by glob pattern; the first pattern that matches counts, what none matches is left out."""


class Drop(Noun):
    """The cleaning steps, each with its switch, in the order in which they are taken."""

    infra_failures: bool = True
    """Unknown outcomes whose provenance says that the environment or the evaluation failed."""
    unlabelled: bool = True
    """Other unknown outcomes."""
    oracle_feedback: bool = True
    """The agent was shown verdicts of hidden tests, or their code."""
    history: bool = True
    """The agent read the fix, the project's pages, or commits beyond the task's."""
    several_tries: bool = True
    """Logs that hold several tries."""
    gold_equal: bool = False
    """Patches that equal the gold patch; needs `tasks`."""
    conflicting: Literal["all", "minority", False] = "all"
    """Equal patches at one task with both outcomes: all of them go, or those that the majority contradicts (of equally
    many, all)."""
    duplicates: bool = True
    """Attempts a verifier reads alike, whatever they are called; the one with the lowest id stays."""
    continuations: bool = True
    """Attempts that begin with another's log, whole or half of the shorter one."""
    near_duplicates: Annotated[float | None, BeforeValidator(_threshold)] = Field(default=None, gt=0, le=1)
    """Jaccard index of the words' shingles of log and patch from which two attempts of one outcome are one."""


class Length(Noun):
    """Limits on what a verifier reads, both inclusive: characters of the whole rendering, or its tokens."""

    min_characters: int | None = Field(default=None, ge=0)
    max_characters: int | None = Field(default=None, ge=1)
    min_tokens: int | None = Field(default=None, ge=0)
    max_tokens: int | None = Field(default=None, ge=1)
    vocabulary: Path | None = None
    """Folder with the tokenizer.json that counts tokens; nothing is cut before they are counted."""

    @model_validator(mode="after")
    def _countable(self) -> "Length":
        for unit, least, most in (
            ("characters", self.min_characters, self.max_characters),
            ("tokens", self.min_tokens, self.max_tokens),
        ):
            if least is not None and most is not None and least > most:
                raise ValueError(f"no attempt has at least {least:,} and at most {most:,} {unit}")
        if self.counts_tokens and self.vocabulary is None:
            raise ValueError("limits in tokens need a vocabulary: a folder with a tokenizer.json")
        return self

    @property
    def counts_tokens(self) -> bool:
        """Whether tokens matter."""
        return self.min_tokens is not None or self.max_tokens is not None


class Overlap(Noun):
    """When two texts are taken for one: so much of the shorter one's word n-grams stand in the other."""

    n: int = Field(default=8, ge=1)
    share: float = Field(default=0.5, gt=0, le=1)


class Decontaminate(Noun):
    """The evaluation list, and how an attempt is recognised as one of it. A rule that is null is off."""

    against: tuple[Path, ...] = Field(min_length=1)
    """Rows of tasks, ids in a text file, or attempts in any format."""
    instance_id: bool = True
    base_commit: bool = True
    """The same repository at the same commit; the commits of the mix's own tasks stand in `tasks`."""
    issue: Overlap | None = Overlap()
    patch: Overlap | None = Overlap()
    """The attempt's changed lines against those of the gold patches on the list."""


class Splits(Noun):
    """Parts of the mix that share no task, or no repository."""

    by: Literal["task", "repo"] = "task"
    folds: int = Field(ge=2)
    parts: dict[str, tuple[int, ...]] = Field(min_length=1)
    """Name of a part to its folds; a fold that no part has is dropped."""
    sampled: tuple[str, ...] | None = None
    """Parts that `sample` is applied to, the first one unless given: to measure on, the others are whole."""

    @model_validator(mode="after")
    def _parts_fit(self) -> "Splits":
        held = [fold for folds in self.parts.values() for fold in folds]
        if any(fold < 0 or fold >= self.folds for fold in held):
            raise ValueError(f"folds count from 0 and are below {self.folds}")
        if len(held) != len(set(held)):
            raise ValueError("a fold is in two parts")
        for name in self.parts:
            if not name.replace("-", "").replace("_", "").isalnum():
                raise ValueError(f"{name!r} cannot be the name of a folder")
        if unknown := set(self.sampled or ()) - set(self.parts):
            raise ValueError(f"sampled: there is no part {', '.join(sorted(unknown))}")
        return self

    @property
    def drawn(self) -> tuple[str, ...]:
        """The parts that `sample` is applied to."""
        return self.sampled if self.sampled is not None else (next(iter(self.parts)),)


class Sample(Noun):
    """How attempts are chosen among the clean ones: by hash of seed and attempt_id, never by their place in a file."""

    sources: Weights = Field(default_factory=dict)
    policies: Weights = Field(default_factory=dict)
    repos: Weights = Field(default_factory=dict)
    """A pattern of each makes a cell, whose weight is their product; `total` is shared out among the cells. A
    repository is its `owner/name` in lower case."""
    fill_up: bool = False
    """What a cell has not, the others give; else such weights cannot be met."""
    positives_per_negative: float | None = Field(default=None, ge=_LEAST, le=_MOST)
    total: Count | None = None
    per_task: Count | None = None
    """Most attempts at one task; with a ratio, in that ratio as far as the task has them."""
    patch_only: Annotated[int, Field(strict=True, ge=0)] | None = None
    """Most attempts without a log."""
    balance_policies: bool = False
    """Each policy has `positives_per_negative` exactly; one that cannot is left out."""
    keep_pairs: bool = False
    """A task and policy with both outcomes comes with both or not at all; such pairs are drawn before the others."""

    @model_validator(mode="after")
    def _needs_are_met(self) -> "Sample":
        if (self.sources or self.policies or self.repos) and self.total is None:
            raise ValueError("weights share out a total: give one")
        if self.balance_policies and self.positives_per_negative is None:
            raise ValueError("balance_policies needs positives_per_negative")
        if self.keep_pairs and self.per_task == 1:
            raise ValueError("keep_pairs needs room for two attempts at a task: per_task is 1")
        return self


class MixConfig(Noun):
    """One mix, complete: the same config on the same data gives the same bytes."""

    name: str
    data: tuple[Path, ...] = Field(min_length=1)
    """Labelled attempts, in any format swe-rm reads; their order does not matter."""
    labels: tuple[Path, ...] = ()
    tasks: tuple[Path, ...] = ()
    """Rows of the benchmark's tasks, in files or folders of them: issue text, base commit, gold patch, hidden tests."""
    rows: Literal["log", "patch", "both"] = "both"
    """Attempts with a log, patches alone, or both."""
    drop: Drop = Drop()
    length: Length = Length()
    decontaminate: Decontaminate | None = None
    splits: Splits | None = None
    sample: Sample = Sample()
    seed: int = 0

    @model_validator(mode="after")
    def _needs_are_met(self) -> "MixConfig":
        if self.drop.gold_equal and not self.tasks:
            raise ValueError("drop.gold_equal needs tasks: rows with gold patches")
        if self.sample.positives_per_negative and not (self.drop.unlabelled and self.drop.infra_failures):
            raise ValueError("positives_per_negative needs known outcomes: drop.unlabelled and drop.infra_failures")
        return self

    @classmethod
    def load(cls, path: Path, overrides: Sequence[str] = ()) -> "MixConfig":
        """Read a YAML file; each override is `key=value` or `key.sub=value`. Raises SweRmError naming file and key."""
        return config_file.load(cls, path, overrides, "a mix")

    def reading(self) -> "MixConfig":
        """The config without what is done after reading: equal ones find the same facts."""
        return self.model_copy(update={"name": "", "splits": None, "sample": Sample(), "seed": 0, "rows": "both"})

    def portable(self) -> dict[str, Any]:
        """The config as JSON values without what is of one machine: files by name, sorted, not by folder."""
        content: dict[str, Any] = self.model_dump(mode="json")
        for key in ("data", "labels", "tasks"):
            content[key] = _names(content[key])
        if self.length.vocabulary:
            content["length"]["vocabulary"] = self.length.vocabulary.name
        if self.decontaminate:
            content["decontaminate"]["against"] = _names(content["decontaminate"]["against"])
        return content

    def digest(self) -> str:
        """Hex digest of the config; the order of patterns counts, that of files does not."""
        return hashlib.sha256(json.dumps(self.portable()).encode()).hexdigest()[:16]


def _names(paths: Sequence[str]) -> list[str]:
    return sorted(Path(path).name for path in paths)
