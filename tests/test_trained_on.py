"""What a card, a mix or a list tells of the tasks a verifier has seen."""

import json
from pathlib import Path
from typing import Any

import pytest
import zstandard

from swe_rm import store
from swe_rm.__main__ import main
from swe_rm.errors import RecordError, SweRmError
from swe_rm.trained_on import told_by_card, trained_tasks
from swe_rm.trajectory import Labelled, Task
from swe_rm.verifiers import SHIPPED

TASKS = {f"acme__tool-{number}" for number in range(6)}


def card(folder: Path, **config: Any) -> Path:
    folder.mkdir()
    (folder / "swe_rm.json").write_text(json.dumps({"training": {"config": config}}))
    return folder


def ids(file: Path, tasks: set[str]) -> Path:
    file.write_text("\n".join(sorted(tasks)))
    return file


def test_lists_and_attempts_tell_their_tasks(tmp_path: Path, labelled_pool: list[Labelled]) -> None:
    store.write(iter(labelled_pool), tmp_path / "shards")
    assert trained_tasks([tmp_path / "shards"]) == TASKS
    assert trained_tasks([ids(tmp_path / "a.txt", {"a", "b"}), ids(tmp_path / "b.txt", {"c"})]) == {"a", "b", "c"}
    assert trained_tasks([]) == frozenset()


def test_a_card_tells_the_tasks_of_its_files(tmp_path: Path) -> None:
    ids(tmp_path / "train.txt", {"a", "b"})
    ids(tmp_path / "more.txt", {"c"})
    folder = card(tmp_path / "model", data=["train.txt"], auxiliary=["more.txt"], hold_out=None)
    assert trained_tasks([folder]) == {"a", "b", "c"}


def test_tasks_a_run_held_out_were_not_trained_on(tmp_path: Path) -> None:
    ids(tmp_path / "train.txt", TASKS)
    folder = card(tmp_path / "model", data=["train.txt"], hold_out={"fold": 1, "folds": 3})
    assert trained_tasks([folder]) == {task for task in TASKS if Task(instance_id=task).fold(3) != 1}


def test_a_card_whose_files_are_gone_or_not_named_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SweRmError, match=r"trained on gone\.txt, which is not found"):
        trained_tasks([card(tmp_path / "model", data=["gone.txt"])])
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "swe_rm.json").write_text("{}")
    with pytest.raises(RecordError, match="does not say what it was trained on"):
        trained_tasks([tmp_path / "bare"])
    (tmp_path / "bare" / "swe_rm.json").write_text("{")
    with pytest.raises(RecordError, match="is no JSON"):
        trained_tasks([tmp_path / "bare"])


@pytest.mark.parametrize(("sampled", "expected"), [(None, "train"), (["dev"], "dev")])
def test_a_mix_tells_the_parts_that_were_sampled(
    tmp_path: Path, labelled_pool: list[Labelled], sampled: list[str] | None, expected: str
) -> None:
    for part, rows in (("train", labelled_pool[:8]), ("dev", labelled_pool[8:])):
        store.write(iter(rows), tmp_path / part)
    splits = {"parts": {"train": [0], "dev": [1]}, "sampled": sampled}
    (tmp_path / "mix.json").write_text(json.dumps({"config": {"splits": splits}}))
    rows = labelled_pool[:8] if expected == "train" else labelled_pool[8:]
    assert trained_tasks([tmp_path]) == {item.trajectory.task.instance_id for item in rows}


def test_evaluating_on_a_file_that_the_card_names_is_seen(tmp_path: Path) -> None:
    evaluated = [ids(tmp_path / "train.txt", TASKS), ids(tmp_path / "fresh.txt", {"new"})]
    folder = card(tmp_path / "model", data=["train.txt"])
    assert told_by_card(str(folder), evaluated) == TASKS
    assert told_by_card(str(folder), [tmp_path]) == TASKS
    assert told_by_card(str(folder), evaluated[1:]) == frozenset()
    assert told_by_card(str(tmp_path), evaluated) == told_by_card("constant", evaluated) == frozenset()


@pytest.mark.parametrize("name", ["default", "model", "features"])
def test_what_is_shipped_knows_its_training_files(tmp_path: Path, name: str) -> None:
    document = json.loads((SHIPPED / "model" / "swe_rm.json").read_text())
    file = tmp_path / document["training"]["config"]["data"][0]
    row = {"source": "made", "scaffold": "loop", "instance_id": "a", "policy": "p", "run": "1", "messages": None,
           "patch": "+1", "resolved": True}  # fmt: skip
    file.write_bytes(zstandard.compress(json.dumps(row).encode()))
    assert told_by_card(name, [file]) == {"a"}
    assert told_by_card(name, [ids(tmp_path / "fresh.txt", {"a"})]) == frozenset()


def test_the_command_says_so_on_top(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"source": "made", "scaffold": "loop", "instance_id": f"pond__reeds-{n // 2}", "policy": "otter", "run": str(n),
         "messages": None, "patch": f"+{n}", "resolved": n % 2 == 0} for n in range(8)
    ]  # fmt: skip
    (tmp_path / "pile.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    seen, out = ids(tmp_path / "seen.txt", {"pond__reeds-1", "pond__reeds-3"}), tmp_path / "e.json"
    argv = ["evaluate", tmp_path / "pile.jsonl", "--verifier", "constant", "--trained-on", seen, "--json", out]
    assert main([str(word) for word in argv]) == 0
    assert "- seen in training: 2 of 4 tasks (4 attempts)" in capsys.readouterr().out
    pitfalls = json.loads(out.read_text())["pitfalls"]
    assert [one["name"] for one in pitfalls][:2] == ["seen in training", "constant scores"]
