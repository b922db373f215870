"""Patches that make one change are one vote, and others are not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_rm.selection.equivalence import patch_class

LAMP = """diff --git a/lamp.py b/lamp.py
--- a/lamp.py
+++ b/lamp.py
@@ -3,4 +3,5 @@ class Lamp:
     def off(self):
-        self.lit = True
+        if self.lit:
+            self.lit = False
         return self
"""


def patched(old: str, new: str, patch: str = LAMP) -> str:
    assert old in patch
    return patch.replace(old, new)


SAME = {
    "spaces inside a line": patched("self.lit = False", "self.lit  =False"),
    "a comment behind code": patched("if self.lit:", "if self.lit:  # only then"),
    "a comment line": patched("+        if", "+        # the lamp may be off\n+        if"),
    "a blank line": patched("+        if", "+\n+        if"),
    "tabs": patched("+            self", "+\t\tself", patched("+        if", "+\tif")),
    "line numbers and the hunk's heading": patched("@@ -3,4 +3,5 @@ class Lamp:", "@@ -13,4 +13,5 @@"),
    "line ends": LAMP.replace("\n", "\r\n"),
    "no git head": LAMP.partition("\n")[2],
    "less context": LAMP.replace("         return self\n", ""),
    "a test beside it": LAMP + "--- /dev/null\n+++ b/tests/test_lamp.py\n@@ -0,0 +1 @@\n+def test_off(): pass\n",
    "a line written anew": patched("-        self", "-        a = 1\n-        self").replace(
        "+        if", "+        a=1\n+        if"
    ),
}
OTHER = {
    "another value": patched("False", "None"),
    "another file": LAMP.replace("lamp.py", "lantern.py"),
    "one line less": patched("+        if self.lit:\n", ""),
    "another depth": patched("+            self.lit = False", "+        self.lit = False"),
    "spaces in a string": patched("False", "'a b'"),
    "a hash in a string": patched("False", "'#'"),
}


@pytest.mark.parametrize("patch", SAME.values(), ids=SAME)
def test_whitespace_comments_and_tests_are_no_difference(patch: str) -> None:
    assert patch != LAMP
    assert patch_class(patch) == patch_class(LAMP) != ""


@pytest.mark.parametrize("patch", OTHER.values(), ids=OTHER)
def test_code_is(patch: str) -> None:
    assert patch_class(patch) != patch_class(LAMP)


def test_strings_keep_their_spaces_and_hashes() -> None:
    assert patch_class(patched("False", "'a b'")) != patch_class(patched("False", "'ab'"))
    assert patch_class(patched("False", "'#a'")) != patch_class(patched("False", "'#b'"))


def test_the_same_line_elsewhere_is_another_change() -> None:
    added = (
        "--- a/lamp.py\n+++ b/lamp.py\n@@ -1,2 +1,3 @@\n     def {}(self):\n+        self.lit = 0\n         return\n"
    )
    assert patch_class(added.format("off")) != patch_class(added.format("on"))


def test_comments_of_other_languages() -> None:
    patch = "--- a/Lamp.java\n+++ b/Lamp.java\n@@ -1 +1 @@\n-lit = true;\n+lit = false;{}\n"
    assert patch_class(patch.format(" // off /* now */")) == patch_class(patch.format("\n+/* off\n+ * now\n+ */"))
    assert patch_class(patch.format(' log("//a");')) != patch_class(patch.format(' log("//b");'))


@pytest.mark.parametrize("patch", ["", " \n"])
def test_nothing_is_no_vote(patch: str) -> None:
    assert patch_class(patch) == ""


def test_comments_alone_change_no_code() -> None:
    assert patch_class("--- a/a.py\n+++ b/a.py\n@@ -1 +1,2 @@\n x = 1\n+# one\n") == ""


def test_a_rename_and_tests_alone_are_changes() -> None:
    moved = "diff --git a/a.py b/b.py\nsimilarity index 100%\nrename from a.py\nrename to b.py\n"
    tests = "--- a/tests/test_a.py\n+++ b/tests/test_a.py\n@@ -1 +1 @@\n-x = 1\n+x = {}\n"
    assert patch_class(moved) != ""
    assert patch_class(tests.format(2)) != patch_class(tests.format(3))


def test_text_that_is_no_diff_equals_itself() -> None:
    assert patch_class("x =  1\n") == patch_class("x = 1") != patch_class("x = 2")


@given(st.text(alphabet=" +-@#/*'\"\\\nab", max_size=60), st.booleans())
def test_any_text_has_a_class_and_the_order_of_files_is_none(text: str, headed: bool) -> None:
    other = "--- a/z.py\n+++ b/z.py\n@@ -1 +1 @@\n-a\n+b\n"
    body = f"--- a/y.py\n+++ b/y.py\n@@ -1 +1 @@\n{text}\n" if headed else text
    assert patch_class(body) == patch_class(body)
    first = "--- a/y.py\n+++ b/y.py\n@@ -1 +1 @@\n-c\n+d\n"
    assert patch_class(first + other) == patch_class(other + first)
