"""What `swe-rm collect` is asked to do: its config, the tasks of its list, and the jobs (one attempt at one task)."""

import hashlib
import json
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import Field, ValidationError, field_validator

from swe_rm import config_file
from swe_rm.errors import RecordError, SweRmError
from swe_rm.sources import naming, read_tasks, streams
from swe_rm.trajectory import Noun, Task

_PRIVATE = frozenset({"api_key", "api_base", "base_url", "authorization", "api-key", "x-api-key"})
_FILE_NAME = re.compile(r"[A-Za-z0-9][\w.+@-]{0,199}", re.ASCII)
_IMAGE_COLUMNS = ("image", "docker_image", "image_name")


class AttemptError(SweRmError):
    """A failure of ours, of the machine or of the endpoint: there is no attempt, and the next call tries again."""


class EndpointError(AttemptError):
    """The endpoint gave no answer, after all retries."""


class EndpointRefusedError(EndpointError):
    """The endpoint refuses what every attempt will ask: a wrong key, an unknown model."""


class AbandonedError(AttemptError):
    """The collection was stopped in the middle of an attempt."""


class Price(Noun):
    """Dollars for a million tokens, for endpoints whose price litellm does not know."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)


class CollectConfig(Noun):
    """One collection: what decides its attempts, and how it is carried out."""

    model: str = Field(min_length=1)
    """As the endpoint calls it."""
    environment: Literal["local", "docker"]
    """`local` runs the model's commands on this machine, unguarded."""
    temperature: float | None = Field(default=None, ge=0)
    model_kwargs: dict[str, Any] = Field(default={})
    """More of the request, e.g. top_p. It is recorded in every trajectory, so no keys here."""
    tool_calls: bool = True
    """False for endpoints without them: commands are then read from the text, in mini-swe-agent's backticks."""
    prompts: Path | None = None
    """A mini-swe-agent config file whose templates are used; its SWE-bench ones without it."""
    step_limit: int = Field(default=250, ge=1)
    time_limit: int = Field(default=3600, ge=1)
    """Seconds an attempt may take; looked at before each call of the model."""
    cost_limit: float = Field(default=3.0, gt=0)
    """Dollars one attempt may cost."""
    command_timeout: int = Field(default=60, ge=1)
    """Seconds one command may take."""
    image_template: str = "docker.io/swebench/sweb.eval.x86_64.{instance}:latest"
    """Image of tasks that name none; {instance} is the id in lower case, `__` spelled `_1776_`, as SWE-bench does."""
    container_folder: str = "/testbed"
    """Where the checkout lies in the image."""
    pass_env: tuple[str, ...] = ()
    """Variables of this process that local commands may see, beside PATH, the locale and TZ."""

    base_url: str = Field(pattern=r"^https?://\S+$")
    api_key_env: str | None = None
    """Variable that holds the endpoint's key; none is sent without it."""
    attempts: int = Field(default=1, ge=1)
    workers: int = Field(default=1, ge=1)
    """Attempts at work at once."""
    max_cost: float | None = Field(default=None, gt=0)
    """Dollars after which no attempt is started."""
    max_tokens: int | None = Field(default=None, gt=0)
    """Tokens, read and written, after which no attempt is started."""
    price_per_million: Price | None = None
    request_timeout: int = Field(default=600, ge=1)
    """Seconds to wait for an answer of the endpoint."""
    retries: int = Field(default=6, ge=0)
    """Of one request, when the endpoint is busy, failing or not reached; waits of 1, 2, 4 ... at most 60 seconds."""
    container_tool: str = "docker"
    """The docker command, or one that takes the same arguments."""
    pull_timeout: int = Field(default=1800, ge=1)
    """Seconds a container may take to start, with the download of its image."""

    @field_validator("model_kwargs")
    @classmethod
    def _no_secrets(cls, found: dict[str, Any]) -> dict[str, Any]:
        if secret := _PRIVATE & set(_names(found)):
            raise ValueError(f"{', '.join(sorted(secret))} would be recorded: use base_url and api_key_env")
        return found

    @classmethod
    def load(cls, path: Path | None, given: Mapping[str, Any]) -> "CollectConfig":
        """Read a YAML file, if there is one; `given`, from the command line, comes before it.

        Raises SweRmError naming the file and key when something is unknown, missing or out of range.
        """
        content = {} if path is None else config_file.content(path, "a collect config")
        try:
            return cls.model_validate({**content, **given})
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"]))
            where = f"--{key.replace('_', '-')}" if path is None else f"{path}: {key}"
            raise SweRmError(f"{where}: {first['msg']}") from None

    def deciding(self) -> dict[str, Any]:
        """What decides an attempt, as JSON values; where the endpoint is and how much is asked of it do not."""
        content: dict[str, Any] = self.model_dump(mode="json", exclude=set(_CARRYING_OUT))
        content["prompts"] = self.prompts and hashlib.sha256(self.prompts.read_bytes()).hexdigest()[:16]
        return content

    def digest(self) -> str:
        """Hex digest of what decides an attempt."""
        return digest_of(self.deciding())

    def run_name(self, attempt: int) -> str:
        """The name of the run folder that holds attempt 1, 2, ... at every task."""
        model = re.sub(r"[^A-Za-z0-9.-]+", "_", naming.model_name(self.model)).strip("._-") or "model"
        return f"{model}_{attempt}"


