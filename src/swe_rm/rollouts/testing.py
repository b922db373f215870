"""Whether a diff resolves its task: a fresh environment, the diff, the hidden tests, their names in the output.

What a diff does to its own tests' run is unresolved. What goes wrong with us or the machine is a RolloutError.
"""

import base64
import re
import secrets
import shlex
from collections.abc import Sequence
from typing import Any, NamedTuple

from swe_rm.rollouts.scaffold import RolloutError, Settings, ended, started
from swe_rm.rollouts.tasks import RolloutTask

_PIECE = 60_000
"""Characters of one argument; Linux takes 131,072 bytes."""
_SECONDS = 60
"""For a command of ours."""
_PYTEST = re.compile(r"^PASSED (\S.*?)(?: - .*)?$", re.MULTILINE)
_UNITTEST = re.compile(r"^(\w+) \(([\w.]+)\)(?:\n[^\n]*?)? \.\.\. ok$", re.MULTILINE)
_APPLY = "git apply --whitespace=nowarn {0} || patch --batch --fuzz=5 -p1 -i {0}"


class Tested(NamedTuple):
    """What the tests said."""

    resolved: bool
    why: str


class _Ran(NamedTuple):
    output: str
    code: int | None
    """None when the command did not come to its end."""
    hangs: bool


def run_tests(task: RolloutTask, patch: str, settings: Settings) -> Tested:
    """Run a task's hidden tests on a diff, in an environment of its own. Raises RolloutError."""
    environment = started(task.image, settings)
    try:
        return _asked(environment, task, patch, settings.test_seconds)
    finally:
        ended(environment)


def lives(environment: Any) -> bool:
    """Whether an environment still carries commands out."""
    return _run(environment, "true", _SECONDS).code == 0


def passed(output: str) -> set[str]:
    """The tests that a run of pytest (`-rA`) or unittest (`-v`) says have passed, under each name they go by."""
    found = {name.strip() for name in _PYTEST.findall(output)}
    for name, where in _UNITTEST.findall(output):
        found |= {f"{name} ({where})", where if where.endswith(f".{name}") else f"{where}.{name}"}
    return found


def _asked(environment: Any, task: RolloutTask, patch: str, seconds: int) -> Tested:
    if patch.strip() and _applied(environment, patch).code != 0:
        return _unresolved(environment, task, "the patch does not apply")
    for name in map(shlex.quote, task.test_files):  # what the attempt did to them is not asked
        _must(environment, task, f"git checkout -q HEAD -- {name} 2>/dev/null || rm -rf {name}")
    if _applied(environment, task.test_patch).code != 0:
        raise RolloutError(f"{task.instance_id}: the hidden tests do not apply")
    ran = _run(environment, task.test_command, seconds)
    if ran.hangs:
        return Tested(False, f"the tests do not end within {seconds} s")
    if ran.code is None:
        return _unresolved(environment, task, "the tests' run was ended")
    missing = _first_missing((*task.fail_to_pass, *task.pass_to_pass), passed(ran.output))
    return Tested(not missing, f"{missing} does not pass" if missing else "all pass")


def _unresolved(environment: Any, task: RolloutTask, why: str) -> Tested:
    """Unless it was the environment that ended."""
    if not lives(environment):
        raise RolloutError(f"{task.instance_id}: the environment is gone: {why}")
    return Tested(False, why)


def _first_missing(wanted: Sequence[str], found: set[str]) -> str:
    return next((name for name in wanted if name not in found), "")


def _applied(environment: Any, patch: str) -> _Ran:
    file = f'"${{TMPDIR:-/tmp}}/swe-rm-{secrets.token_hex(8)}"'
    text = base64.b64encode(patch.encode()).decode()
    for start in range(0, len(text), _PIECE):
        _run(environment, f"printf %s {text[start : start + _PIECE]} >> {file}.b64", _SECONDS)
    return _run(environment, f"base64 -d {file}.b64 > {file} && ({_APPLY.format(file)})", _SECONDS)


def _must(environment: Any, task: RolloutTask, command: str) -> None:
    if _run(environment, command, _SECONDS).code != 0:
        raise RolloutError(f"{task.instance_id}: could not run: {command}")


def _run(environment: Any, command: str, seconds: int) -> _Ran:
    """Run a command between two lines that nobody can foretell: exit codes of docker's own look like the command's."""
    mark = secrets.token_hex(16)
    wrapped = f"echo {mark}\n( {command}\n)\ncode=$?; echo; echo {mark} $code"
    told = environment.execute({"command": wrapped}, timeout=seconds)
    hangs = told.get("extra", {}).get("exception_type") == "TimeoutExpired"
    end = re.search(rf"^{mark} (\d+)\s*\Z", told["output"], re.MULTILINE)
    return _Ran(told["output"], int(end[1]) if end else None, hangs)
