"""An experiment run: the attempts are read once and drawn for every arm and seed, and each cell is a process."""

import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field, ValidationError

from swe_rm import jobs, made_with, output
from swe_rm.errors import RecordError, SweRmError
from swe_rm.experiment import cell as cells
from swe_rm.experiment.cell import Cell
from swe_rm.experiment.definition import Changes, Definition, Experiment, Profile, arms_per_value, experiment
from swe_rm.experiment.setting import CALIBRATE, HELD, TRAIN, Files, Setting, parts
from swe_rm.jobs import Done
from swe_rm.mix import Gathered, MixConfig, Plan, decide, gather
from swe_rm.mix.config import Sample
from swe_rm.mix.engines import engine
from swe_rm.render import template_hash
from swe_rm.trajectory import Noun

PLAN_FILE = "experiment.json"
CELLS_FOLDER = "cells"
_DECIDING = (
    "*.py", "mix/**/*.py", "sources/**/*.py", "verifiers/**/*.py",
    "experiment/cell.py", "experiment/setting.py", "experiment/view.py",
)  # fmt: skip
"""Code that results follow from: what is kept of them is of one version of it."""
_LIBRARIES = ("numpy", "scikit-learn", "tokenizers", "torch", "transformers")
"""And these versions."""


class PlannedCell(Noun):
    """Where the result of an arm and a seed lies."""

    arm: str
    seed: int
    digest: str
    drawn: dict[str, int]
    """Part -> attempts."""


class Planned(Noun):
    """What a run is, as its folder keeps it for the report."""

    experiment: Experiment
    inputs: dict[str, str]
    """File -> SHA-256."""
    read: int
    refused: int = 0
    """Records that could not be read."""
    dropped: dict[str, int]
    """Step of cleaning -> attempts that it left out, of the control's first seed."""
    code: str = ""
    """Digest of what results follow from."""
    commit: str | None = None
    versions: dict[str, str] = Field(default={})
    digest: str
    cells: tuple[PlannedCell, ...]


class CellJob(NamedTuple):
    """A cell as a job."""

    cell: Cell

    @property
    def name(self) -> str:
        """What lines about it begin with."""
        return self.cell.name

    @property
    def out(self) -> Path:
        """Of the cell."""
        return self.cell.out

    @property
    def begins_with(self) -> Path:
        """The warmed-up model, or what no other cell waits for."""
        return self.cell.warm or self.cell.out

    def prepare(self) -> Sequence[str]:
        """Write what the process is told."""
        file = self.out.with_name(f"{self.out.name}.json")
        file.write_text(self.cell.model_dump_json() + "\n", encoding="utf-8")
        return [sys.executable, "-m", "swe_rm.experiment.cell", str(file)]

    def result(self) -> Mapping[str, Any] | None:
        """What it left."""
        found = cells.result(self.cell)
        return None if found is None else {"verifier": found.verifier, "seconds": found.seconds}

    def told(self, result: Mapping[str, Any]) -> str:
        """Its verifier and how long it took."""
        return f"{result['verifier']}, {sum(result['seconds'].values()):.0f} s"


def run(
    definition: Definition,
    profile: Profile,
    files: Files,
    out: Path,
    *,
    changes: Changes | None = None,
    parallel: int = 1,
    threads: int = 1,
    say: Callable[[str], None] = print,
    watch: Callable[[Any], Any] = iter,
) -> list[Done[CellJob]]:
    """Run what is not finished yet; what became of each cell. `out` gets a folder for the experiment, and one for the
    cells of all experiments, by digest.

    Raises SweRmError where the definition is wrong, the draw of an arm cannot be met, arms would be measured on other
    attempts, seeds would change nothing, another process runs the experiment there, or the folder holds it with other
    settings, files or code.
    """
    made = experiment(definition, profile, changes=changes)
    pools = _Pools(files, watch)
    if definition.per_value is not None:
        values = pools.values(made.settings[definition.control], definition)
        made = experiment(definition, profile, arms_per_value(definition.per_value, values), changes)
    planned = [_cell(made, arm, seed, files, out, pools) for seed in definition.seeds for arm in made.settings]
    _refuse_other_measuring(made.name, planned)
    _refuse_idle_seeds(made.name, planned)
    with output.alone(out / made.name, wait=False):
        _keep(out / made.name, made, planned, pools)
        for line in pools.refusals:
            say(line)
        return jobs.run_all([CellJob(one) for one in planned], parallel, threads, say)


