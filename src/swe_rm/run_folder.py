"""The folder of a training run: what it resumes from, its log, its best weights, and whose run it is."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from swe_rm import model, output, parallel
from swe_rm.errors import SweRmError
from swe_rm.model import Network
from swe_rm.recipe import TrainConfig
from swe_rm.schedule import Step
from swe_rm.training_data import TrainingExample

if TYPE_CHECKING:
    import torch

STATE_FOLDER = "state"
"""What a run needs to go on where it saved; of a finished run the rendered data alone stay."""
STATE_FILE = "state.json"
"""In it: which checkpoint is whole. It is written last."""
IDS_FOLDER = "ids"
"""In it: the examples' token ids, memory-mapped."""
BEST_FILE = "best.safetensors"
"""In it: the trained weights of the best look at the dev attempts."""
LOG_FILE = "log.jsonl"


class RunFolder:
    """Reads and writes it. Under several processes the main one writes."""

    def __init__(self, config: TrainConfig, digest: str) -> None:
        """`digest` is of config and data (see `train.run_digest`)."""
        self.out = config.out
        self.state = config.out / STATE_FOLDER
        self.resumed = 0
        """Steps done before this process began."""
        self._config = config
        self._digest = digest

    def resume(self) -> Path | None:
        """The checkpoint to go on from; None at the start of a run, whose old log is deleted.

        Raises SweRmError when the folder holds a run of another config or of other data.
        """
        file = self.state / STATE_FILE
        if not file.is_file():
            if parallel.is_main():
                (self.out / LOG_FILE).unlink(missing_ok=True)
            return None
        content = json.loads(file.read_text(encoding="utf-8"))
        refuse_other(self._config, self._digest, content["digest"])
        self.resumed = int(content["step"])
        if parallel.is_main():
            _trim_log(self.out / LOG_FILE, self.resumed)
        return self.state / str(content["folder"])

    def saved(self, step: int) -> None:
        """The checkpoint of a step is whole: name it in the state file, then forget the others."""
        if not parallel.is_main():
            return
        folder = f"checkpoint-{step}"
        content = {"step": step, "folder": folder, "digest": self._digest, "config": self._config.portable()}
        output.put(self.state / STATE_FILE, json.dumps(content))
        for other in self.state.glob("checkpoint-*"):
            if other.name != folder:
                shutil.rmtree(other)

    @staticmethod
    def save_weights(folder: Path, network: Network) -> None:
        """The trained parameters as they are; the frozen ones come from where the run began."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        trained = {name: p.detach().contiguous() for name, p in network.named_parameters() if p.requires_grad}
        save_file(trained, folder / "model.safetensors", metadata={"format": "pt"})

    def save_best(self, step: int, weights: "Mapping[str, torch.Tensor]") -> None:
        """Keep the trained weights of a step as the best so far."""
        if not parallel.is_main():
            return
        from safetensors.torch import save_file

        partial = self.state / f"{BEST_FILE}.partial"
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
        save_file(tensors, partial, metadata={"step": str(step)})
        partial.replace(self.state / BEST_FILE)

    def best(self) -> "tuple[int, dict[str, torch.Tensor]]":
        """The step of the best look and its weights."""
        from safetensors import safe_open

        with safe_open(self.state / BEST_FILE, framework="pt") as file:
            return int(file.metadata()["step"]), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118

    def clean(self) -> None:
        """Forget what only an unfinished run needs: optimiser states, and weights that the checkpoint has now."""
        for folder in self.state.glob("checkpoint-*"):
            shutil.rmtree(folder)
        (self.state / BEST_FILE).unlink(missing_ok=True)
        (self.state / STATE_FILE).unlink(missing_ok=True)

    def save_batch(self, step: Step, examples: Sequence[TrainingExample]) -> Path:
        """Write what a step was made of, to be looked at; the file's path."""
        from safetensors.numpy import save_file

        file = self.state / f"step-{step.number}-not-finite.safetensors"
        chosen = [examples[index] for index in step.members]
        if parallel.is_main():
            self.state.mkdir(parents=True, exist_ok=True)
            arrays = {
                "token_ids": np.concatenate([np.asarray(e.token_ids, np.int32) for e in chosen]),
                "ends": np.cumsum([len(e.token_ids) for e in chosen]),
                "verdict_ids": np.array([e.verdict_id for e in chosen]),
                "weights": np.array([e.weight for e in chosen]),
                "examples": np.array(step.members),
                "rows": np.array([number for number, row in enumerate(step.rows) for _ in row]),
            }
            save_file(arrays, file)
        return file

    def log(self, record: Mapping[str, Any]) -> None:
        """Add a line to the log."""
        if parallel.is_main():
            with (self.out / LOG_FILE).open("a", encoding="utf-8") as log:
                log.write(json.dumps(record) + "\n")

    def logged(self) -> list[dict[str, Any]]:
        """The log so far."""
        file = self.out / LOG_FILE
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.is_file() else []

    def is_finished(self) -> bool:
        """Whether `out` holds this very run, done. Raises SweRmError when it holds another: it is not overwritten."""
        if not (self.out / model.CARD_FILE).is_file():
            return False
        refuse_other(self._config, self._digest, model.read_card(self.out).training.get("digest", ""))
        return True


def refuse_other(config: TrainConfig, digest: str, other: str) -> None:
    """Raises SweRmError unless both digests are of one run."""
    if other != digest:
        refuse_other_settings(config)
        raise SweRmError(f"{config.out}: holds a run of this config on other data or of another base; give another")


def refuse_other_settings(config: TrainConfig) -> None:
    """Raises SweRmError when `out` holds a run, done or cut short, of a config that differs, and names the keys."""
    state = config.out / STATE_FOLDER / STATE_FILE
    if (config.out / model.CARD_FILE).is_file():
        settings = model.read_card(config.out).training.get("config", {})
    elif state.is_file():
        settings = json.loads(state.read_text(encoding="utf-8"))["config"]
    else:
        return
    now = config.portable()
    if keys := sorted(key for key in settings.keys() | now.keys() if settings.get(key) != now.get(key)):
        raise SweRmError(
            f"{config.out}: holds a run of another config (differs in {', '.join(keys)}); give another out"
        )


def _trim_log(log: Path, step: int) -> None:
    """Drop the log's lines after a step: the resumed run writes them again."""
    lines = log.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if _step(line) <= step]
    log.write_text("".join(line + "\n" for line in kept), encoding="utf-8")


def _step(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except ValueError:
        return float("inf")  # cut off by the kill
