"""A task of the lamp world for rollouts: its folder takes a container image's place, commands run in a copy of it."""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from minisweagent.environments.local import LocalEnvironment

TASK_ID = "tinkers__lantern-12"
STATEMENT = "Lit, the lamp stays dark."
LAMP = "class Lamp:\n    wick = 3\n\n    def lit(self):\n        return not self.wick\n"
TEST_PATCH = """\
diff --git a/tests/test_lamp.py b/tests/test_lamp.py
new file mode 100644
--- /dev/null
+++ b/tests/test_lamp.py
@@ -0,0 +1,11 @@
+import unittest
+
+from lamp import Lamp
+
+
+class LampTest(unittest.TestCase):
+    def test_lit(self):
+        self.assertTrue(Lamp().lit())
+
+    def test_wick(self):
+        self.assertEqual(Lamp.wick, 3)
"""
GOLD = """\
diff --git a/lamp.py b/lamp.py
--- a/lamp.py
+++ b/lamp.py
@@ -4 +4 @@
-        return not self.wick
+        return bool(self.wick)
"""
ENVIRONMENT = {"environment_class": "tests.rollouting.Copied", "timeout": 20}
SETTINGS = {"environment": ENVIRONMENT, "step_limit": 6, "test_seconds": 20}

LOOK = "I look.\n\n```mswea_bash_command\ncat lamp.py\n```"
MEND = "I mend.\n\n```mswea_bash_command\nsed -i 's/not self.wick/bool(self.wick)/' lamp.py\n```"
SPOIL = "I spoil.\n\n```mswea_bash_command\nsed -i 's/wick = 3/wick = 0/' lamp.py\n```"
SUBMIT = (
    "Done.\n\n```mswea_bash_command\n"
    "git diff > patch.txt; echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT && cat patch.txt\n```"
)
SOLVED = (LOOK, MEND, SUBMIT)
FAILED = (SPOIL, SUBMIT)


class Copied(LocalEnvironment):
    """A copy of the image's folder, gone at the end."""

    def __init__(self, image: str, **told: Any) -> None:
        if not Path(image).is_dir():
            raise OSError(f"no such image: {image}")
        self.root = Path(tempfile.mkdtemp(prefix="swe-rm-test-"))
        checkout = self.root / "testbed"
        shutil.copytree(image, checkout)
        for key in ("cwd", "env", "interpreter"):
            told.pop(key, None)
        variables = {"TMPDIR": str(self.root), "PYTHONDONTWRITEBYTECODE": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}
        super().__init__(cwd=str(checkout), env=variables, **told)

    def cleanup(self) -> None:
        """As a container's: all of it goes."""
        shutil.rmtree(self.root, ignore_errors=True)


class Faltering(Copied):
    """Fails the first command that holds a word, as docker does: some text and no end of the command's own."""

    def __init__(self, image: str, fails: str, **told: Any) -> None:
        super().__init__(image, **told)
        self.fails = fails

    def execute(self, action: dict[str, Any], *given: Any, **named: Any) -> dict[str, Any]:
        """Run a command."""
        if self.fails and self.fails in action["command"]:
            self.fails = ""
            return {"output": "OCI runtime exec failed", "returncode": 126, "exception_info": ""}
        return dict(super().execute(action, *given, **named))


def image(folder: Path) -> Path:
    """The lamp's repository, made below a folder."""
    found = folder / "lamp-image"
    (found / "tests").mkdir(parents=True)
    (found / "tests" / "__init__.py").write_text("")
    (found / "lamp.py").write_text(LAMP)
    who = ["-c", "user.name=tinker", "-c", "user.email=tinker@lamp.invalid"]
    for command in (["init", "-q"], ["add", "-A"], [*who, "commit", "-q", "-m", "A lamp."]):
        subprocess.run(["git", *command], cwd=found, check=True)
    return found


def record(folder: Path, **more: Any) -> dict[str, Any]:
    """The task as a data set in SWE-bench's shape has it."""
    return {
        "instance_id": TASK_ID,
        "repo": "tinkers/lantern",
        "problem_statement": STATEMENT,
        "image": str(folder),
        "patch": GOLD,
        "test_patch": TEST_PATCH,
        "test_command": "python -m unittest -v",
        "FAIL_TO_PASS": json.dumps(["tests.test_lamp.LampTest.test_lit"]),
        "PASS_TO_PASS": ["tests.test_lamp.LampTest.test_wick"],
        **more,
    }
