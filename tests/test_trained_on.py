"""What a card, a mix or a list tells of the tasks a verifier has seen."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard

from swe_rm import store
from swe_rm.__main__ import main
from swe_rm.calibrate import fit
from swe_rm.errors import RecordError, SweRmError
from swe_rm.trained_on import SHIPPED_TASKS, ShippedTasks, shipped_tasks, task_hash, trained_tasks, untold
from swe_rm.trajectory import Labelled, Task
from swe_rm.verifiers import SHIPPED, ShippedFile, load_verifier
from swe_rm.verifiers.arrays import read_card
from swe_rm.verifiers.calibrated import Calibration, save

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


@pytest.mark.parametrize(("stop", "expected"), [(None, {"a"}), ({"metric": "auc"}, {"a", "d"})])
def test_outcomes_that_chose_the_weights_were_seen(tmp_path: Path, stop: Any, expected: set[str]) -> None:
    ids(tmp_path / "train.txt", {"a"})
    ids(tmp_path / "dev.txt", {"d"})
    hold_out = None if stop is None else {"fold": 1 - Task(instance_id="a").fold(2), "folds": 2}
    folder = card(tmp_path / "model", data=["train.txt"], dev=["dev.txt"], stop=stop, hold_out=hold_out)
    assert trained_tasks([folder]) == expected


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


TRAINED = "tinkers__lantern-12"


@pytest.fixture
def lantern_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list like the shipped one, with one task of ours."""
    file = tmp_path / "trained_tasks.json"
    names = list(read_card(SHIPPED_TASKS, ShippedTasks).verifiers)
    file.write_text(json.dumps({"verifiers": names, "tasks": [task_hash(TRAINED)]}))
    monkeypatch.setattr("swe_rm.trained_on.SHIPPED_TASKS", file)


@pytest.mark.parametrize(
    ("name", "is_shipped"),
    [
        ("swe-rm-blend@1", True),
        ("swe-rm-blend@1+bfloat16", True),
        ("platt(features@1)@8e76ba07", True),
        ("isotonic(swe-rm-blend@1)@0a1b2c3d", True),
        ("mean(mine@2,words-tail@1)", True),
        ("swe-rm-blend@2", True),
        ("swe-rm-blend@3", True),
        ("mean(mine@2,words-patch@2)", True),
        ("swe-rm-blend@4", False),
        ("swe-rm-blend@1.0a1b2c3d", False),
        ("my-features@1", False),
        ("constant@1", False),
        (None, False),
    ],
)
@pytest.mark.usefixtures("lantern_is_known")
def test_what_is_shipped_is_known_by_its_name(name: str | None, is_shipped: bool) -> None:
    assert shipped_tasks(name, {TRAINED, "tinkers__lantern-13"}) == ({TRAINED} if is_shipped else frozenset())


def test_all_that_is_shipped_is_on_the_list() -> None:
    shipped = read_card(SHIPPED_TASKS, ShippedTasks)
    features = [
        load_verifier(spec).name for spec in ("features", str(SHIPPED / "features"), str(SHIPPED / "words-tail"))
    ]
    file = read_card(SHIPPED / "verifiers.json", ShippedFile)
    assert {*features, file.default.name} <= set(shipped.verifiers)
    card = json.loads((SHIPPED / "model" / "swe_rm.json").read_text())
    assert f"{card['name']}@{card['version']}.{card['training']['digest'][:8]}" in shipped.verifiers
    assert len(shipped.tasks) > 400
    assert all(len(task) == 8 for task in shipped.tasks)


@pytest.mark.shared_data
def test_every_task_of_the_training_data_is_on_the_list_and_no_other(shared_data: Path) -> None:
    train, dev = ({row["instance_id"] for row in rows_of(shared_data / f"{part}_attempts.jsonl.zst")} for part in PARTS)
    assert shipped_tasks("swe-rm-blend@1", train) == train
    assert shipped_tasks("swe-rm-blend@1", dev) == frozenset()


PARTS = ("train", "dev")


def rows_of(file: Path) -> Iterator[dict[str, Any]]:
    with zstandard.open(file, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def test_a_calibrator_whose_tasks_nobody_named_is_told(tmp_path: Path) -> None:
    found = calibration(tmp_path / "cal")
    assert untold(found.name, None, []) == (f"the calibrator of {found.name}",)
    assert untold(f"mean({found.name},features@1)", None, []) == (f"the calibrator of mean({found.name},features@1)",)
    assert untold(found.name, None, [tmp_path / "cal"]) == ()
    assert untold(found.name, f"calibrated:{tmp_path / 'cal'}", []) == ()
    assert untold("platt(features@1)@8e76ba07", None, []) == untold("features@1", None, []) == ()
    assert untold("platt(features@1)@00000000", None, []) != ()
    assert untold(None, None, []) == ()


def test_a_checkpoint_whose_data_nobody_named_is_told(tmp_path: Path) -> None:
    folder = card(tmp_path / "model", data=["train.txt"])
    assert untold("m@1", str(folder), []) == (str(folder),)
    assert untold("m@1", str(folder), [folder]) == ()
    assert untold("swe-rm-blend@1", "default", []) == untold("constant@1", "constant", []) == ()


def calibration(folder: Path) -> Calibration:
    found = Calibration(
        verifier="constant", verifier_name="constant@1", tasks=("a",), base_rate=0.5, ece_before=None, ece_after=None,
        calibrator=fit("platt", np.linspace(0, 1, 8), np.arange(8) % 3 == 0),
    )  # fmt: skip
    save(folder, found)
    return found


@pytest.mark.usefixtures("lantern_is_known")
def test_recorded_verdicts_are_known_by_the_name_they_carry(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [(task, str(n)) for n in range(4) for task in (TRAINED, "tinkers__lantern-13")]
    rows = [{"instance_id": task, "policy": "otter", "attempt": n, "resolved": n > "1"} for task, n in names]
    (tmp_path / "outcomes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for verifier, told in (
        ("swe-rm-blend@1", "- seen in training: 1 of 2 tasks (4 attempts)"),
        ("beta(other@3)@0a1b2c3d", "- training tasks unknown: the tasks that the calibrator of beta(other@3)@0a1b2c3d"),
    ):
        judged = [{**row, "score": 0.1 * number, "verifier": verifier} for number, row in enumerate(rows)]
        (tmp_path / "v.jsonl").write_text("".join(json.dumps(row) + "\n" for row in judged))
        argv = ["evaluate", tmp_path / "outcomes.jsonl", "--verdicts", tmp_path / "v.jsonl", "--resamples", 100]
        assert main([str(word) for word in argv]) == 0
        assert told in " ".join(capsys.readouterr().out.split())


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
