"""Cross-validate the shipped verifier's parts over folds of tasks, and train the ones that ship.

    python scripts/cross_validate.py configs/verifier.yaml --select TRAIN DEV --out runs/cv [--jobs 2] [--only 0]

Every fold trains as the config says on the attempts at the other folds' tasks and scores its own; the run `final`
trains on the config's own data and scores the rest. A run that was cut short goes on where it saved.
"""

import argparse
import json
import multiprocessing
from collections.abc import Sequence
from pathlib import Path

from swe_rm import batch, model, train, training_data
from swe_rm.recipe import TrainConfig
from swe_rm.render import Renderer
from swe_rm.trajectory import Labelled, Outcome
from swe_rm.vocabulary import Vocabulary

FOLDS = 3
"""A fold of the language model takes half an hour of a core; the cheap verifiers have five."""


class Pool:
    """Everything read and rendered once, shared with the workers by fork."""

    def __init__(self, config: TrainConfig, select: Sequence[Path]) -> None:
        own = training_data.read_labelled(config)
        keys = {item.trajectory.attempt_id for item in own}
        every = training_data.read_labelled(config.model_copy(update={"data": tuple(select), "auxiliary": ()}))
        self.labelled: list[Labelled] = own + [i for i in every if i.trajectory.attempt_id not in keys]
        self.own = set(range(len(own)))
        self.judged = [n for n, i in enumerate(self.labelled) if i.trajectory.messages or n >= len(own)]
        vocabulary = Vocabulary.load(config.base or config.vocabulary or Path(), None)
        renderer = Renderer(vocabulary, config.policy)
        unweighted = config.model_copy(update={"balance": "none"})
        self.examples = training_data.render_examples(unweighted, self.labelled, renderer)


def run(pool: Pool, config: TrainConfig, fold: int | None) -> None:
    """Train one fold (or the final model) and score what it has not seen."""
    import torch

    torch.set_num_threads(1)
    name = "final" if fold is None else f"fold-{fold}"
    config = config.model_copy(update={"out": config.out / name})
    if (config.out / "held_out.jsonl").is_file():
        return
    if fold is None:
        chosen = sorted(pool.own)
    else:
        chosen = [n for n, i in enumerate(pool.labelled) if i.trajectory.task.fold(FOLDS) != fold]
    items = [pool.labelled[n] for n in chosen]
    weights = training_data.policy_weights(items) if config.balance == "policy" else [1.0] * len(items)
    examples = [pool.examples[n]._replace(weight=w) for n, w in zip(chosen, weights, strict=True)]
    verdict_model = train.initial_model(config, items)
    train.fit(config, verdict_model, examples, lambda line: print(f"{name}: {line}", flush=True))
    seen = set(chosen)
    held_out = [n for n in pool.judged if n not in seen]
    score(pool, config.out, held_out)


def score(pool: Pool, folder: Path, held_out: Sequence[int]) -> None:
    """Write the raw verdicts of a checkpoint on the attempts it has not seen."""
    trained = model.load(folder)
    sequences = [pool.examples[n].token_ids for n in held_out]
    lines = []
    for row in batch.rows(sequences, batch.by_length(sequences), 8_192):
        for index, (yes, no) in zip(row.members, trained.logprobs(row), strict=True):
            item = pool.labelled[held_out[index]]
            resolved = item.outcome is Outcome.RESOLVED
            record = {"attempt_id": item.trajectory.attempt_id, "yes": yes, "no": no, "resolved": resolved}
            lines.append(json.dumps(record))
    (folder / "held_out.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Run every fold and the final model, `--jobs` at a time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--select", type=Path, nargs="+", required=True, help="attempts the folds are drawn from")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", nargs="+", default=[*map(str, range(FOLDS)), "final"], help="folds, or final")
    arguments = parser.parse_args()
    config = TrainConfig.load(arguments.config, [*arguments.overrides, f"out={arguments.out}"])
    pool = Pool(config, arguments.select)
    print(f"{len(pool.labelled)} attempts, {sum(len(e.token_ids) for e in pool.examples)} tokens", flush=True)
    context = multiprocessing.get_context("fork")
    waiting: list[int | None] = [None if name == "final" else int(name) for name in arguments.only]
    running: list[multiprocessing.context.ForkProcess] = []
    while waiting or running:
        while waiting and len(running) < arguments.jobs:
            worker = context.Process(target=run, args=(pool, config, waiting.pop(0)))
            worker.start()
            running.append(worker)
        running[0].join(timeout=2)
        if any(worker.exitcode not in (None, 0) for worker in running):
            raise SystemExit("a run failed; see its message above")
        running = [worker for worker in running if worker.exitcode is None]


if __name__ == "__main__":
    main()
