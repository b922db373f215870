"""One arm with one seed, in a process of its own: train, judge the attempts held out, leave what was measured.

`python -m swe_rm.experiment.cell CELL.json`
"""

import random
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path

from pydantic import Field

from swe_rm import output, training_data
from swe_rm.errors import RecordError, SweRmError
from swe_rm.experiment.setting import CALIBRATE, HELD, TRAIN, Files, Setting
from swe_rm.experiment.view import shown
from swe_rm.figures import Measured, pool_of
from swe_rm.mix.task_rows import read_task_rows, with_statement
from swe_rm.recipe import TrainConfig
from swe_rm.scored import Scored
from swe_rm.scoring import score
from swe_rm.sources import open_pile
from swe_rm.trajectory import Labelled, Noun, Outcome
from swe_rm.verdict import Verdict, Verifier

RESULT_FILE = "result.json"
_OTHER = {Outcome.RESOLVED: Outcome.UNRESOLVED, Outcome.UNRESOLVED: Outcome.RESOLVED}
_MODEL_FOLDER = "model"


class Cell(Noun):
    """What a process is told."""

    name: str
    """EXPERIMENT/ARM/seed-N, in lines and errors."""
    arm: str
    digest: str
    """Of all that decides the result."""
    seed: int
    setting: Setting
    files: Files
    attempts: dict[str, tuple[str, ...]]
    """Part -> attempt ids, in the order of the draw."""
    warm: Path | None = None
    """The warmed-up model that the language model starts from; made by the first cell that finds it missing."""
    warmup: TrainConfig | None = None
    warmup_attempts: tuple[str, ...] = ()
    out: Path


class Result(Noun):
    """What a cell found."""

    digest: str
    verifier: str
    """name@version."""
    measured: Measured
    n_trained_on: int
    resolved_share: float
    """Of the attempts trained on."""
    seconds: dict[str, float]
    """warm_up (waiting for another's counts), train and judge."""
    tokens: dict[str, float | None] = Field(default={})
    """Mean tokens that were read of an attempt, and that were cut from it; None for verifiers that count none."""


def result(cell: Cell) -> Result | None:
    """What a cell left; None where it is not finished. Raises RecordError where the folder holds something else."""
    file = cell.out / RESULT_FILE
    if not file.is_file():
        return None
    found = read_result(file)
    if found.digest != cell.digest:
        raise RecordError(str(file), "digest", f"is {found.digest}, not {cell.digest}")
    return found


def read_result(file: Path) -> Result:
    """Raises RecordError for a file that no cell wrote."""
    try:
        return Result.model_validate_json(file.read_bytes())
    except (OSError, ValueError) as error:
        raise RecordError(str(file), "", f"is no result of a cell: {str(error).splitlines()[0]}") from None


def run(cell: Cell) -> Result:
    """Train and measure, or go on where a killed process saved. Raises SweRmError."""
    if (found := result(cell)) is not None:
        return found
    known = _read(cell)
    began = time.monotonic()
    if cell.warm is not None and not cell.warm.is_dir():
        _warm_up(cell, known, cell.warm)
    begun = time.monotonic()
    verifier, train_items = _trained(cell, known)
    trained = time.monotonic()
    held = _held([known[one] for one in cell.attempts[HELD]], cell.setting)
    verdicts = _verdicts(cell, held, verifier)
    kept = Scored.of(held, verdicts, lengths=False).in_order().measurable()
    pool = pool_of(kept, "exact")
    found = Result(
        digest=cell.digest,
        verifier=verifier.name,
        measured=Measured.of(kept, pool, kept.scores, "exact"),
        n_trained_on=len(train_items),
        resolved_share=sum(item.outcome is Outcome.RESOLVED for item in train_items) / len(train_items),
        seconds={"warm_up": begun - began, "train": trained - begun, "judge": time.monotonic() - trained},
        tokens={name: _mean(verdicts, name) for name in ("prompt_tokens", "truncated_tokens")},
    )
    _write(cell.out, found)
    return found


def _read(cell: Cell) -> Mapping[str, Labelled]:
    """The attempts of all parts by id, with the issue from the task's row where their source does not show it."""
    wanted = {one for ids in cell.attempts.values() for one in ids} | {*cell.warmup_attempts}
    tasks = read_task_rows(cell.files.tasks) if cell.files.tasks else {}
    found = {
        item.trajectory.attempt_id: with_statement(item, tasks)
        for item in open_pile(cell.files.data, cell.files.labels).attempts()
        if item.trajectory.attempt_id in wanted
    }
    if missing := len(wanted) - len(found):
        raise SweRmError(f"{cell.name}: {missing:,} of {len(wanted):,} attempts are gone: the files have changed")
    return found


