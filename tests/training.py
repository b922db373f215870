"""Runs that the tests of training share: one config of a two-layer model, its log, and its start in a process."""

import json
from pathlib import Path

import yaml

from swe_rm.model import Shape
from swe_rm.recipe import TrainConfig
from swe_rm.run_folder import LOG_FILE
from tests.conftest import TINY_POLICY

TINY_SHAPE = Shape(hidden=32, layers=2, heads=2, kv_heads=1, head_dim=16, experts=4, expert_width=16)

RUN = """
import sys
from pathlib import Path
from swe_rm import train
train.train(train.TrainConfig.load(Path(sys.argv[1])), lambda line: None)
"""
"""Code that trains what a file says; see `write`."""

LEAVES_NOTHING = """
import gc
from torch.nn.parallel import DistributedDataParallel
assert not [one for one in gc.get_objects() if type(one) is DistributedDataParallel]
"""
"""What may follow it: nothing holds the threads of a group on."""


def config(data: Path, out: Path, **changes: object) -> TrainConfig:
    """Seconds of training on a folder of attempts."""
    settings: dict[str, object] = {
        "name": "test", "out": out, "data": (data,), "shape": TINY_SHAPE, "vocabulary_size": 400,
        "policy": TINY_POLICY, "epochs": 1, "tokens_per_row": 600, "tokens_per_step": 1_200, "learning_rate": 5e-3,
    }  # fmt: skip
    return TrainConfig.model_validate({**settings, **changes})


def write(run: TrainConfig, file: Path) -> Path:
    """A config as a file; its path."""
    file.write_text(yaml.safe_dump(json.loads(run.model_dump_json())))
    return file


def records(folder: Path) -> list[dict[str, float]]:
    """The lines of a run's log."""
    return [json.loads(line) for line in (folder / LOG_FILE).read_text().splitlines()]


def logged(folder: Path, key: str = "verdict") -> list[float]:
    """One field of a run's log, step by step."""
    return [record[key] for record in records(folder)]


def quiet(_: str) -> None:
    """Say nothing."""
