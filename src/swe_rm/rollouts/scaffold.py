"""Settings of attempts, and mini-swe-agent's own parts as they say: its templates, its environments."""

import importlib.util
import os
import subprocess
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field

from swe_rm.errors import MissingExtraError, SweRmError
from swe_rm.trajectory import Noun

SHIPPED = Path("benchmarks") / "swebench_backticks.yaml"
"""mini-swe-agent's own, whose commands stand in the text: what a policy says is text alone here."""
_STARTS = 3
_PAUSE = 2.0
"""Seconds before a container is started again; twice as many the next time."""


class RolloutError(SweRmError):
    """A failure of ours or of the machine: there is no attempt, so there is no reward either."""


class Settings(Noun):
    """How attempts are made and tested."""

    scaffold: Path | None = None
    """A config file of mini-swe-agent whose templates are taken; its own for SWE-bench without it."""
    environment: dict[str, Any] = Field(default={"pull_timeout": 600})
    """Beside what that file says of one, as mini-swe-agent's environments read it, for example `executable: podman`. An
    image may take minutes to come."""
    step_limit: int = Field(default=100, ge=1)
    wall_seconds: int = Field(default=3600, ge=1)
    """Of an attempt; looked at after each turn."""
    format_errors: int = Field(default=3, ge=1)
    """So many answers in a row without exactly one command end an attempt."""
    test_seconds: int = Field(default=900, ge=1)
    """The hidden tests may take; longer is unresolved."""

    keep: Path | None = None
    """A folder, of all machines, to which every attempt is appended with its outcome; `swe-rm evaluate` reads it."""

    def templates(self) -> dict[str, Any]:
        """What the scaffold's file says of agent, model and environment. Raises SweRmError, and MissingExtraError
        without mini-swe-agent."""
        if importlib.util.find_spec("minisweagent") is None:
            raise MissingExtraError("mini-swe-agent", "agents")
        os.environ.setdefault("MSWEA_SILENT_STARTUP", "1")
        return _read(self.scaffold or _builtin() / SHIPPED)

    def opening(self, statement: str) -> list[dict[str, str]]:
        """The system prompt and the task as the policy first sees them. Raises SweRmError."""
        from jinja2 import StrictUndefined, Template, TemplateError

        agent = self.templates()["agent"]
        try:
            return [
                {"role": role, "content": Template(agent[key], undefined=StrictUndefined).render(task=statement)}
                for role, key in (("system", "system_template"), ("user", "instance_template"))
            ]
        except TemplateError as error:
            raise SweRmError(f"{self.scaffold}: only the task is known before an attempt: {error}") from None


def started(image: str, settings: Settings) -> Any:
    """An environment of mini-swe-agent's. Raises RolloutError when it does not start after three tries."""
    from minisweagent.environments import get_environment

    config = {**settings.templates()["environment"], **settings.environment, "image": image}
    for number in range(_STARTS):
        try:
            return get_environment(config)
        except (OSError, subprocess.SubprocessError) as error:
            if number == _STARTS - 1:
                said = getattr(error, "stderr", "") or error
                raise RolloutError(f"{image}: does not start: {' '.join(str(said).split())}") from None
            time.sleep(_PAUSE * 2**number)
    raise AssertionError("the last try raises")


def ended(environment: Any) -> None:
    """Have an environment's container go, where it has one."""
    with suppress(OSError):
        getattr(environment, "cleanup", lambda: None)()


@cache
def _read(path: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise SweRmError(f"{path}: {' '.join(str(error).split())}") from None
    missing = [key for key in ("agent", "environment", "model") if not isinstance(found, dict) or key not in found]
    if missing:
        raise SweRmError(f"{path}: no config of mini-swe-agent: it says nothing of {', '.join(missing)}")
    return dict(found)


def _builtin() -> Path:
    from minisweagent.config import builtin_config_dir

    return Path(builtin_config_dir)
