"""The run on transformers' Trainer: its item is one optimiser step, a list of packed rows read one after the other."""

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from swe_rm import parallel, reading, schedule, training_data
from swe_rm.errors import SweRmError
from swe_rm.losses import pairwise_slopes
from swe_rm.master_weights import MasterWeights
from swe_rm.model import VerdictModel
from swe_rm.reading import FIELDS, Norms, Reader, Slopes
from swe_rm.recipe import TrainConfig
from swe_rm.run_folder import RunFolder
from swe_rm.schedule import Step
from swe_rm.training_data import TrainingExample
from swe_rm.watching import Watch

if TYPE_CHECKING:
    import torch


class Run(NamedTuple):
    """What a run is made of."""

    config: TrainConfig
    model: VerdictModel
    examples: Sequence[TrainingExample]
    steps: list[Step]
    folder: RunFolder
    watch: Watch | None
    say: Callable[[str], None]
    progress: Callable[[int, int], None]
    """Told after each step how many of how many are done."""


class Work:
    """One step after the other on this process: what the Trainer calls, and what it remembers between calls."""

    def __init__(self, run: Run, trainer: Any) -> None:
        self.run = run
        self.trainer = trainer
        self.among = parallel.group(run.config.sequence_parallel)
        parallel.use_split_attention(run.model.network, self.among)
        self.reader = Reader(run.config, run.examples, run.model.verdict_ids, self.among)
        named = [(name, p) for name, p in run.model.network.named_parameters() if p.requires_grad]
        self.weights = MasterWeights(named, rate=run.config.learning_rate, decay=run.config.weight_decay)
        self.record: dict[str, Any] = {}
        self.started = self.saved = time.monotonic()
        self.due = self.started + training_data.FIRST_SECONDS

    def step(self, network: Any, step: Step) -> "torch.Tensor":
        """Forward and backward over this process's rows, gradients summed over all and clipped; the step's loss.

        Raises SweRmError when the loss or a gradient is not finite; the batch is saved and named first.
        """
        import torch

        config, accelerator = self.run.config, self.trainer.accelerator
        network.train()
        norms = reading.norms(step, self.run.examples)
        mine = self._share(step)
        slopes = self._slopes(network, step, mine)
        figures: Counter[str] = Counter()
        for place, number in enumerate(mine):
            with nullcontext() if place == len(mine) - 1 else self._apart(network):
                parts = self._backward(network, step, number, norms, slopes)
            if number >= 0:
                figures.update({name: part.item() for name, part in parts.items()})
            if parallel.processes() == 1:
                self.weights.collect()
        sums = parallel.summed([figures[name] for name in FIELDS], accelerator)
        found = dict(zip(FIELDS, sums, strict=True)) | {"pairwise": slopes.loss}
        self._stop_unless_finite(step, found)
        masters = network.parameters() if parallel.is_sharded() else self.weights.collect()
        norm = float(accelerator.clip_grad_norm_(masters, config.clip))
        self._stop_unless_finite(step, {"gradient_norm": norm})
        self.record = {"step": step.number, "tokens": step.tokens, **found, "gradient_norm": norm}
        return torch.tensor(self._loss(found), device=accelerator.device)

    def _backward(self, network: Any, step: Step, number: int, norms: Norms, slopes: Slopes) -> dict[str, Any]:
        """One row's gradients; row -1 is row 0 read for nothing, because another process still has a row."""
        members = step.rows[max(0, number)]
        first = sum(len(row) for row in step.rows[: max(0, number)])
        seed = hash((self.run.config.seed, step.number, number))
        losses = self.reader.losses(network, self.reader.row(members), seed, norms, slopes, first)
        scale = parallel.processes() if number >= 0 else 0  # gradients are averaged over processes, ours are summands
        self.trainer.accelerator.backward(losses.total * scale)
        return losses.parts

    def _share(self, step: Step) -> list[int]:
        lengths = [sum(len(self.run.examples[index].token_ids) for index in row) for row in step.rows]
        processes = parallel.processes() // self.among.size
        if processes == 1:
            return list(range(len(lengths)))
        return schedule.shares(lengths, processes)[self.trainer.accelerator.process_index // self.among.size]

    def _apart(self, network: Any) -> Any:
        """No gradients exchanged before a step's last row; with FSDP they are at every row: they would not fit."""
        return nullcontext() if parallel.is_sharded() else self.trainer.accelerator.no_sync(network)

    def _slopes(self, network: Any, step: Step, mine: Sequence[int]) -> Slopes:
        """The pairwise term: every margin is read once without gradients, then each row can go backward alone."""
        import torch

        if not self.run.config.pairwise_weight:
            return Slopes(0.0, {})
        members = step.members
        pairs = schedule.pairs(members, self.run.examples, self.run.model.verdict_ids[0])
        values = [0.0] * len(members)
        for number in mine:
            row = self.reader.row(step.rows[max(0, number)])
            first = sum(len(other) for other in step.rows[: max(0, number)])
            for place, margin in self.reader.margins(network, row).items():
                if number >= 0:
                    values[first + place] = margin
        values = parallel.summed(values, self.trainer.accelerator)
        loss, slopes = pairwise_slopes(torch.tensor(values, dtype=torch.float32), pairs)
        return Slopes(loss, dict(enumerate(slopes.tolist())))

    def _loss(self, found: dict[str, float]) -> float:
        config = self.run.config
        weights = {
            "verdict": float(config.objective == "verdict"),
            "language": 1.0 if config.objective == "language" else config.language_weight,
            "router": config.router_weight,
            "pairwise": config.pairwise_weight,
        }
        return sum(weight * found[name] for name, weight in weights.items())

    def _stop_unless_finite(self, step: Step, figures: dict[str, float]) -> None:
        if all(math.isfinite(value) for value in figures.values()):
            return
        file = self.run.folder.save_batch(step, self.run.examples)
        what = "gradient" if "gradient_norm" in figures else "loss"
        raise SweRmError(
            f"{self.run.config.name}: the {what} of step {step.number} is not finite: {figures}; its batch is in {file}"
        )

    def after_step(self, control: Any, step: int) -> None:
        """Look at the dev attempts, decide whether to save and whether to stop, and say how far the run is."""
        now = time.monotonic()
        watch, total = self.run.watch, len(self.run.steps)
        if watch is not None and watch.is_due(step, total):
            figures = self._look(watch)
            self.record |= figures
            if watch.is_better(figures):
                self.run.folder.save_best(step, self.trained())
            control.should_training_stop |= watch.is_over()
        self.run.progress(step, total)
        late = now - self.saved > 60 * self.run.config.checkpoint_minutes
        if parallel.summed([float(late and parallel.is_main())], self.trainer.accelerator)[0]:
            control.should_save = True
            self.saved = now
        if now > self.due or step == total or control.should_training_stop:
            self.run.say(f"{self.run.config.name}: step {step}/{total} {_told(self.record)}{self._left(step)}")
            self.due = now + training_data.NEXT_SECONDS

    def _look(self, watch: Watch) -> dict[str, float]:
        accelerator, among = self.trainer.accelerator, self.among
        processes = parallel.processes() // among.size
        reader = Reader(self.run.config, watch.examples, self.run.model.verdict_ids, among)
        place = accelerator.process_index // among.size
        return watch.look(self.trainer.model_wrapped, reader, accelerator, processes, place)

    def _left(self, step: int) -> str:
        done = step - self.run.folder.resumed
        seconds = (time.monotonic() - self.started) / max(1, done) * (len(self.run.steps) - step)
        return f", {math.ceil(seconds / 60)} min left" if seconds > 60 else ""

    def rate_shares(self) -> list[float]:
        """The rate of each step over the peak; the last twice, for the schedule is asked once more after it."""
        config, steps = self.run.config, len(self.run.steps)
        rates = [schedule.learning_rate(step, steps, config) for step in range(1, steps + 1)]
        return [rate / config.learning_rate for rate in (*rates, rates[-1])]

    def logged(self, rate: float) -> dict[str, float]:
        """Add the step's figures to the log; the same for whatever else reports them."""
        seconds = round(time.monotonic() - self.started, 2)
        record = self.record | {"rate": rate, "seconds": seconds}
        self.run.folder.log(record)
        return {name: value for name, value in record.items() if name != "step"}

    def trained(self) -> "dict[str, torch.Tensor]":
        """The trained weights in fp32 by name; with FSDP in the main process alone, and all if it has no adapters."""
        if parallel.is_sharded():
            return parallel.gathered(self.trainer.model, trained_alone=self.run.config.lora is not None)
        return self.weights.named()


def _told(record: dict[str, Any]) -> str:
    return " ".join(f"{name} {value:.4g}" for name, value in record.items() if isinstance(value, float))


def make(run: Run) -> Any:
    """The Trainer of a run, its `work` attached."""
    import transformers

    logging: Any = transformers.utils.logging
    logging.set_verbosity_error()
    trainer = _trainer_class()(model=run.model.network, args=_arguments(run), train_dataset=_Items(run.steps))
    trainer.remove_callback(transformers.trainer_callback.PrinterCallback)
    trainer.work = Work(run, trainer)
    trainer.add_callback(_follower(trainer))
    return trainer


def _trainer_class() -> Any:
    """Subclassed here: nothing heavy is imported with this module."""
    import torch
    import transformers

    class VerdictTrainer(transformers.Trainer):
        """A Trainer whose item is a step, and whose optimiser and schedule are those of its `work`."""

        work: Work

        def create_accelerator_and_postprocess(self) -> None:
            super().create_accelerator_and_postprocess()
            parallel.refuse_other_engines(self.accelerator)
            parallel.shard_on_cpu(self.accelerator)
            parallel.reduce_in_fp32(self.accelerator)
            self.is_fsdp_enabled = getattr(self.accelerator.state, "fsdp_plugin", None) is not None

        def get_train_dataloader(self) -> Any:
            steps: Any = self.train_dataset
            return torch.utils.data.DataLoader(steps, batch_size=1, collate_fn=lambda items: items[0])

        def create_optimizer(self, model: Any = None) -> Any:
            if self.optimizer is None:
                self.optimizer = self.work.weights.optimizer
            return self.optimizer

        def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
            over = self.work.weights.optimizer if self.optimizer is None else self.optimizer
            shares = self.work.rate_shares()
            self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(over, lambda done: shares[done])
            self._created_lr_scheduler = True
            return self.lr_scheduler

        def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Any:
            return self.work.step(model, inputs)

        def floating_point_ops(self, inputs: Any) -> int:
            return 0

        def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
            if not parallel.is_sharded() and self.args.should_save and output_dir:
                self.work.run.folder.save_weights(Path(output_dir), self.model)

        def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
            if "learning_rate" in logs:  # else it is the Trainer's summary of the run
                super().log(self.work.logged(logs["learning_rate"]))
                self.state.log_history.clear()  # log.jsonl has it

    return VerdictTrainer


def _follower(trainer: Any) -> Any:
    """Hands the Trainer's events on to its work."""
    import transformers

    class Follower(transformers.TrainerCallback):
        """After each step and each save."""

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            trainer.work.after_step(control, state.global_step)

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            trainer.accelerator.wait_for_everyone()
            trainer.work.run.folder.saved(state.global_step)

    return Follower()


class _Items:
    """The steps as a data set: DataLoader would take a list of tuples apart."""

    def __init__(self, steps: list[Step]) -> None:
        self._steps = steps

    def __len__(self) -> int:
        return len(self._steps)

    def __getitem__(self, index: int) -> Step:
        return self._steps[index]


def _arguments(run: Run) -> Any:
    import torch
    import transformers

    config = run.config
    arguments = transformers.TrainingArguments(
        output_dir=str(run.folder.state),
        max_steps=len(run.steps),
        per_device_train_batch_size=1,
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="no",  # saved by the clock
        max_grad_norm=0.0,  # clipped in the step
        learning_rate=config.learning_rate,
        bf16=config.precision == "bfloat16" and parallel.is_sharded(),  # elsewhere the network itself is bf16
        use_cpu=not torch.cuda.is_available(),
        seed=config.seed,
        report_to=list(config.report_to) or "none",
        run_name=config.name,
        disable_tqdm=True,
        log_level="error",
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        ddp_find_unused_parameters=False,
    )
    if arguments.n_gpu > 1:  # without a launcher the Trainer would spread one row over all GPUs
        arguments._n_gpu = 1
    return arguments
