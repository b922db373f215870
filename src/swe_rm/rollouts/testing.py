"""Whether a diff resolves its task: a fresh environment, the diff, the hidden tests, what their runner reports.

What a diff does to its own tests' run is unresolved. What goes wrong with us or the machine is a RolloutError.
"""

import base64
import re
import secrets
import shlex
from collections.abc import Sequence
from typing import Any, NamedTuple
from xml.etree import ElementTree

from swe_rm.rollouts.scaffold import RolloutError, Settings, ended, started
from swe_rm.rollouts.tasks import RolloutTask

_PIECE = 60_000
"""Characters of one argument; Linux takes 131,072 bytes."""
_TOLD = 200
"""Characters of a command of ours in an error."""
_SECONDS = 60
"""For a command of ours."""
_UNITTEST = re.compile(r"^(\w+) \(([\w.]+)\)(?:\n[^\n]*?)? \.\.\. ok$", re.MULTILINE)
_FAILURES = {"failure", "error"}
_TESTS_FAILED = 1
"""pytest's exit code when its run came to its end and tests failed. The others are no such end."""
_APPLY = "git apply --whitespace=nowarn {0} || patch --batch --fuzz=5 -p1 -i {0}"


class Tested(NamedTuple):
    """What the tests said."""

    resolved: bool
    why: str
    all_named: bool = False
    """Whether each test that has to pass is said to have passed, whatever the exit code."""


class Report(NamedTuple):
    """What pytest wrote of its tests, each under `address`."""

    passed: frozenset[str]
    failed: frozenset[str]
    """Failures and errors, of tests and of what is around them."""


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


def named(output: str) -> set[str]:
    """The tests that a run of unittest (`-v`) says have passed, under each name they go by.

    What is tested can print such lines: they are believed with exit code 0 alone.
    """
    found: set[str] = set()
    for name, where in _UNITTEST.findall(output):
        found |= {f"{name} ({where})", where if where.endswith(f".{name}") else f"{where}.{name}"}
    return found


def reported(text: str) -> Report:
    """What a file of pytest's (`--junitxml`) says. A test that passes and then fails to clean up has failed.

    Raises ValueError when it is no such file.
    """
    if "<!DOCTYPE" in text:  # pytest writes none, and entities declared there can grow without end
        raise ValueError("no XML of pytest's")
    try:
        cases = list(ElementTree.fromstring(text).iter("testcase"))  # noqa: S314
    except ElementTree.ParseError as error:
        raise ValueError(f"no XML: {error}") from None
    fates: dict[str, set[str]] = {}
    for case in cases:
        fate = fates.setdefault(f"{case.get('classname', '')}::{case.get('name', '')}", set())
        fate |= {part.tag for part in case}
    failed = frozenset(name for name, fate in fates.items() if fate & _FAILURES)
    return Report(frozenset(name for name, fate in fates.items() if "skipped" not in fate) - failed, failed)


def address(name: str) -> str:
    """`tests/a.py::Class::test[a::b]` as pytest's report has it: `tests.a.Class::test[a::b]`."""
    path, bracket, parameters = name.partition("[")
    file, *inner = path.split("::")
    module = file.removesuffix(".py").replace("/", ".")
    return f"{'.'.join((module, *inner[:-1]))}::{inner[-1]}{bracket}{parameters}"


def _is_pytests(name: str) -> bool:
    return "::" in name.partition("[")[0]


