"""Setting: all that decides the verifier of one arm, complete but for the files, the seed and the folder."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from swe_rm.calibrate import Method
from swe_rm.experiment.view import View
from swe_rm.mix import MixConfig
from swe_rm.mix.config import Decontaminate, Splits
from swe_rm.mix.manifest import digest
from swe_rm.recipe import TrainConfig
from swe_rm.trajectory import Noun

NOWHERE = Path("given-at-the-run")
"""In place of files in a definition."""
_PATTERNS = ("sources", "policies", "repos")
TRAIN, HELD, CALIBRATE = "train", "held", "calibrate"
"""Parts of the pool: tasks to train on, to measure on, and to fit a calibrator on."""


class Files(Noun):
    """The labelled attempts of a run, and what else it reads."""

    data: tuple[Path, ...] = Field(min_length=1)
    labels: tuple[Path, ...] = ()
    tasks: tuple[Path, ...] = Field(default=(), max_length=1)
    """Rows of the benchmark's tasks, for attempts whose source does not show the issue: a file or a folder of them."""
    evaluation: tuple[Path, ...] = ()
    """What must not be trained on, by any rule of decontamination; nothing here is measured."""

    def digests(self) -> dict[Path, str]:
        """SHA-256 of each file, or of the names and contents of a folder's. Raises RecordError."""
        return {path: digest(path) for path in (*self.data, *self.labels, *self.tasks, *self.evaluation)}


class Setting(Noun):
    """One arm: which attempts train, what of them is read, and how."""

    mix: MixConfig
    """Which attempts: its splits give the parts, its sample is drawn from the first."""
    train: TrainConfig
    warmup: TrainConfig | None = None
    """What the language model starts from, trained on next tokens of the attempts to train on; random weights without
    it."""
    warmup_most: int | None = Field(default=None, ge=1)
    """So many of them are warmed up on, those whose ids, which are hashes, sort first; all without it."""
    verifier: Literal["model", "features", "words"] = "model"
    """What is trained: the language model, trees and a regression on documented facts, or words of the log's end."""
    view: View = "whole"
    """What of an attempt is read, in training and when it is judged."""
    label_noise: float = Field(default=0.0, ge=0, le=0.5)
    """Share of the attempts to train on that get the other outcome."""
    calibrate: Method | None = None
    """Fitted on the part `calibrate`."""
    judged: str = "*"
    """Pattern of the policies whose attempts are measured on."""
    judged_most: int | None = Field(default=None, ge=1)
    """So many attempts are measured on, or a few more: whole tasks in the order of their names' hashes; all without it.
    """
    judged_per_task: int | None = Field(default=None, ge=2)
    """So many attempts of a task are measured on, those whose ids sort first; all without it. Intervals need tasks."""

    def mix_of(self, files: Files, seed: int) -> MixConfig:
        """The mix of a run."""
        against = Decontaminate(against=files.evaluation) if files.evaluation else None
        given = {"data": files.data, "labels": files.labels, "tasks": files.tasks, "decontaminate": against}
        return self.mix.model_copy(update={**given, "seed": seed})

    def train_of(self, files: Files, seed: int, out: Path, data: Path, base: Path | None) -> TrainConfig:
        """The training of a run, from a warmed-up model where there is one (`base`)."""
        tasks = files.tasks[0] if files.tasks else None
        given = {"out": out, "data": (data,), "tasks": tasks, "base": base or self.train.base, "seed": seed}
        return self.train.model_copy(update=given)

    def flat(self) -> dict[str, Any]:
        """Every field by its dotted key; of patterns their order too, for the first that fits decides."""
        dumped = self.model_dump(mode="json")
        weights = {key: dumped["mix"]["sample"][key] for key in _PATTERNS}
        return dict(_flat("", dumped)) | {
            f"mix.sample.{key}.(order)": list(found) for key, found in weights.items() if found
        }

    def read_by_verifier(self) -> dict[str, Any]:
        """Those of them that its verifier is made from: facts and words have neither a warm-up nor steps."""
        if self.verifier == "model":
            return self.flat()
        return {key: value for key, value in self.flat().items() if not key.startswith(("train.", "warmup"))} | {
            "train.balance": self.train.balance
        }


def complete(content: Mapping[str, Any]) -> Setting:
    """A setting from what a definition says of it. Raises ValidationError."""
    mix = {"name": "experiment", "data": [NOWHERE], **content.get("mix", {})}
    train = _training(content.get("train", {}))
    warmup = None if content.get("warmup") is None else _training({"objective": "language", **content["warmup"]})
    return Setting.model_validate({**content, "mix": mix, "train": train, "warmup": warmup})


def _training(content: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": "experiment", "data": [NOWHERE], "out": NOWHERE, **content}


def parts(splits: Splits | None) -> set[str]:
    """The names of the parts that tasks are split into."""
    return set(splits.parts) if splits else set()


def _flat(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _flat(f"{key}.{name}" if key else name, inner)
    else:
        yield key, value
