"""What decided the attempts of a folder, kept beside them: no later call adds attempts that were decided otherwise."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from swe_rm import output
from swe_rm.errors import RecordError, SweRmError
from swe_rm.playground import deciding
from swe_rm.playground.sandbox import Limits
from swe_rm.playground.world import PlaygroundTask
from swe_rm.trajectory import Noun

MANIFEST = "manifest.json"
_NOT_DECIDING = {"repo", "repo_path", "split", "kind"}
"""Fields of a task that neither its attempts nor their outcomes follow from."""


class Manifest(Noun):
    """What every attempt of a folder follows from, beside its policy and number."""

    swe_rm_playground: Literal[1] = 1
    seed: int
    step_limit: int
    limits: Limits
    code: str = "unknown"
    """Digest of what the scripts do, and how it is run and tested; `claim` fills it in."""
    tasks: dict[str, str] = Field(default={})
    """Digest of what the agent is given and what its patch is tested by, by instance id."""


def digest(task: PlaygroundTask) -> str:
    """16 hex characters that stand for all of a task that decides."""
    return hashlib.sha256(task.model_dump_json(exclude=_NOT_DECIDING).encode()).hexdigest()[:16]


def claim(out: Path, settings: Manifest, tasks: Sequence[PlaygroundTask]) -> None:
    """Say in `out` what decides the attempts to come; `settings` holds no tasks yet.

    Raises SweRmError when it holds attempts that something else decided, naming what differs, or attempts of which it
    is not known; RecordError when its manifest cannot be read.
    """
    settings = settings.model_copy(update={"code": deciding.digest(deciding.SCRIPTS | deciding.RUNS)})
    with output.alone(out, wait=True):
        _claim(out, settings, {task.instance_id: digest(task) for task in tasks})


def _claim(out: Path, settings: Manifest, now: Mapping[str, str]) -> None:
    file = out / MANIFEST
    there: Mapping[str, str] = {}
    if file.is_file():
        earlier = _read(file)
        _refuse_other(out, earlier, settings, now)
        there = earlier.tasks
    elif any(not one.name.startswith(".") for one in out.iterdir()):
        raise SweRmError(f"{out}: holds no {MANIFEST} that says what decided its attempts; give another --out")
    output.put(file, settings.model_copy(update={"tasks": {**there, **now}}).model_dump_json(indent=1) + "\n")


def _refuse_other(out: Path, earlier: Manifest, settings: Manifest, now: Mapping[str, str]) -> None:
    before, after = _flat(earlier), _flat(settings)
    if differing := [f"{key} {before[key]}, not {after[key]}" for key in after if before[key] != after[key]]:
        raise SweRmError(f"{out}: its attempts were made with {'; '.join(differing)}; give another --out")
    for name, found in now.items():
        if earlier.tasks.get(name, found) != found:
            raise SweRmError(f"{out}: holds attempts at another task named {name}; give another --out")


def _flat(settings: Manifest) -> dict[str, int | str]:
    """The settings by name, the limits among them."""
    told = {"seed": settings.seed, "step_limit": settings.step_limit, "code of swe-rm": settings.code}
    return {**told, **settings.limits.model_dump()}


def _read(file: Path) -> Manifest:
    try:
        return Manifest.model_validate_json(file.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise RecordError(str(file), where, f"no manifest of attempts in the playground: {first['msg']}") from None
