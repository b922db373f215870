"""TrainConfig: one training run as a value, read from YAML, with a digest that says what decides the weights."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from swe_rm import config_file
from swe_rm.model import Shape
from swe_rm.render import LengthPolicy
from swe_rm.trajectory import Noun


class HoldOut(Noun):
    """Tasks that training must not see."""

    fold: int = Field(ge=0)
    folds: int = Field(ge=2)

    @model_validator(mode="after")
    def _in_range(self) -> "HoldOut":
        if self.fold >= self.folds:
            raise ValueError("fold counts from 0 and must be below folds")
        return self


class Lora(Noun):
    """Low-rank adapters beside frozen weights (Hu et al., 2021); they are merged into the weights at the end."""

    rank: int = Field(default=16, ge=1)
    alpha: int = Field(default=32, ge=1)
    """The update is scaled by alpha / rank."""
    experts: bool = False
    """Adapt the experts' fused matrices too; attention is adapted either way."""


class Stop(Noun):
    """When a run ends before its last step, and which of its weights are kept."""

    metric: Literal["auc", "ece"] = "auc"
    """On the dev attempts: the area under the ROC curve (to maximise) or the calibration error (to minimise)."""
    every: int = Field(default=100, ge=1)
    """Steps between two looks at the dev attempts; the last step is looked at too."""
    patience: int = Field(default=3, ge=1)
    """Looks in a row without a better figure that end the run. The weights of the best look are kept."""