_CARRYING_OUT = (
    "base_url", "api_key_env", "attempts", "workers", "max_cost", "max_tokens", "price_per_million",
    "request_timeout", "retries", "container_tool", "pull_timeout",
)  # fmt: skip


class CollectTask(Noun):
    """A task and where its code is. Nothing else of the row is kept: tests and gold patches stay unread."""

    task: Task
    repo_path: Path | None = None
    commit: str | None = None
    """Full hash of the commit to start from; None for a folder without git."""
    image: str | None = None

    def digest(self) -> str:
        """Hex digest of what the agent is given; where the repository lies is not part of it."""
        return digest_of([self.task.instance_id, self.task.statement, self.commit, self.image])


class Job(NamedTuple):
    """One attempt to make."""

    task: CollectTask
    attempt: int
    """Counts from 1."""

    def __str__(self) -> str:
        return f"{self.task.task.instance_id} / attempt {self.attempt}"


def _names(content: Any) -> Iterator[str]:
    """The keys of a JSON value at every depth, in lower case."""
    if isinstance(content, Mapping):
        yield from (str(name).lower() for name in content)
    if isinstance(content, Mapping | list):
        for inner in content.values() if isinstance(content, Mapping) else content:
            yield from _names(inner)


def digest_of(content: Any) -> str:
    """16 hex characters that stand for a JSON value."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def read_assignments(path: Path, config: CollectConfig, only: Sequence[str] = ()) -> list[CollectTask]:
    """The tasks of a JSONL file (or .gz, .zst): instance_id, problem_statement, and repo_path or an image.

    A relative repo_path is relative to the file. `only` names the tasks to keep. Raises RecordError at the first row
    that cannot be worked at, SweRmError when `only` names a task that is not there.
    """
    if not path.is_file():
        raise SweRmError(f"{path}: {'is no file' if path.exists() else 'No such file or directory'}")
    found: dict[str, CollectTask] = {}
    for task, (number, row) in zip(read_tasks(path), _rows(path), strict=True):
        if task.instance_id in found:
            raise RecordError(streams.display(path), f"line {number}", f"{task.instance_id} stands there twice")
        try:
            found[task.instance_id] = _assignment(task, row, path, config)
        except ValueError as error:
            raise RecordError(streams.display(path), f"line {number}", str(error)) from None
    if not found:
        raise RecordError(streams.display(path), "", "holds no task")
    if absent := [instance_id for instance_id in only if instance_id not in found]:
        raise SweRmError(f"{streams.display(path)}: no task named {', '.join(absent)}")
    return [item for instance_id, item in found.items() if not only or instance_id in only]


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in streams.lines(streams.File(path)):
        yield number, streams.parse(line)


def _assignment(task: Task, row: Mapping[str, Any], path: Path, config: CollectConfig) -> CollectTask:
    if not _FILE_NAME.fullmatch(task.instance_id):
        raise ValueError(f"instance_id {task.instance_id[:80]!r} cannot name a folder")
    if not task.statement.strip():
        raise ValueError(f"{task.instance_id}: the problem statement is empty")
    if config.environment == "docker":
        return CollectTask(task=task, image=_image(task, row, config))
    named = row.get("repo_path")
    if not isinstance(named, str) or not named:
        raise ValueError(f"{task.instance_id}: --environment local needs repo_path, a folder on this machine")
    folder = (path.absolute().parent / named).resolve()
    if not folder.is_dir():
        raise ValueError(f"{task.instance_id}: repo_path {folder} is no folder")
    return CollectTask(task=task, repo_path=folder, commit=_commit(task, folder, row.get("base_commit")))


def _image(task: Task, row: Mapping[str, Any], config: CollectConfig) -> str:
    for column in _IMAGE_COLUMNS:
        if isinstance(row.get(column), str) and row[column]:
            return str(row[column])
    return config.image_template.replace("{instance}", task.instance_id.replace("__", "_1776_").lower())


def _commit(task: Task, folder: Path, named: object) -> str | None:
    """The full hash of base_commit, or of HEAD; None for a folder that is no repository and names no commit."""
    if not (folder / ".git").exists() and not (folder / "HEAD").is_file():
        if named:
            raise ValueError(f"{task.instance_id}: base_commit {named} but {folder} is no git repository")
        return None
    revision = f"{named or 'HEAD'}^{{commit}}"
    command = ["git", "-C", str(folder), "rev-parse", "--verify", "--quiet", "--end-of-options", revision]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.returncode:
        raise ValueError(f"{task.instance_id}: {folder} has no commit {named or 'HEAD'}")
    return found.stdout.strip().splitlines()[-1]
