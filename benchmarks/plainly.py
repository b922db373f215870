"""The playground's runs the plain way, which the sandbox is held to: a shell or an interpreter for each, no limits."""

import re
import subprocess
import sys
import time
from collections.abc import Sequence

from swe_rm.playground.sandbox import Ran, Sandbox, Scratch

_RESULT = re.compile(r"^\w+ \((\S+?)\)(?:\n.*?)? \.\.\. (ok|FAIL|ERROR|skipped.*)$", re.MULTILINE)


class Plain(Sandbox):
    """Runs everything by subprocess, unconfined."""

    def run(self, within: Scratch, command: str) -> Ran:
        return _ran(within, ["bash", "-c", command])

    def run_tests(self, within: Scratch, names: Sequence[str] | None = None) -> Ran:
        ran = _ran(within, [sys.executable, "-m", "unittest", "-v", *(names or ())])
        tests = {name: "passed" if result == "ok" else "failed" for name, result in _RESULT.findall(ran.output)}
        return ran.model_copy(update={"tests": tests})


def _ran(within: Scratch, command: Sequence[str]) -> Ran:
    began = time.monotonic()
    done = subprocess.run(
        command, cwd=within.checkout, env=within.variables, capture_output=True, text=True, check=False
    )
    output = done.stdout + done.stderr
    return Ran(ended="", code=done.returncode, output=output, tests={}, seconds=time.monotonic() - began, cpu_seconds=0)