class _Pools:
    """What is read, once for all arms that clean and split alike."""

    def __init__(self, files: Files, watch: Callable[[Any], Any]) -> None:
        self.files = files
        self.digests = files.digests()
        """Of what the files hold; where they lie does not count."""
        self.refusals: list[str] = []
        """A line for each record that could not be read."""
        self._watch = watch
        self._gathered: dict[str, Gathered] = {}

    @property
    def contents(self) -> dict[str, list[str]]:
        """Digests by what the files are to the run."""
        return {name: sorted(self.digests[path] for path in paths) for name, paths in self.files}

    def plan(self, config: MixConfig) -> Plan:
        """What a mix holds of the files."""
        reading = config.reading().model_dump_json()
        if reading not in self._gathered:
            found = self._gathered[reading] = gather(config, engine("local", 1), self._watch)
            self.refusals = self.refusals or [str(one) for one in found.pile.refusals]
        return decide(self._gathered[reading], config)

    def values(self, control: Setting, definition: Definition) -> list[str]:
        """The values that arms are made of, in the part that is trained on."""
        wanted = definition.per_value
        assert wanted is not None
        rows = self.plan(_unsampled(control.mix_of(self.files, 0))).parts[TRAIN]
        counts = Counter(getattr(row, wanted.of) for row in rows)
        found = sorted(value for value, n in counts.items() if n >= wanted.at_least)
        if len(found) < 2:  # alone and without are then the same
            raise SweRmError(
                f"{definition.name}{_meant(definition)}: needs two of {wanted.of} with {wanted.at_least} attempts to "
                f"train on, and there {'is one' if found else 'is none'}"
            )
        return found


def _meant(definition: Definition) -> str:
    return " (meant for swe-rm playground rollout)" if definition.pool == "playground" else ""


def _unsampled(config: MixConfig) -> MixConfig:
    return config.model_copy(update={"sample": Sample()})


def _cell(made: Experiment, arm: str, seed: int, files: Files, out: Path, pools: _Pools) -> Cell:
    setting = made.settings[arm]
    name = f"{made.name}/{arm}/seed-{seed}"
    _check_parts(setting, name)
    try:
        plan = pools.plan(setting.mix_of(files, seed))
    except SweRmError as error:
        raise SweRmError(f"{name}{_meant(made.definition)}: {error}") from None
    attempts = {part: tuple(row.attempt_id for row in rows) for part, rows in plan.parts.items()}
    if not any(fnmatchcase(row.policy, setting.judged) for row in plan.parts[HELD]):
        raise SweRmError(f"{name}: judged: {setting.judged}: no attempt to measure on is by such a policy")
    warm = _warm(setting, files, out, pools) if setting.verifier == "model" else {}
    decides = [setting.model_dump(mode="json"), seed, pools.contents, attempts, *_made_with()]
    digest = _digest([*decides, warm.get("warm") and warm["warm"].name])
    cell = Cell(
        name=name, arm=arm, digest=digest, seed=seed, setting=setting, files=files, attempts=attempts,
        out=out / CELLS_FOLDER / digest, **warm,
    )  # fmt: skip
    cell.out.parent.mkdir(parents=True, exist_ok=True)
    return cell


def _refuse_other_measuring(name: str, planned: Sequence[Cell]) -> None:
    """What arms are measured on must be the same before hours are spent on them."""
    first, *others = planned
    for other in others:
        if _measured_on(other) != _measured_on(first):
            raise SweRmError(f"{name}: {other.name} and {first.name} would be measured on other attempts")


def _measured_on(cell: Cell) -> tuple[Any, ...]:
    setting = cell.setting
    return frozenset(cell.attempts[HELD]), setting.judged, setting.judged_most, setting.judged_per_task


def _refuse_idle_seeds(name: str, planned: Sequence[Cell]) -> None:
    """Words are fitted without dice: where seeds draw the same attempts, three of them are one, told as three."""
    for cell in planned:
        same = [one for one in planned if one.arm == cell.arm and set(one.attempts[TRAIN]) == set(cell.attempts[TRAIN])]
        if cell.setting.verifier == "words" and not cell.setting.label_noise and len(same) > 1:
            raise SweRmError(
                f"{name}: {same[0].name} and {same[1].name} train on the same attempts and come out the same"
            )


def _check_parts(setting: Setting, name: str) -> None:
    needed = {TRAIN, HELD} | ({CALIBRATE} if setting.calibrate else set())
    if missing := sorted(needed - parts(setting.mix.splits)):
        raise SweRmError(f"{name}: mix.splits has no part {', '.join(missing)}")


