"""RolloutTask: what an attempt in a container needs of a task in SWE-bench's shape, and nothing of its solution."""

import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import Field, field_validator

from swe_rm.trajectory import Noun

AGENT = "mini_swe_agent"
"""verl's name of the agent loop, as configs/recipes/verl/agent.yaml gives it."""
ENVIRONMENT = "swe"
"""SkyRL's name of the environment, as `rollouts.skyrl` registers it."""
IMAGE_COLUMNS = ("image", "docker_image", "image_name")
SWE_BENCH_IMAGE = "docker.io/swebench/sweb.eval.x86_64.{}:latest"
TEST_COMMAND = "python -m pytest -rA --color=no -p no:cacheprovider"
_CHANGED = re.compile(r"^\+\+\+ b/(.+?)\s*$|^--- a/(.+?)\s*$", re.MULTILINE)


class RolloutTask(Noun):
    """A task to make attempts at. The gold patch is not part of it: no attempt, reward or log can hold it."""

    instance_id: str = Field(min_length=1)
    problem_statement: str = Field(min_length=1)
    image: str = Field(min_length=1)
    """What the environment starts from: a container's image, the checkout in it at its base commit."""
    test_patch: str
    """The tests that the policy does not see."""
    test_command: str
    """Runs them in the checkout: pytest, which is told where to write its report, or `unittest -v`."""
    fail_to_pass: tuple[str, ...] = Field(min_length=1)
    pass_to_pass: tuple[str, ...] = ()

    @field_validator("fail_to_pass", "pass_to_pass", mode="before")
    @classmethod
    def _listed(cls, found: Any) -> Any:
        """SWE-bench has lists as JSON text."""
        if isinstance(found, str) and found.startswith("["):
            return tuple(json.loads(found))
        return found

    @property
    def test_files(self) -> tuple[str, ...]:
        """What the hidden tests write, in the order of their patch."""
        return files_of(self.test_patch)


def files_of(patch: str) -> tuple[str, ...]:
    """The files that a diff touches, each once."""
    return tuple(dict.fromkeys(new or old for new, old in _CHANGED.findall(patch)))


def task_of(row: Mapping[str, Any], test_command: str | None = None) -> RolloutTask:
    """The task of a row of SWE-bench or of a data set in its shape, such as SWE-Gym and SWE-rebench.

    The command is the one given, else the row's own (`test_command`, SWE-rebench's `install_config.test_cmd`), else
    pytest's; the files of the hidden tests are its arguments. Raises ValueError naming what is missing.
    """
    config = row.get("install_config")
    own = row.get("test_command") or (config.get("test_cmd") if isinstance(config, Mapping) else None)
    told = {
        "instance_id": row.get("instance_id"),
        "problem_statement": row.get("problem_statement"),
        "image": _image(row),
        "test_patch": row.get("test_patch"),
        "test_command": "",
        "fail_to_pass": row.get("FAIL_TO_PASS"),
        "pass_to_pass": row.get("PASS_TO_PASS") or (),
    }
    task = RolloutTask.model_validate(told)
    files = " ".join(f"'{name}'" for name in task.test_files if name.endswith(".py"))
    return task.model_copy(update={"test_command": f"{test_command or own or TEST_COMMAND} {files}".strip()})


def _image(row: Mapping[str, Any]) -> Any:
    for column in IMAGE_COLUMNS:
        if row.get(column):
            return row[column]
    name = str(row.get("instance_id", "")).replace("__", "_1776_").lower()
    return SWE_BENCH_IMAGE.format(name)