def _asked(environment: Any, task: RolloutTask, patch: str, seconds: int) -> Tested:
    if patch.strip() and not _applies(environment, task, patch):
        return _unresolved(environment, task, "the patch does not apply")
    for name in map(shlex.quote, task.test_files):  # what the attempt did to them is not asked
        _must(environment, task, f"git checkout -q HEAD -- {name} 2>/dev/null || rm -rf {name}")
    if not _applies(environment, task, task.test_patch):
        raise RolloutError(f"{task.instance_id}: the hidden tests do not apply")
    file = _new_file()
    told = f'export PYTEST_ADDOPTS="${{PYTEST_ADDOPTS:-}} --junitxml={file}"'
    ran = _run(environment, f"{told}\n{task.test_command}", seconds)
    if ran.hangs:
        return Tested(False, f"the tests do not end within {seconds} s")
    if ran.code is None:
        return _unresolved(environment, task, "the tests' run was ended")
    wanted = (*task.fail_to_pass, *task.pass_to_pass)
    if not any(map(_is_pytests, wanted)):
        return judged(wanted, ran.code, ran.output)
    written = _run(environment, f'cat "{file}"', _SECONDS)
    if written.code != 0:
        return _unresolved(environment, task, "pytest wrote no report of its tests")
    try:
        return judged(wanted, ran.code, ran.output, reported(written.output.strip()))
    except ValueError as error:
        return Tested(False, f"pytest's report is {error}")


def judged(wanted: Sequence[str], code: int, output: str, report: Report | None = None) -> Tested:
    """Whether all that is wanted passed: names of pytest by its report, others by the output, all by the exit code.

    Other tests of the same files may fail where the report has them; what unittest runs has to pass to the last.
    """
    passed, failed = report or Report(frozenset(), frozenset())
    of_pytest = [name for name in wanted if _is_pytests(name)]
    found = named(output) | {name for name in of_pytest if address(name) in passed}
    missing = next((name for name in wanted if name not in found), "")
    if missing:
        return Tested(False, f"{missing} does not pass")
    if code == 0 or (code == _TESTS_FAILED and failed and len(of_pytest) == len(wanted)):
        return Tested(True, "all pass", all_named=True)
    return Tested(False, f"the tests' run ends with exit code {code}", all_named=True)


def _unresolved(environment: Any, task: RolloutTask, why: str) -> Tested:
    """Unless it was the environment that ended."""
    if not lives(environment):
        raise RolloutError(f"{task.instance_id}: the environment is gone: {why}")
    return Tested(False, why)


def _applies(environment: Any, task: RolloutTask, patch: str) -> bool:
    """Whether a diff applies. Nothing of the attempt's has run yet, so what does not come to its end is our failure."""
    file = f'"{_new_file()}"'
    text = base64.b64encode(patch.encode()).decode()
    for start in range(0, len(text), _PIECE):
        _must(environment, task, f"printf %s {text[start : start + _PIECE]} >> {file}.b64")
    _must(environment, task, f"base64 -d {file}.b64 > {file}")
    code = _run(environment, _APPLY.format(file), _SECONDS).code
    if code is None:
        raise RolloutError(f"{task.instance_id}: git apply did not come to its end")
    return code == 0


def _new_file() -> str:
    """A path outside the checkout, for the environment's shell to read between double quotes."""
    return f"${{TMPDIR:-/tmp}}/swe-rm-{secrets.token_hex(8)}"


def _must(environment: Any, task: RolloutTask, command: str) -> None:
    if _run(environment, command, _SECONDS).code != 0:
        raise RolloutError(f"{task.instance_id}: could not run: {command[:_TOLD]}")


def _run(environment: Any, command: str, seconds: int) -> _Ran:
    """Run a command between two lines that nobody can foretell: exit codes of docker's own look like the command's."""
    mark = secrets.token_hex(16)
    wrapped = f"echo {mark}\n( {command}\n)\ncode=$?; echo; echo {mark} $code"
    told = environment.execute({"command": wrapped}, timeout=seconds)
    hangs = told.get("extra", {}).get("exception_type") == "TimeoutExpired"
    end = re.search(rf"^{mark} (\d+)\s*\Z", told["output"], re.MULTILINE)
    output = told["output"][: end.start()] if end else told["output"]
    return _Ran(output.partition(f"{mark}\n")[2], int(end[1]) if end else None, hangs)