def _warm(setting: Setting, files: Files, out: Path, pools: _Pools) -> dict[str, Any]:
    """The warm-up of a setting: on clean attempts to train on, whatever the arm draws of them."""
    if setting.warmup is None:
        return {}
    rows = pools.plan(_unsampled(setting.mix_of(files, 0))).parts[TRAIN]
    lowest = {*sorted(row.attempt_id for row in rows)[: setting.warmup_most]}
    attempts = tuple(row.attempt_id for row in rows if row.attempt_id in lowest)
    config = setting.warmup.model_copy(update={"tasks": files.tasks[0] if files.tasks else None})
    digest = _digest([config.portable(), pools.contents, attempts, *_made_with()])
    return {"warm": out / f"warm-{digest}", "warmup": config, "warmup_attempts": attempts}


def _keep(folder: Path, made: Experiment, planned: Sequence[Cell], pools: _Pools) -> None:
    """Write what the run is. Raises SweRmError where the folder holds another run of the experiment."""
    rows = tuple(
        PlannedCell(
            arm=one.arm, seed=one.seed, digest=one.digest,
            drawn={part: len(ids) for part, ids in one.attempts.items()},
        )
        for one in planned
    )  # fmt: skip
    control = made.settings[made.definition.control]
    ledger = pools.plan(control.mix_of(pools.files, made.definition.seeds[0])).manifest.ledger
    whole = Planned(
        experiment=made,
        inputs=_inputs(pools.digests),
        read=ledger.read,
        refused=len(pools.refusals),
        dropped={step: n for step, n in ledger.steps.items() if n},
        code=_code(),
        commit=made_with.commit(),
        versions=made_with.versions(_LIBRARIES),
        digest=_digest([row.digest for row in rows]),
        cells=rows,
    )
    file = folder / PLAN_FILE
    if file.is_file() and (there := read_planned(folder)).digest != whole.digest:
        raise SweRmError(f"{folder}: holds {made.name} with other {_others(there, whole)}; give another --out")
    folder.mkdir(parents=True, exist_ok=True)
    output.put(file, whole.model_dump_json(indent=1) + "\n")


def _others(one: Planned, other: Planned) -> str:
    """What two runs of an experiment differ in, settings by their keys."""
    keys = _other_keys(one.experiment, other.experiment)
    told = [f"settings ({', '.join(keys)})"] if keys else []
    kinds = {"files": "inputs", "code": "code", "library versions": "versions"}
    told += [name for name, key in kinds.items() if getattr(one, key) != getattr(other, key)]
    return " and ".join(told) or "attempts"


def _other_keys(one: Experiment, other: Experiment) -> list[str]:
    """Keys of settings in which an arm of one differs from the same arm of the other; arms and seeds that differ."""
    both = [arm for arm in one.settings if arm in other.settings]
    flat = [(one.settings[arm].flat(), other.settings[arm].flat()) for arm in both]
    keys = {key for a, b in flat for key in a.keys() | b.keys() if a.get(key) != b.get(key)}
    told = {
        "arms": one.settings.keys() != other.settings.keys(),
        "seeds": one.definition.seeds != other.definition.seeds,
    }
    return [*(name for name, differ in told.items() if differ), *sorted(keys)]


def read_planned(folder: Path) -> Planned:
    """What a run's folder says it is. Raises SweRmError where it holds no run, RecordError for a damaged plan."""
    file = folder / PLAN_FILE
    try:
        return Planned.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        raise SweRmError(f"{folder}: holds no run; swe-rm experiment run makes one") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise RecordError(str(file), where, f"is no plan of a run: {first['msg']}") from None


def _inputs(digests: Mapping[Path, str]) -> dict[str, str]:
    """Digest by as much of the end of a path as tells it from the others."""
    whole = {path: path.absolute().parts for path in digests}

    def called(path: Path) -> str:
        ends = (whole[path][-depth:] for depth in range(1, len(whole[path]) + 1))
        return "/".join(next(end for end in ends if sum(one[-len(end) :] == end for one in whole.values()) == 1))

    return {called(path): found for path, found in digests.items()}


def _made_with() -> tuple[str, str, dict[str, str]]:
    return template_hash(), _code(), made_with.versions(_LIBRARIES)


@cache
def _code() -> str:
    package = Path(__file__).parents[1]
    files = sorted({file for pattern in _DECIDING for file in package.glob(pattern)})
    return _digest([[str(file.relative_to(package)), sha256(file.read_bytes()).hexdigest()] for file in files])


def _digest(content: Any) -> str:
    return sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]
