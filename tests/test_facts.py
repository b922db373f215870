"""Facts are finite, documented, blind to origin, and what their names say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as fast

from swe_rm.trajectory import Message, Task, Trajectory
from swe_rm.verifiers import facts as f
from tests.conftest import attempt
from tests.test_render import hostile_attempts

PATCH = """--- /dev/null
+++ b/repro.py
@@ -0,0 +1,2 @@
+import os
+# why
--- a/t/test_a.py
+++ b/t/test_a.py
@@ -1 +0,0 @@
-x
"""


def named(trajectory: Trajectory) -> dict[str, float]:
    return dict(zip(f.FACTS, f.facts(trajectory), strict=True))


@fast(max_examples=60, deadline=None)
@given(trajectory=hostile_attempts())
def test_every_attempt_has_finite_facts(trajectory: Trajectory) -> None:
    assert np.isfinite(f.facts(trajectory)).all()


def test_origin_is_never_looked_at() -> None:
    assert np.array_equal(f.facts(attempt(policy="a")), f.facts(attempt(policy="b")))


def test_each_fact_says_what_it_is() -> None:
    assert all(len(meaning) > 8 for meaning, _ in f.FACTS.values())
    assert len({meaning for meaning, _ in f.FACTS.values()}) == len(f.FACTS)


def test_habits_are_what_they_name() -> None:
    edit = Message(role="assistant", content="Unfortunately hard.\n```bash\nsed -i s/a/b/ tool.py\n```")
    run = Message(role="assistant", content="```bash\npython -m pytest\n```")
    failed = Message(role="tool", content="<returncode>1</returncode>\n<output>\n1 failed, 2 passed\n</output>")
    passed = Message(role="tool", content="<returncode>0</returncode>\n<output>\n3 passed\n</output>")
    end = Message(role="assistant", content="All tests pass, it is fixed.\n```bash\nsubmit\n```")
    base = attempt(patch=PATCH)
    seen = named(base.model_copy(update={"messages": (edit, failed, run, failed, run, passed, end)}))
    expected = {
        "turns": 4, "actions": 4, "edit_actions": 1, "test_runs": 2, "tests_after_edit": 2, "last_test": 1,
        "failed_tests": 0.5, "repeats": 0.25, "failures": 2 / 3, "submitted": 1, "final_claims": 2,
        "hedges": 0.25, "patch_files": 2, "patch_hunks": 2, "patch_added": 2, "patch_removed": 1,
        "patch_new_files": 1, "patch_tests": 1, "patch_scripts": 1, "patch_imports": 1, "patch_comments": 0.5,
        "patch_empty": 0, "end_passed": 1, "end_failed": 1,
    }  # fmt: skip
    assert {name: seen[name] for name in expected} == pytest.approx(expected)
    bare = named(
        attempt().model_copy(
            update={"messages": (), "patch": "", "finished": False, "task": Task(instance_id="a__b-1")}
        )
    )
    assert bare["patch_empty"] == 1
    assert bare["finished"] == bare["actions"] == bare["last_test"] == 0


def test_habits_come_first_and_are_computed_alike() -> None:
    assert list(f.FACTS)[: len(f.HABITS)] == list(f.HABITS)
    assert np.array_equal(f.facts(attempt(patch=PATCH))[: len(f.HABITS)], f.habits(attempt(patch=PATCH)))


ISSUE = """`Tool.run` fails with ValueError, see lib/tool.py:

```python
tool = Tool(speed=3)
tool.run()
```

Traceback (most recent call last):
  File "/x/site-packages/lib/base.py", line 3, in call
  File "/x/site-packages/lib/tool.py", line 9, in run
ValueError: bad speed
"""
FIX = """diff --git a/lib/tool.py b/lib/tool.py
--- a/lib/tool.py
+++ b/lib/tool.py
@@ -7,4 +7,6 @@ def run(self):
     before = self.speed
-    return check(before, 1)
+    if before is None:
+        return 0
+    return check(before, 2)
@@ -40,2 +42,2 @@ def stop(self):
-    pass
+    self.halted_by_guess = 1
"""


def run_of(command: str, shown: str, code: int = 0) -> tuple[Message, Message]:
    say = Message(role="assistant", content=f"Actually, wait.\n```bash\n{command}\n```")
    return say, Message(role="tool", content=f"<returncode>{code}</returncode>\n<output>\n{shown}\n</output>")


@pytest.mark.parametrize("issue", ["`" * 60_000, '"' * 60_000, "a" * 60_000, 'File "' * 10_000, "A.py/" * 12_000])
def test_no_issue_takes_long(issue: str) -> None:
    """A pattern that goes back over what it has read takes 20 s of the third: the suite would crawl."""
    found = named(attempt(patch=FIX).model_copy(update={"task": Task(instance_id="a__b-1", statement=issue)}))
    assert found["issue_characters"] == pytest.approx(np.log1p(len(issue)))


def test_a_function_that_two_files_have_is_one_name() -> None:
    frames = 'File "lib/tool.py", line 3, in run\nFile "lib/base.py", line 9, in run\n'
    head = "@@ -1 +1 @@ def rerun(self):\n-    pass\n+    go()\n"
    patch = f"--- a/lib/tool.py\n+++ b/lib/tool.py\n{head}"
    task = Task(instance_id="a__b-1", statement=frames)
    assert named(attempt(patch=patch).model_copy(update={"task": task}))["frame_in_hunk"] == 0
    asked = attempt(patch=patch.replace("rerun", "run")).model_copy(update={"task": task})
    assert named(asked)["frame_in_hunk"] == 1


def test_relations_are_what_they_name() -> None:
    messages = (
        *run_of("cat lib/tool.py", "check(before, 1)"),
        *run_of("python try.py # tool = Tool(speed=3)", "ValueError: bad speed", 1),
        *run_of("cat > lib/other.py <<E\nnothing at all\nE", ""),
        *run_of("python -m pytest tests/test_tool.py", "1 failed, 2 passed", 1),
        *run_of("sed -i 's/x/    return check(before, 2)/' lib/tool.py", ""),
        *run_of("git checkout lib/other.py", ""),
        *run_of("python try.py", "`Tool.run` is well: Tool.run"),
        *run_of("python -m pytest tests/test_tool.py", "3 passed"),
    )
    task = Task(instance_id="a__b-1", statement=ISSUE)
    seen = named(attempt(patch=FIX).model_copy(update={"messages": messages, "task": task}))
    expected = {
        "patch_in_traceback": 1, "frame_in_hunk": 0.5, "issue_path_patched": 0.5, "issue_code_lines": 2,
        "issue_code_tried": 0.5, "quoted_shown": 1 / 3, "issue_error_before": 1, "issue_error_after": 0,
        "scripts_turned": 1, "tests_turned": 1, "scripts_after_edit": 1, "script_errors_after_edit": 0,
        "test_passes_after_edit": 1, "passed_tests": 3, "own_tests": 1, "first_sight": 0, "undone": 1,
        "dropped_edits": 0.5, "most_edited": 1, "last_written": 1 / 3, "rounds": 1, "stuck": 1, "doubts": 2,
        "hunk_spread": 33, "special_cases": 0, "guards": 0.25, "returns": 0.5, "path_depth": 1,
        "lines_of_removed": 2 / 6, "likeness": (6 / 8 + 0) / 2,
    }  # fmt: skip
    assert {name: seen[name] for name in expected} == pytest.approx(expected)