class TrainConfig(Noun):
    """One training run, complete: the same config on the same data gives the same losses."""

    name: str
    version: str = "1"
    out: Path
    data: tuple[Path, ...] = Field(min_length=1)
    """Labelled attempts, in any format swe-rm reads."""
    labels: tuple[Path, ...] = ()
    auxiliary: tuple[Path, ...] = ()
    """More labelled attempts, typically patches alone, of which `auxiliary_rows` are drawn."""
    auxiliary_rows: int | None = Field(default=None, ge=0)
    tasks: Path | None = None
    """Rows of tasks (instance_id, problem_statement), a file or a folder, for attempts that do not show the issue."""
    base: Path | None = None
    """Checkpoint of swe-rm, or a Qwen3-MoE folder, to start from; random weights of `shape` without it."""
    shape: Shape = Shape()
    vocabulary: Path | None = None
    """Folder with a tokenizer.json for a model made from `shape`; fitted on the data without it."""
    vocabulary_size: int = Field(default=12_288, ge=300)
    policy: LengthPolicy = LengthPolicy()
    objective: Literal["verdict", "language"] = "verdict"
    """`language` is the warm-up: next-token loss on the prompts alone, labels unused."""
    head: Literal["full", "pair"] = "full"
    """What the verdict's cross-entropy is over: the `full` vocabulary, or the `pair` of YES and NO alone."""
    pairwise_weight: float = Field(default=0.0, ge=0)
    """Weight of -log sigmoid of the margin (Bradley-Terry on log-odds of YES) between a resolved and an unresolved
    attempt at one task; such pairs then come in the same step."""
    language_weight: float = Field(default=0.0, ge=0)
    """Weight of the next-token loss beside the verdict's."""
    language_share: float = Field(default=0.25, gt=0, le=1)
    """Share of positions the next-token loss is taken at; the head costs more than the body at small sizes."""
    router_weight: float = Field(default=0.0, ge=0)
    """Weight of the load-balancing loss of the router, which counts every token."""
    freeze_router: bool = False
    """Keep the routers as they are."""
    lora: Lora | None = None
    """Train adapters and keep all else; every weight is trained without it."""
    balance: Literal["none", "policy"] = "policy"
    """`policy` weighs examples so that each policy's outcomes weigh the same: knowing the policy then earns nothing."""
    even: tuple[Literal["length", "policy"], ...] = ()
    """What every step shows in the shares of the whole: quarters of the examples by length, policies, or both."""
    prefix_rate: float = Field(default=0.0, ge=0, le=1)
    """Share of the examples that show a log cut short after one of its turns, without its patch, under the verdict of
    the whole attempt: scores of unfinished attempts then mean something."""
    hold_out: HoldOut | None = None
    evaluation: tuple[Path, ...] = ()
    """Tasks the result is measured on (their rows, ids in a text file, attempts at them): a run whose data hold an
    attempt at one of them stops."""
    dev: tuple[Path, ...] = ()
    """Labelled attempts, at tasks no other data have, that the run is watched on."""
    dev_rows: int | None = Field(default=None, ge=2)
    """Only so many of them, drawn by the seed: each look reads them all."""
    stop: Stop | None = None
    """Early stopping on `dev`."""
    epochs: float = Field(default=2.0, gt=0)
    learning_rate: float = Field(default=1e-3, gt=0)
    warmup_share: float = Field(default=0.05, ge=0, lt=1)
    """Share of the steps in which the rate rises to its peak; then it falls on a cosine to a tenth."""
    weight_decay: float = Field(default=0.05, ge=0)
    clip: float = Field(default=1.0, gt=0)
    """Largest gradient norm."""
    tokens_per_row: int = Field(default=8_192, ge=128)
    tokens_per_step: int = Field(default=16_384, ge=128)
    packing: Literal["in_order", "best_fit"] = "in_order"
    """How rows are filled: as the epoch's shuffle has the examples, or longest first into the least room left, which
    wastes next to nothing; the rows are shuffled then, and an example meets the same lengths each epoch."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of forward and backward; master weights and optimiser are fp32 either way."""
    gradient_checkpointing: bool = False
    """Keep each layer's input alone and compute the rest again in the backward pass: less memory, a third more time."""
    sequence_parallel: int = Field(default=1, ge=1)
    """Processes that share each row's tokens; they trade tokens for heads around attention (DeepSpeed-Ulysses)."""
    seed: int = 0
    checkpoint_minutes: float = Field(default=10.0, gt=0)
    report_to: tuple[Literal["tensorboard", "trackio", "wandb"], ...] = ()
    """Where the log's figures go beside log.jsonl; the packages are not part of swe-rm."""

    @model_validator(mode="after")
    def _hangs_together(self) -> "TrainConfig":
        if self.stop and not self.dev:
            raise ValueError("stop needs dev: attempts to look at")
        if (self.freeze_router or self.lora) and self.router_weight:
            frozen = "freeze_router" if self.freeze_router else "lora"
            raise ValueError(f"{frozen} and router_weight exclude each other: a frozen router cannot be balanced")
        if self.objective == "language" and (self.pairwise_weight or self.dev):
            raise ValueError("objective: language uses no labels, so neither pairwise_weight nor dev mean anything")
        return self

    @classmethod
    def load(cls, path: Path, overrides: Sequence[str] = ()) -> "TrainConfig":
        """Read a YAML file; each override is `key=value` or `key.sub=value`, the value in YAML.

        Raises SweRmError naming the file and key when something is unknown, missing or out of range.
        """
        return config_file.load(cls, path, overrides, "a training config")

    def portable(self) -> dict[str, Any]:
        """The config as JSON values without what is of one machine: files by name, not by folder, and no `out`."""
        content: dict[str, Any] = self.model_dump(mode="json", exclude=_NO_MATTER)
        for key in ("data", "labels", "auxiliary", "dev"):
            content[key] = [Path(path).name for path in content[key]]
        for key in ("tasks", "base", "vocabulary"):
            content[key] = content[key] and Path(content[key]).name
        return content

    def digest(self) -> str:
        """Hex digest of everything that decides the weights; where files lie, how often a run is saved and what it
        is measured on does not."""
        content = json.dumps(self.portable(), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]


_NO_MATTER = {"out", "checkpoint_minutes", "evaluation", "report_to"}
"""Fields that decide no weight."""
