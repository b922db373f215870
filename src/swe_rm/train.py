"""A training run from its config to a checkpoint: read, render, optimise (on transformers' Trainer), save."""

import gc
import hashlib
import importlib.util
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from swe_rm import adapters, made_with, model, parallel
from swe_rm.errors import MissingExtraError, SweRmError
from swe_rm.mix import manifest
from swe_rm.model import Network, VerdictModel
from swe_rm.recipe import TrainConfig
from swe_rm.render import rendered_text, template_hash
from swe_rm.run_folder import IDS_FOLDER, STATE_FOLDER, RunFolder, refuse_other_settings
from swe_rm.schedule import plan
from swe_rm.training_data import TrainingExample, read_dev, read_labelled, read_tasks, render_examples, told
from swe_rm.trajectory import Labelled
from swe_rm.vocabulary import Vocabulary
from swe_rm.watching import Watch
from swe_rm.weights import digest as weights_digest


def train(
    config: TrainConfig,
    say: Callable[[str], None] = print,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Run a config to its end and return the checkpoint folder; a run that was cut short goes on where it saved.

    `progress` is told after each step how many of how many are done.

    Raises SweRmError when the folder holds a run of another config (resume would mix two) and when the loss is not
    finite (nothing more is saved).
    """
    say = say if parallel.is_main() else _silent
    refuse_other_settings(config)
    _require_packages(config)
    tasks = read_tasks(config)
    labelled = read_labelled(config, say, tasks)
    if not labelled:
        raise SweRmError("no labelled attempt is left to train on")
    watched = read_dev(config, tasks, say) if config.dev else []
    verdict_model = initial_model(config, labelled, say)
    renderer = verdict_model.renderer(config.policy)
    with parallel.main_first():
        examples = render_examples(config, labelled, renderer, say, config.out / STATE_FOLDER / IDS_FOLDER)
    plain = config.model_copy(update={"balance": "none", "prefix_rate": 0.0})
    dev = render_examples(plain, watched, renderer, say)
    return fit(config, verdict_model, examples, say, dev, progress)


def initial_model(
    config: TrainConfig, labelled: Sequence[Labelled], say: Callable[[str], None] = print
) -> VerdictModel:
    """The model a run starts from: a checkpoint, a pretrained folder, or random weights.

    fp32, but for frozen weights that run in bf16 and are not sharded: those are never fp32.
    """
    if config.base is None:
        return _random(config, _vocabulary(config, labelled, say))
    frozen = config.lora is not None and not parallel.is_sharded()
    options: dict[str, Any] = {"dtype": config.precision if frozen else "float32"}
    if parallel.is_sharded():
        options["device"] = "cpu"
    elif parallel.processes() > 1:
        options["device"] = parallel.own_device()
    return _based(config, config.base, options)


def _random(config: TrainConfig, vocabulary: Vocabulary) -> VerdictModel:
    return model.create(config.shape, vocabulary, config.policy, name=config.name, seed=config.seed)


def _based(config: TrainConfig, base: Path, options: dict[str, Any]) -> VerdictModel:
    if (base / model.CARD_FILE).is_file():
        return model.load(base, **options)
    return model.prepare(base, config.policy, name=config.name, **options)


def _vocabulary(config: TrainConfig, labelled: Sequence[Labelled], say: Callable[[str], None]) -> Vocabulary:
    if config.vocabulary is not None:
        return Vocabulary.load(config.vocabulary)
    texts = (rendered_text(item.trajectory)[:_FIT_TEXT] for item in told(labelled, "vocabulary fitted on", say))
    return Vocabulary.train(texts, config.vocabulary_size)


_FIT_TEXT = 20_000
"""Characters of each attempt the vocabulary is fitted on."""


def fit(
    config: TrainConfig,
    verdict_model: VerdictModel,
    examples: Sequence[TrainingExample],
    say: Callable[[str], None] = print,
    dev: Sequence[TrainingExample] = (),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """The optimisation itself, on examples already rendered, from what `initial_model` gave. See `train`."""
    _require_packages(config)
    from swe_rm import trainer

    digest = run_digest(config, [*examples, *dev] if dev else examples)
    folder = RunFolder(config, digest)
    if folder.is_finished():
        say(f"{config.name}: {config.out} holds the finished run of this config on these examples")
        return config.out
    config.out.mkdir(parents=True, exist_ok=True)
    steps = plan(examples, config)
    if not steps:
        raise SweRmError(f"{config.name}: {config.epochs:g} epochs of {len(examples)} examples show none")
    tuner = _ready(verdict_model.network, config)
    watch = Watch(config, dev, verdict_model.verdict_ids[0]) if dev else None
    checkpoint = folder.resume()
    if checkpoint is not None:
        say(f"{config.name}: resumed after step {folder.resumed} of {len(steps)}")
    run = trainer.Run(config, verdict_model, examples, steps, folder, watch, say, progress)
    made = trainer.make(run)
    if checkpoint is not None and watch is not None:
        watch.restore(parallel.from_main(folder.logged), folder.resumed)
    if not (checkpoint and watch and watch.is_over()):  # killed after its last look and before it was written
        made.train(resume_from_checkpoint=checkpoint and str(checkpoint))
    keeps_best = watch is not None and watch.keeps_best
    weights = {} if keeps_best else made.work.trained()
    parallel.part(made.accelerator)
    del made, run
    gc.collect()  # what still holds the group's threads: one that wants Python while it ends aborts the process
    if not parallel.is_main():
        return config.out
    about = {"examples": len(examples), "tokens": sum(step.tokens for step in steps), "digest": digest}
    if keeps_best:
        about["best_step"], weights = folder.best()
    network = _with_weights(verdict_model, weights, tuner, config)
    training = {**about, **_provenance(config, verdict_model)}
    card = verdict_model.card.model_copy(
        update={"name": config.name, "version": config.version, "policy": config.policy, "training": training}
    )
    VerdictModel(network, verdict_model.vocabulary, card).save(config.out)
    folder.clean()
    return config.out


def _ready(network: Network, config: TrainConfig) -> Any:
    """Bring a network into the precision of training and mark what trains; peft's tuner, if there are adapters."""
    import torch

    network.to(torch.float32 if parallel.is_sharded() else getattr(torch, config.precision))
    tuner = adapters.choose(network, config)
    if config.gradient_checkpointing:
        renamed = getattr(network, "activation_checkpointing_enable", None)  # transformers 5.20 and later
        (renamed or network.gradient_checkpointing_enable)({"use_reentrant": False})
    return tuner


def _with_weights(verdict_model: VerdictModel, weights: dict[str, Any], tuner: Any, config: TrainConfig) -> Network:
    """The network whole again, ready to score: trained weights in, adapters merged; fp32 unless most is frozen."""
    import torch

    network = verdict_model.network
    if parallel.is_sharded():
        network = _unsharded(verdict_model, config)
        tuner = adapters.choose(network, config)
    elif tuner is None:
        network.to(torch.float32)
    network.load_state_dict(weights, strict=False, assign=parallel.is_sharded())
    network.tie_weights()
    return adapters.merge(network, tuner).eval()


def _unsharded(verdict_model: VerdictModel, config: TrainConfig) -> Network:
    """A network to take gathered weights: empty, or beside adapters what the run began with, read once more."""
    import torch
    import transformers

    if config.lora is None:
        with torch.device("meta"):
            return transformers.Qwen3MoeForCausalLM(verdict_model.network.config)
    if config.base is None:
        begun = _random(config, verdict_model.vocabulary)
    else:
        begun = _based(config, config.base, {"dtype": config.precision, "device": "cpu"})
    return begun.network.to(getattr(torch, config.precision))


def _provenance(config: TrainConfig, verdict_model: VerdictModel) -> dict[str, Any]:
    """What the card says of where weights come from."""
    yes, no = verdict_model.verdict_ids
    mixes = [mix for path in config.data if (mix := _mix_digest(path))]
    return {
        "config": config.portable(),
        "config_digest": config.digest(),
        "template_hash": template_hash(),
        "verdict_ids": {"yes": yes, "no": no},
        "mix_digests": mixes,
        "processes": parallel.processes(),
        "sharded": parallel.is_sharded(),
        "commit": made_with.commit(),
        "versions": made_with.versions(("swe-rm", "torch", "transformers", "accelerate")),
    }


def _mix_digest(path: Path) -> str | None:
    """Digest of the mix whose part, or whole, this folder is."""
    for folder in (path, path.parent):
        file = folder / manifest.NAME
        if file.is_file():
            return hashlib.sha256(file.read_bytes()).hexdigest()[:16]
    return None


def run_digest(config: TrainConfig, examples: Sequence[TrainingExample]) -> str:
    """Hex digest of a config, of the weights it starts from and of every example it is run on."""
    found = hashlib.sha256(config.digest().encode())
    if config.base is not None:
        found.update(weights_digest(config.base))
    for example in examples:
        about = (len(example.token_ids), example.verdict_id, example.weight, example.task, example.policy)
        found.update(json.dumps(about).encode())
        found.update(np.asarray(example.token_ids, "<i4").tobytes())
    return found.hexdigest()[:16]


def _require_packages(config: TrainConfig) -> None:
    """Raises MissingExtraError or SweRmError naming the package a run needs and this machine lacks."""
    for package in ("torch", "transformers", "accelerate", *(("peft",) if config.lora else ())):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(package, "train")
    for package in config.report_to:
        if importlib.util.find_spec(package) is None:
            raise SweRmError(f"report_to: {package} is not installed: pip install {package}")


def _silent(_: str) -> None:
    return None
