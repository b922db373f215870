"""A run from its config to its result: warm up, train with TRL's GRPOTrainer, measure by running tests."""

import hashlib
import importlib.util
import os
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any, get_args

from swe_rm.errors import MissingExtraError, SweRmError
from swe_rm.playground.world import PlaygroundTask, Split, chosen, read_world
from swe_rm.rl import policy
from swe_rm.rl.config import RLConfig
from swe_rm.rl.field import Asked, Field, Played
from swe_rm.rl.journal import Journal
from swe_rm.rl.measuring import measured, percent
from swe_rm.rl.rewarding import Rewards, bridge_to
from swe_rm.rl.warmup import warm
from swe_rm.rl.wording import PAD, Order, Wording

_RENAMED = ".*gradient_checkpointing` is deprecated"
"""transformers says so of what TRL gives it."""
_RISE = 20
"""The learning rate rises over one step in so many: Adam's first steps move every weight by all of it."""


def train(config: RLConfig, say: Callable[[str], None] = print) -> dict[str, Any]:
    """Run a config to its end and return the result; a run that was cut short goes on where it saved, a finished one is
    read.

    Raises MissingExtraError for packages that are missing, SweRmError when the folder holds another run or the verifier
    gives no score.
    """
    _require_packages()
    tasks = list(read_world(config.world).values())
    if (n := sum(task.split == "train" for task in tasks)) < config.groups:
        raise SweRmError(f"groups: {config.groups} different tasks a batch, and {config.world} has {n} to train on")
    journal = Journal(config)
    if (result := journal.result()) is not None:
        say(f"{config.name}: {config.out} holds the finished run of this config")
        return result
    began, used = time.monotonic(), sum(os.times()[:4])
    config.memory_file.parent.mkdir(parents=True, exist_ok=True)
    with (
        journal.alone(),
        Field(config.world, config.workers, config.step_limit, config.memory_file) as field,
        bridge_to(config.verifier) as bridge,
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", _RENAMED, FutureWarning)
        network, wording = policy.load(warm(config, tasks, field, say))
        if bridge is not None:
            bridge.client.verifier = journal.verifier
        run = _Run(config, tasks, field, journal, network, wording, say)
        checkpoint = journal.begin()
        trainer = _trainer(run, Rewards(config.shaping(), config.group_size, bridge, run.note_batch))
        if checkpoint is None:
            run.look(0, config.evaluation.final_attempts)
        else:
            say(f"{config.name}: resumed after step {journal.resumed}")
        run.on_first_score = lambda: journal.note_run({"verifier": bridge and bridge.client.verifier})
        trainer.train(resume_from_checkpoint=checkpoint and str(checkpoint))
        policy.save(network, wording, config.out / "policy")
        result = run.result()
    used = sum(os.times()[:4]) - used
    result |= {"seconds": round(time.monotonic() - began, 1), "cpu_seconds": round(used, 1)}
    journal.finish(result)
    return result


class _Run:
    """What a run is made of, and what TRL's trainer calls back."""

    def __init__(
        self,
        config: RLConfig,
        tasks: Sequence[PlaygroundTask],
        field: Field,
        journal: Journal,
        network: Any,
        wording: Wording,
        say: Callable[[str], None],
    ) -> None:
        self.config = config
        self.journal = journal
        self.network = network
        self.wording = wording
        self.training = {task.instance_id: task for task in tasks if task.split == "train"}
        self.on_first_score: Callable[[], None] | None = None
        self._field = field
        self._say = say
        self._step = 0
        most = config.evaluation.tasks
        known = {task.instance_id: task for task in tasks}
        self._looked_at = [task for split in get_args(Split) for task in chosen(known, split, most=most)]

    def roll_out(self, prompts: list[str], trainer: Any) -> dict[str, Any]:
        """TRL's `rollout_func`: an attempt for each prompt, which is the name of a task; groups stand together."""
        self._step = trainer.state.global_step
        seed = f"{self.config.seed}\n{self._step}"
        asked = []
        for name in prompts:
            task = self.training[name]
            asked.append(Asked(task, Order.shuffled(self._field.offered(task), f"{seed}\n{name}")))
        speaker = policy.Speaker(
            self.network, self.wording.ids[PAD], int.from_bytes(hashlib.sha256(seed.encode()).digest()[:6])
        )
        played: list[Played] = self._field.play(asked, self.wording, speaker, self.config.name)
        return {
            "prompt_ids": [[*one.prompt] for one in played],
            "completion_ids": [[*one.tokens] for one in played],
            "env_mask": [[*one.own] for one in played],
            "logprobs": None,  # those under the trainer's own weights, which it computes
            "played": played,
        }

    def note_batch(self, record: dict[str, Any]) -> None:
        """Log what came of a batch of attempts: `step` counts the optimiser's steps when it is used up."""
        if self.on_first_score is not None:
            self.on_first_score()
            self.on_first_score = None
        self.journal.log({"step": self._step + self.config.updates, "kind": "batch", **record})

    def note_update(self, step: int, logs: dict[str, Any]) -> None:
        """Log what the optimiser did."""
        wanted = ("loss", "grad_norm", "entropy", "clip_ratio/region_mean", "frac_reward_zero_std")
        found = {name: logs[name] for name in wanted if name in logs}
        if found:
            self.journal.log({"step": step, "kind": "update", **found})

    def look(self, step: int, attempts: int, anew: int = 0) -> None:
        """Measure the policy as it is, and log it."""
        found = measured(self.network, self.wording, self._looked_at, self._field, self.config, attempts, anew)
        self.journal.log({"step": step, "kind": "look", "attempts": attempts, **found._asdict()})
        rates = ", ".join(f"{split} {percent(tally['rate'])}" for split, tally in found.splits.items())
        self._say(f"{self.config.name}: step {step}: {rates}")
        if self._field.trouble:
            self._say(f"{self.config.name}: {self.config.memory_file} {self._field.trouble}: commands are run again")
        if found.differ:
            self._say(f"{self.config.name}: {found.differ} of {found.anew} attempts went otherwise when run anew")

    def result(self) -> dict[str, Any]:
        """The first and the last look, and the sums of what was seen on the way."""
        looks = [record for record in self.journal.logged() if record["kind"] == "look"]
        batches = [record for record in self.journal.logged() if record["kind"] == "batch"]
        counted = (
            "attempts", "resolved", "unknown", "unfinished", "empty", "edits_tests", "claims_falsely", "loops",
            "unrewarded", "groups", "uniform_groups",
        )  # fmt: skip
        return {
            "name": self.config.name,
            "verifier": self.journal.verifier,
            "start": looks[0]["splits"],
            "final": looks[-1]["splits"],
            "anew": looks[-1]["anew"],
            "differ": looks[-1]["differ"],
            "training": {name: sum(record[name] for record in batches) for name in counted},
        }


def _trainer(run: _Run, rewards: Rewards) -> Any:
    """TRL's GRPOTrainer for a run; with level `sequence` it is GSPO."""
    from datasets import Dataset
    from transformers import PrinterCallback, TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    config = run.config
    steps = config.batches * config.updates

    class Watching(TrainerCallback):
        """Looks at the policy now and then."""

        def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            step = state.global_step
            if step == steps:
                run.look(step, config.evaluation.final_attempts, config.evaluation.anew)
            elif step % (config.evaluation.every * config.updates) == 0:
                run.look(step, config.evaluation.attempts)

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **more: Any) -> None:
            run.note_update(state.global_step, logs or {})

    arguments = GRPOConfig(
        output_dir=str(run.journal.state),
        per_device_train_batch_size=config.groups * config.group_size // config.updates,
        num_generations=config.group_size,
        steps_per_generation=config.updates,
        max_steps=steps,
        learning_rate=config.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=-(-steps // _RISE),
        beta=0.0,
        loss_type="grpo",
        importance_sampling_level=config.level,
        epsilon=config.clip[0],
        epsilon_high=config.clip[1],
        temperature=1.0,
        max_completion_length=3 * config.step_limit,
        gradient_checkpointing=False,
        bf16=False,
        use_cpu=not _has_gpu(),
        seed=config.seed,
        # A batch of attempts serves several updates: what is saved between them could not go on with it.
        save_steps=config.save_every * config.updates,
        save_total_limit=2,
        logging_steps=1,
        report_to=[],
        disable_tqdm=True,
    )
    made = GRPOTrainer(
        model=run.network,
        reward_funcs=rewards,
        args=arguments,
        train_dataset=Dataset.from_dict({"prompt": [*run.training]}),
        processing_class=policy.tokenizer(run.wording),
        rollout_func=run.roll_out,
        callbacks=[Watching()],
    )
    made.remove_callback(PrinterCallback)
    return made


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _require_packages() -> None:
    for package in ("torch", "transformers", "datasets", "trl"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(package, "rl")
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")  # its rollout_func is experimental, and would say so