def _held(items: Sequence[Labelled], setting: Setting) -> list[Labelled]:
    """Those to measure on: by the policies that are judged, and not more than are wanted but for the last task's."""
    tasks: dict[str, list[Labelled]] = {}
    for item in items:
        if fnmatchcase(item.trajectory.origin.policy, setting.judged):
            tasks.setdefault(item.trajectory.task.instance_id, []).append(item)
    chosen: list[Labelled] = []
    for task in sorted(tasks, key=lambda name: sha256(name.encode()).digest()):
        if setting.judged_most is not None and len(chosen) >= setting.judged_most:
            break
        chosen += sorted(tasks[task], key=lambda item: item.trajectory.attempt_id)[: setting.judged_per_task]
    return chosen


def _part(cell: Cell, known: Mapping[str, Labelled], part: str) -> list[Labelled]:
    return [_as_shown(known[one], cell.setting) for one in cell.attempts[part]]


def _as_shown(item: Labelled, setting: Setting) -> Labelled:
    return item.model_copy(update={"trajectory": shown(item.trajectory, setting.view)})


def _trained(cell: Cell, known: Mapping[str, Labelled]) -> tuple[Verifier, list[Labelled]]:
    dice = random.Random(f"noise {cell.seed}")
    items = [
        item.model_copy(update={"outcome": _OTHER[item.outcome]}) if dice.random() < cell.setting.label_noise else item
        for item in _part(cell, known, TRAIN)
    ]
    verifier = _model(cell, items) if cell.setting.verifier == "model" else _fitted(cell, items)
    return _calibrated(cell, known, verifier), items


def _model(cell: Cell, items: Sequence[Labelled]) -> Verifier:
    from swe_rm.verifiers import load_verifier

    config = cell.setting.train_of(cell.files, cell.seed, cell.out / _MODEL_FOLDER, Path("attempts"), cell.warm)
    _fit(config, items)
    return load_verifier(str(config.out))


def _fit(config: TrainConfig, items: Sequence[Labelled]) -> None:
    from swe_rm import train

    model = train.initial_model(config, items)
    examples = training_data.render_examples(config, items, model.renderer(config.policy))
    train.fit(config, model, examples)


def _warm_up(cell: Cell, known: Mapping[str, Labelled], folder: Path) -> None:
    """The model that all arms start from: next tokens of the attempts to train on, labels unused."""
    assert cell.warmup is not None
    making = folder.with_name(f"{folder.name}.making")
    with output.alone(folder.parent, wait=True):
        if not folder.is_dir():  # another experiment has not made it meanwhile
            _fit(cell.warmup.model_copy(update={"out": making}), [known[one] for one in cell.warmup_attempts])
            making.rename(folder)


def _fitted(cell: Cell, items: Sequence[Labelled]) -> Verifier:
    from swe_rm.verifiers.features import Features
    from swe_rm.verifiers.words import Words

    balanced = cell.setting.train.balance == "policy"
    weights = training_data.policy_weights(items) if balanced else [1.0] * len(items)
    if cell.setting.verifier == "words":
        return Words.fit(items, weights, section="tail", version=cell.digest)
    return Features.fit(items, weights, version=cell.digest, seed=cell.seed)


def _calibrated(cell: Cell, known: Mapping[str, Labelled], verifier: Verifier) -> Verifier:
    from swe_rm.calibrate import fit
    from swe_rm.verifiers.calibrated import Calibrated, examples

    if cell.setting.calibrate is None:
        return verifier
    items = _part(cell, known, CALIBRATE)
    found = examples(items, score([item.trajectory for item in items], verifier))
    return Calibrated(verifier, fit(cell.setting.calibrate, found.scores, found.resolved))


def _verdicts(cell: Cell, held: Sequence[Labelled], verifier: Verifier) -> dict[str, Verdict]:
    """By the id of the whole attempt, whatever of it was shown: so all arms are measured on the same attempts."""
    as_shown = [_as_shown(item, cell.setting).trajectory for item in held]
    found = score(as_shown, verifier)
    ids = [(item.trajectory.attempt_id, part.attempt_id) for item, part in zip(held, as_shown, strict=True)]
    return {whole: found[part].model_copy(update={"attempt_id": whole}) for whole, part in ids}


def _mean(verdicts: Mapping[str, Verdict], name: str) -> float | None:
    values = [value for verdict in verdicts.values() if (value := getattr(verdict, name)) is not None]
    return sum(values) / len(values) if values else None


def _write(out: Path, found: Result) -> None:
    """The result alone stays: weights of a hundred cells would fill a disk."""
    out.mkdir(parents=True, exist_ok=True)
    output.put(out / RESULT_FILE, found.model_dump_json() + "\n")
    shutil.rmtree(out / _MODEL_FOLDER, ignore_errors=True)


def main(arguments: Sequence[str]) -> int:
    """Run the cell of a file; 1 with one line where it fails."""
    try:
        cell = Cell.model_validate_json(Path(arguments[0]).read_bytes())
        found = run(cell)
    except SweRmError as error:
        sys.stderr.write(f"swe-rm: {error}\n")
        return 1
    told = ", ".join(f"{what} {seconds:.0f} s" for what, seconds in found.seconds.items())
    sys.stdout.write(f"{cell.name}: {found.verifier}, {told}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
