"""The evaluation list is read in every form, and an attempt at one of its tasks is recognised by each rule alone."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_rm.errors import RecordError
from swe_rm.mix.config import Decontaminate, Overlap
from swe_rm.mix.evaluation_list import EvaluationList, changed, n_grams, read_evaluation
from swe_rm.mix.manifest import digest
from swe_rm.mix.task_rows import TaskRow, holds_task_rows, read_task_rows
from swe_rm.trajectory import Task
from tests.mixing import pool, stored
from tests.test_steps import log, said, user

ISSUE = " ".join(f"The lamp number {n} stays dark when its wick is wet." for n in range(8))
FIX = """--- a/lamp.py
+++ b/lamp.py
@@ -1,2 +1,3 @@
 def light(wick):
-    burn(wick)
+    if wick.is_wet:
+        wick = dry(wick, minutes=3)
+    burn(wick, slowly=True)
"""
LISTED = TaskRow(
    instance_id="tinkers__lantern-99", repo="tinkers/lantern", base_commit="c0ffee", statement=ISSUE, patch=FIX
)


def rows(file: Path, *values: Any) -> Path:
    file.write_text("".join(json.dumps(value) + "\n" for value in values))
    return file


def recognised(statement: str = "", made_patch: str = "+y", row: TaskRow | None = None, **rules: Any) -> str:
    settings = Decontaminate.model_validate({"against": ["x"], **rules})
    task = Task(instance_id="tinkers__lantern-12", statement=statement)
    made = log(user("ask"), said("done"), patch=made_patch).model_copy(update={"task": task})
    return str(EvaluationList(settings, {LISTED.instance_id: LISTED}).match(made, row) or "")


@pytest.mark.parametrize(
    "repo", ["https://github.com/Tinkers/Lantern", "git@host:tinkers/lantern.git", "tinkers__lantern"]
)
def test_a_repository_is_the_same_however_it_is_named(repo: str) -> None:
    row = TaskRow(instance_id="x", repo=repo, base_commit="C0FFEE")
    assert recognised(row=row).startswith("base_commit of tinkers__lantern-99")


def test_what_a_rule_says_nothing_of_is_counted() -> None:
    settings = Decontaminate.model_validate({"against": ["x"]})
    listed = EvaluationList(settings, {"a": LISTED, "b": TaskRow(instance_id="b")})
    assert listed.without() == {"base_commit": 1, "issue": 1, "patch": 1}
    bare = log(user("ask"), said("done"), patch="+y")
    assert listed.unchecked(bare, None) == ("base_commit", "issue", "patch")
    told = bare.model_copy(update={"task": Task(instance_id="c", statement=ISSUE), "patch": FIX})
    assert listed.unchecked(told, TaskRow(instance_id="c", base_commit="f")) == ()


def test_a_list_that_cannot_be_read_whole_is_refused(tmp_path: Path) -> None:
    ids = tmp_path / "ids.txt"
    ids.write_text("# mine\na__b-1\n")
    assert list(read_evaluation([ids])) == ["a__b-1"]
    ids.write_text("a__b-1, a__b-2\n")
    with pytest.raises(RecordError, match="line 1: holds 'a__b-1, a__b-2': one id a line"):
        read_evaluation([ids])
    torn = rows(tmp_path / "preds.jsonl", {"instance_id": "a__b-9", "model_name_or_path": "m", "model_patch": "+x\n"})
    with torn.open("a") as file:
        file.write('{"instance_id": "a__b-8", "model_na')
    with pytest.raises(RecordError, match=r"line 2.*an evaluation list must be read whole"):
        read_evaluation([torn])
    untried = {"instance_id": "a__b-7", "model_name_or_path": "m", "model_patch": ""}
    made = {"instance_id": "a__b-9", "model_name_or_path": "m", "model_patch": "+x\n"}
    assert set(read_evaluation([rows(tmp_path / "some.jsonl", untried, made)])) == {"a__b-7", "a__b-9"}
    with pytest.raises(RecordError, match=r"an attempt, not a task \(has model_patch\)"):
        read_task_rows([rows(tmp_path / "p.jsonl", {"instance_id": "a__b-9", "model_patch": "+x"})])


def test_the_list_is_read_as_tasks_ids_or_attempts(tmp_path: Path) -> None:
    task = {"instance_id": "a__b-1", "repo": "a/b", "base_commit": "c", "problem_statement": "s", "gold_patch": "+x"}
    as_rows = read_evaluation([rows(tmp_path / "tasks.jsonl", task, {"instance_id": "a__b-2", "base_commit": None})])
    assert as_rows["a__b-1"] == TaskRow(instance_id="a__b-1", repo="a/b", base_commit="c", statement="s", patch="+x")
    assert as_rows["a__b-2"] == TaskRow(instance_id="a__b-2")
    ids = tmp_path / "ids.txt"
    ids.write_text("a__b-1\n\na__b-3\n")
    assert list(read_evaluation([ids])) == ["a__b-1", "a__b-3"]
    attempts = stored(pool(tasks=2), tmp_path / "attempts")
    found = read_evaluation([attempts, ids])
    assert set(found) == {"acme__tool-0", "acme__tool-1", "a__b-1", "a__b-3"}
    assert found["acme__tool-0"].statement
    prediction = {"instance_id": "a__b-9", "model_name_or_path": "m", "model_patch": "+x\n"}
    assert set(read_evaluation([rows(tmp_path / "preds.jsonl", prediction)])) == {"a__b-9"}


def test_a_downloaded_set_is_a_folder_of_rows(tmp_path: Path) -> None:
    first, second = ({"instance_id": f"a__b-{n}", "repo": "a/b", "problem_statement": f"s{n}"} for n in (1, 2))
    folder = tmp_path / "verified"
    (folder / "data").mkdir(parents=True)
    rows(folder / "data" / "train.jsonl", first)
    pyarrow_parquet = pytest.importorskip("pyarrow.parquet", reason="no pyarrow: pip install 'swe-rm[data]'")
    table = pytest.importorskip("pyarrow").Table.from_pylist([second, first])
    pyarrow_parquet.write_table(table, folder / "data" / "test-00000-of-00001.parquet")
    (folder / "README.md").write_text("# Rows\n")
    (folder / "dataset_infos.json").write_text("{}")
    (folder / "LICENSE").write_text("Do as you like.")
    (folder / ".cache").mkdir()
    rows(folder / ".cache" / "old.jsonl", {"instance_id": "a__b-3"})
    assert list(read_task_rows([folder])) == ["a__b-2", "a__b-1"]
    assert read_evaluation([folder]) == read_task_rows([folder])
    before = digest(folder)
    rows(folder / ".cache" / "old.jsonl", {"instance_id": "a__b-4"})
    assert digest(folder) == before
    rows(folder / ".shown.jsonl", second)
    assert digest(folder) != before
    before = digest(folder)
    rows(folder / "data" / "train.jsonl", second)
    assert digest(folder) != before


def test_a_folder_of_rows_is_read_whole(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="the folder holds no files of tasks"):
        read_task_rows([tmp_path])
    rows(tmp_path / "a.jsonl", {"instance_id": "a__b-1", "base_commit": "f", "problem_statement": "s"})
    made = {"instance_id": "a__b-9", "model_name_or_path": "m", "model_patch": "+x\n"}
    rows(tmp_path / "preds.jsonl", made)
    with pytest.raises(RecordError, match=r"preds.jsonl: line 1: an attempt, not a task"):
        read_task_rows([tmp_path])
    assert set(read_evaluation([tmp_path])) == {"a__b-1", "a__b-9"}  # what is lost here would be trained on


def test_what_is_no_list_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "ids.txt"
    empty.write_text("\n")
    with pytest.raises(RecordError, match="holds no ids"):
        read_evaluation([empty])
    broken = rows(tmp_path / "tasks.jsonl", {"instance_id": "a__b-1"}, {"repo": "a/b"})
    with pytest.raises(RecordError, match=r"tasks.jsonl: line 2: names no task"):
        read_evaluation([broken])
    (tmp_path / "damaged.jsonl").write_text('{"instance_id": "a__b-1"}\n{"instance_id": \n')
    with pytest.raises(RecordError, match="line 2"):
        read_task_rows([tmp_path / "damaged.jsonl"])
    with pytest.raises(RecordError, match="nowhere"):
        read_evaluation([tmp_path / "nowhere.jsonl"])
    assert not holds_task_rows(tmp_path / "nowhere")


def test_each_rule_recognises_by_itself_and_can_be_switched_off() -> None:
    at = TaskRow(instance_id="tinkers__lantern-12", repo="tinkers/lantern", base_commit="c0ffee")
    assert recognised(row=at) == "base_commit of tinkers__lantern-99 on the evaluation list"
    assert recognised(row=at, base_commit=False) == ""
    assert recognised(row=at.model_copy(update={"repo": "tinkers/lamp"})) == ""
    quoted = "Seen again in spring. " + ISSUE
    assert recognised(quoted) == "issue of tinkers__lantern-99 on the evaluation list: 100% of 63 word n-grams"
    assert recognised("", row=TaskRow(instance_id="tinkers__lantern-12", statement=quoted)).startswith("issue of")
    assert recognised(quoted, issue=None) == ""
    moved = FIX.replace("lamp.py", "other.py").replace("@@ -1,2", "@@ -7,2")
    assert recognised(made_patch=moved).startswith("patch of tinkers__lantern-99 on the evaluation list: 100% of 7")
    assert recognised(made_patch=moved, patch=None) == ""


def test_the_share_is_that_of_the_shorter_text() -> None:
    words = ISSUE.split()
    half = " ".join(words[: len(words) // 2]) + " and something else was lit instead of it" * 9
    assert recognised(half, issue={"n": 8, "share": 0.9}) == ""
    assert recognised(half, issue={"n": 8, "share": 0.3}).startswith("issue of")
    assert recognised(" ".join(words[:20]), issue={"n": 8, "share": 1}).endswith("100% of 13 word n-grams")
    assert recognised("The lamp number 0 stays dark", issue={"n": 8, "share": 0.1}) == ""


def test_what_a_form_says_in_comments_is_nobodys_issue() -> None:
    form = "<!-- " + ISSUE + " -->"
    assert recognised(form + " The door stays open in the wind and nobody closes it.") == ""


def test_names_of_files_do_not_make_patches_alike() -> None:
    assert changed(FIX).split("\n")[0] == "    burn(wick)"
    assert "lamp.py" not in changed(FIX)


@given(st.lists(st.sampled_from(["a", "b", "C", "é"]), max_size=12), st.integers(1, 4))
def test_n_grams_are_those_of_the_slow_twin(words: list[str], n: int) -> None:
    slow = {tuple(word.lower() for word in words[at : at + n]) for at in range(len(words) - n + 1)}
    assert len(n_grams(" ".join(words), n)) == len(slow)
    again = n_grams(", ".join(word.upper() for word in words), n)
    assert again.tolist() == n_grams(" ".join(words), n).tolist()


def test_an_overlap_rule_has_limits() -> None:
    with pytest.raises(ValueError, match="share"):
        Overlap(share=0)
