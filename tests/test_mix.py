"""A mix from files to files: the same bytes however it is made, every attempt accounted for, one line for bad input."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from swe_rm import store
from swe_rm.__main__ import main
from swe_rm.errors import SweRmError
from swe_rm.evaluate import evaluate
from swe_rm.mix import MixConfig, MixManifest, decide, explain, gather, mix, plan
from swe_rm.mix.config import Drop, Sample
from swe_rm.mix.engines import engine
from swe_rm.mix.steps import STEPS
from swe_rm.sources import open_pile
from swe_rm.trajectory import Labelled, Outcome
from swe_rm.verifiers.controls import controls
from tests.mixing import OFF, contents, mixing, pool, stored

HERE = Path(__file__).parents[1]
BUSY: dict[str, Any] = {
    "drop": {"near_duplicates": 0.9},
    "sample": {"positives_per_negative": 1, "per_task": 6, "keep_pairs": True, "sources": {"la*": 2, "*": 1},
               "total": 20},
    "splits": {"folds": 3, "parts": {"train": [0, 1], "held_out": [2]}},
}  # fmt: skip
"""Much at once."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three folders: two of sources of their own, one with copies, contradictions and unknown outcomes."""
    folder = tmp_path_factory.mktemp("data")
    wicks = pool(tasks=6, policies=2, source="wicks")
    moved = [with_policy(item, "wick-" + item.trajectory.origin.policy) for item in wicks]
    odd = [with_policy(item, f"copy-{n}") for n, item in enumerate(pool()[:12])]
    odd[0] = odd[0].model_copy(update={"outcome": flipped(odd[0].outcome)})
    odd[1] = odd[1].model_copy(update={"outcome": Outcome.UNKNOWN, "provenance": "report.json: infra_failure"})
    odd[2] = odd[2].model_copy(update={"outcome": Outcome.UNKNOWN, "provenance": ""})
    return [stored(items, folder / name) for name, items in (("lamps", pool()), ("wicks", moved), ("odd", odd))]


def with_policy(item: Labelled, policy: str) -> Labelled:
    origin = item.trajectory.origin.model_copy(update={"policy": policy})
    return item.model_copy(update={"trajectory": item.trajectory.model_copy(update={"origin": origin})})


def flipped(outcome: Outcome) -> Outcome:
    return Outcome.UNRESOLVED if outcome is Outcome.RESOLVED else Outcome.RESOLVED


def test_workers_and_the_order_of_files_change_no_byte(data: list[Path], tmp_path: Path) -> None:
    mix(mixing(*data, **BUSY), tmp_path / "one")
    mix(mixing(*reversed(data), **BUSY), tmp_path / "three", workers=3)
    assert contents(tmp_path / "one") == contents(tmp_path / "three")
    mix(mixing(*data, **BUSY, seed=1), tmp_path / "seed")
    assert contents(tmp_path / "one") != contents(tmp_path / "seed")


def test_the_order_of_rows_changes_which_attempts_are_drawn_as_little(data: list[Path], tmp_path: Path) -> None:
    rows = [item for folder in data for item in store.read(folder)]
    random.Random(0).shuffle(rows)
    shuffled = stored(rows, tmp_path / "shuffled")
    mix(mixing(*data, **BUSY), tmp_path / "one")
    mix(mixing(shuffled, **BUSY), tmp_path / "two")
    for part in ("train", "held_out"):
        one, two = (contents(tmp_path / mixed / part) for mixed in ("one", "two"))
        assert one == two


def test_of_two_attempts_with_one_name_the_same_is_refused_in_either_order(tmp_path: Path) -> None:
    lamps, wicks = pool(tasks=2), pool(tasks=2, source="wicks")
    other = [*(with_policy(item, "wick-" + item.trajectory.origin.policy) for item in wicks), wicks[0]]
    read = [stored(lamps, tmp_path / "lamps"), stored(other, tmp_path / "wicks")]
    made = mix(mixing(*read), tmp_path / "one")
    mix(mixing(*reversed(read)), tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert made.refused == 1


def test_every_switch_off_keeps_everything(data: list[Path], tmp_path: Path) -> None:
    made = mix(mixing(*data, drop=OFF), tmp_path / "mix")
    assert (made.ledger.read, made.ledger.kept, made.ledger.lines) == (96 + 48 + 12, 156, ())
    read = {item.trajectory.attempt_id: item for folder in data for item in store.read(folder)}
    assert {item.trajectory.attempt_id: item for item in store.read(tmp_path / "mix")} == read


def test_the_account_adds_up_and_every_attempt_can_be_explained(data: list[Path], tmp_path: Path) -> None:
    config = mixing(*data, **BUSY)
    made = mix(config, tmp_path / "mix")
    assert made == MixManifest.model_validate_json((tmp_path / "mix" / "mix.json").read_bytes())
    parts = {name: list(store.read(tmp_path / "mix" / name)) for name in ("train", "held_out")}
    assert made.ledger.read == 156 == made.ledger.kept + sum(line.n for line in made.ledger.lines)
    assert made.ledger.kept == sum(map(len, parts.values())) == sum(part.n_attempts for part in made.parts.values())
    rules = {(line.step, line.rule): line.n for line in made.ledger.lines}
    assert rules["infra_failures", "the evaluation failed"] == rules["unlabelled", "outcome unknown"] == 1
    assert rules["conflicting", "equal patches disagree"] == 2
    assert rules["duplicates", "reads the same"] == 9
    assert made.parts["train"].n_attempts == 20
    assert made.parts["train"].outcomes == {Outcome.RESOLVED: 10, Outcome.UNRESOLVED: 10}
    assert sum(cell.taken for cell in made.parts["train"].cells) == 20
    assert {i.trajectory.task.fold(3) for i in parts["train"]} <= {0, 1}
    assert {i.trajectory.task.fold(3) for i in parts["held_out"]} == {2}
    first = parts["train"][0].trajectory
    assert explain(config, first.attempt_id) == explain(config, "/".join(first.key))
    assert "kept as 1 of 20 in train" in explain(config, first.attempt_id)
    assert explain(config, "acme__tool-0/copy-1/1").endswith(
        "unknown: dropped by infra_failures: the evaluation failed"
    )
    with pytest.raises(SweRmError, match="nobody: none of the 156 attempts read has this id or this name"):
        explain(config, "nobody")


def test_a_mix_is_read_like_any_other_pile(data: list[Path], tmp_path: Path) -> None:
    mix(mixing(data[0]), tmp_path / "mix")
    pile = open_pile([tmp_path / "mix"])
    assert len(list(pile.attempts())) == 96
    assert not pile.refusals
    assert json.loads((tmp_path / "mix" / "mix.json").read_text())["parts"]["all"]["folder"] == "."


def test_the_manifest_names_no_folder_of_the_machine(data: list[Path], tmp_path: Path) -> None:
    mix(mixing(*data, decontaminate={"against": [data[2]]}), tmp_path / "mix")
    assert str(tmp_path.parent) not in (tmp_path / "mix" / "mix.json").read_text()


def test_what_policy_and_task_alone_tell_is_stated(data: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "mix"
    made = mix(mixing(*data), out)
    known = [item for item in open_pile([out]).attempts() if item.outcome is not Outcome.UNKNOWN]
    found = made.parts["all"].priors
    read = [item.trajectory for item in known]
    report, other = (
        evaluate(known, controls(known)[name](read), with_controls=False) for name in ("policy_prior", "task_prior")
    )
    assert (found.policy_auc, found.task_auc) == (report.metrics.auc, other.metrics.auc)
    assert found.n_pairs_same_policy_task == report.metrics.n_pairs_same_policy_task


def test_what_was_read_once_gives_any_draw(data: list[Path]) -> None:
    configs = [mixing(*data, sample={"total": total}, seed=seed) for total, seed in ((20, 0), (40, 0), (20, 1))]
    read = gather(configs[0], engine("local", 1))
    made = [decide(read, config) for config in configs]
    apart = [plan(config, engine("local", 1)) for config in configs]
    assert [one.manifest for one in made] == [one.manifest for one in apart]
    small, large, other = ({facts.attempt_id for facts in one.parts["all"]} for one in made)
    assert small < large  # a smaller total lies within a larger one
    assert small != other
    with pytest.raises(ValueError, match="reads something else"):
        decide(read, mixing(*data, drop={"near_duplicates": 0.9}))


def test_what_the_evaluation_list_has_is_stated(data: list[Path], tmp_path: Path) -> None:
    listed = tmp_path / "held_out.txt"
    listed.write_text("acme__tool-1\nacme__tool-99\n")
    made = mix(mixing(*data, decontaminate={"against": [listed]}), tmp_path / "mix")
    assert made.overlap
    assert (made.overlap.n_tasks, made.overlap.caught, made.overlap.kept_by_id) == (2, {"instance_id": 20}, 0)
    assert {one.role for one in made.inputs} == {"data", "decontaminate"}
    ignored = {"against": [listed], "instance_id": False}
    assert mix(mixing(*data, decontaminate=ignored), tmp_path / "all").overlap.kept_by_id > 0  # type: ignore[union-attr]


def test_an_input_that_changes_meanwhile_is_noticed(data: list[Path], tmp_path: Path) -> None:
    from swe_rm.mix import plan, write
    from swe_rm.mix.engines import engine

    folder = stored(pool(tasks=2), tmp_path / "data")
    made = plan(mixing(folder, drop=OFF), engine("local", 1))
    shard = folder / "attempts-00000.jsonl.zst"
    shard.write_bytes((data[1] / "attempts-00000.jsonl.zst").read_bytes())
    with pytest.raises(SweRmError, match="the input changed while it was read"):
        write(made, tmp_path / "mix")
    assert not (tmp_path / "mix").exists()


# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"sample": {"sources": {"a": -1}, "total": 1}}, "sample.sources: .*a: -1 is no weight"),
        ({"sample": {"sources": {"a": 0}, "total": 1}}, "sample.sources: .*all weights are 0"),
        ({"sample": {"sources": {"a": ".nan"}, "total": 1}}, "sample.sources"),
        ({"sample": {"policies": {"a": 1}}}, "weights share out a total: give one"),
        ({"sample": {"positives_per_negative": 0}}, "sample.positives_per_negative"),
        ({"sample": {"balance_policies": True}}, "balance_policies needs positives_per_negative"),
        ({"sample": {"positives_per_negative": 2}, "drop": {"unlabelled": False}}, "needs known outcomes"),
        ({"sample": {"positives_per_negative": float("inf")}}, "sample.positives_per_negative: .*1000"),
        ({"sample": {"sources": {"a": 1e308}, "total": 1}}, "a: 1e.308 is no weight; one is 0, or from 0.001 to 1000"),
        ({"sample": {"total": True}}, "sample.total: .*valid integer"),
        ({"sample": {"keep_pairs": True, "per_task": 1}}, "keep_pairs needs room for two attempts"),
        ({"drop": {"near_duplicates": True}}, "drop.near_duplicates: .*give a threshold, like 0.8"),
        ({"length": {"min_characters": 9, "max_characters": 8}}, "no attempt has at least 9 and at most 8 characters"),
        ({"sample": {"totl": 2}}, "sample.totl: Extra inputs"),
        ({"drop": {"gold_equal": True}}, "drop.gold_equal needs tasks"),
        ({"length": {"max_tokens": 5}}, "length: .*need a vocabulary"),
        ({"splits": {"folds": 2, "parts": {"a": [0, 2]}}}, "splits: .*folds count from 0 and are below 2"),
        ({"splits": {"folds": 2, "parts": {"a": [0], "b": [0]}}}, "splits: .*a fold is in two parts"),
        ({"splits": {"folds": 2, "parts": {"../a": [0]}}}, "cannot be the name of a folder"),
        ({"splits": {"folds": 2, "parts": {"a": [0]}, "sampled": ["b"]}}, "there is no part b"),
    ],
)
def test_a_config_that_makes_no_sense_is_one_line(config: dict[str, Any], said: str, tmp_path: Path) -> None:
    file = tmp_path / "mix.yaml"
    file.write_text(yaml.safe_dump({"name": "test", "data": ["x"], **config}))
    with pytest.raises(SweRmError, match=said) as raised:
        MixConfig.load(file)
    assert str(file) in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"sample": {"total": 1000}},
            "1,000 cannot be met: 143 attempts are there and 1,000 are wanted; a total of 143 can",
        ),
        ({"sample": {"sources": {"tar*": 1}, "total": 1}}, "tar.*: matches none of the sources there are"),
        ({"rows": "patch"}, r"nothing is left of 156 attempts: rows \(has a log\) 154"),
        ({"sample": {"patch_only": 0}, "splits": {"folds": 90, "parts": {"a": [77]}}}, "a: no attempt falls into it"),
        ({"length": {"max_characters": 3}}, r"length \(more characters\) 154"),
    ],
)
def test_what_the_pool_cannot_give_is_one_line(
    changes: dict[str, Any], said: str, data: list[Path], tmp_path: Path
) -> None:
    with pytest.raises(SweRmError, match=said) as raised:
        mix(mixing(*data, **changes), tmp_path / "mix")
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "mix").exists()


def test_a_path_that_gives_nothing_is_refused(data: list[Path], tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    with pytest.raises(SweRmError, match=r"data: .*empty.jsonl: gave no attempt: .*"):
        mix(mixing(data[0], empty), tmp_path / "mix")
    with pytest.raises(SweRmError, match="nowhere"):
        mix(mixing(data[0], tmp_path / "nowhere"), tmp_path / "mix")


def test_digests_tell_what_decides_the_bytes(data: list[Path]) -> None:
    config = mixing(*data, **BUSY)
    moved = mixing(*(Path("elsewhere") / path.name for path in reversed(data)), **BUSY)
    assert config.digest() == moved.digest()
    assert config.digest() != config.model_copy(update={"seed": 1}).digest()
    turned = config.model_copy(update={"sample": Sample(sources={"*": 1, "la*": 2}, total=20)})
    assert (
        turned.digest() != turned.model_copy(update={"sample": Sample(sources={"la*": 2, "*": 1}, total=20)}).digest()
    )


def test_the_documented_config_is_one(tmp_path: Path) -> None:
    page = (HERE / "docs" / "mix.md").read_text(encoding="utf-8")
    file = tmp_path / "first.yaml"
    file.write_text(page.split("```yaml\n")[1].split("```")[0])
    config = MixConfig.load(file)
    assert list(config.sample.sources) == ["gym", "rebench*"]
    assert all(f"`{name}`" in page for name in (*STEPS, *Drop.model_fields, *Sample.model_fields))


# --- the command line ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", sorted((HERE / "configs" / "mixes").glob("*.yaml")), ids=lambda file: file.stem)
def test_the_mixes_of_the_experiments_are_configs(file: Path) -> None:
    config = MixConfig.load(file)
    assert config.name == file.stem
    assert config.decontaminate is not None
    assert config.decontaminate.instance_id
    assert f"`{config.name}`" in (HERE / "docs" / "mixes.md").read_text(encoding="utf-8")


def written(data: list[Path], folder: Path, **changes: Any) -> Path:
    file = folder / "mix.yaml"
    file.write_text(yaml.safe_dump({"name": "test", "data": [str(path) for path in data], **changes}))
    return file


def test_the_command_writes_and_prints_the_ledger(
    data: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = written(data, tmp_path)
    out = tmp_path / "mix"
    assert main(["mix", str(config), "--out", str(out), "--set", "sample.total=30", "--workers", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["156", "read"]
    assert lines[-2].split() == ["30", "kept"]
    assert lines[-1] == f"{out}: 30 attempts in 1 part"
    counted = [line.split() for line in lines[1:-1]]
    assert sum(int(number) for number, *_ in counted if number != "off") == 156
    assert ["off", "rows,", "length,", "decontaminate,", "gold_equal,", "near_duplicates,", "split"] in counted
    assert ["0", "history"] in counted
    assert store.read_manifest(out).n_attempts == 30
    assert main(["mix", str(config), "--out", str(out)]) == 1
    assert "exists" in capsys.readouterr().err


def test_the_command_explains(data: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = str(written(data, tmp_path))
    assert main(["mix", config, "--explain", "acme__tool-0/copy-2/2"]) == 0
    assert capsys.readouterr().out.endswith("unknown: dropped by unlabelled: outcome unknown\n")
    assert main(["mix", config]) == 1
    assert "give --out DIR for the mix, or --explain ID" in capsys.readouterr().err
    assert main(["mix", config, "--explain", "x", "--set", "seed=none"]) == 1
    assert "mix.yaml: seed: " in capsys.readouterr().err


def test_refused_rows_are_told_and_the_rest_is_mixed(
    data: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = tmp_path / "rows.jsonl"
    row = {"instance_id": "a__b-1", "policy": "p", "run": "1", "patch": "+x\n", "messages": None, "resolved": True}
    rows.write_text(json.dumps(row) + "\n" + json.dumps(row | {"patch": "", "run": "2"}) + "\n")
    out = tmp_path / "mix"
    assert main(["mix", str(written([*data, rows], tmp_path)), "--out", str(out)]) == 2
    assert "rows.jsonl: line 2 a__b-1: neither patch nor turns" in capsys.readouterr().err
    assert json.loads((out / "mix.json").read_text())["refused"] == 1


# --- real attempts ---------------------------------------------------------------------------------------------------


@pytest.mark.shared_data
def test_real_attempts_are_mixed_with_every_step(shared_data: Path, tmp_path: Path) -> None:
    made = mix(
        mixing(
            shared_data / "dev_attempts.jsonl.zst",
            shared_data / "dev_patches.jsonl.zst",
            tasks=[shared_data / "instances.jsonl.zst"],
            drop={"gold_equal": True, "near_duplicates": 0.8, "conflicting": "minority"},
            decontaminate={"against": [shared_data / "ood_java.jsonl.zst"]},
            sample={"positives_per_negative": 1, "balance_policies": True, "keep_pairs": True},
        ),
        tmp_path / "mix",
    )
    rules = {(line.step, line.rule) for line in made.ledger.lines}
    assert made.overlap
    assert made.overlap.caught == {}
    assert {("gold_equal", "equals the gold patch"), ("duplicates", "reads the same")} <= rules
    for policies in made.parts["all"].contents.values():
        assert all(counts[Outcome.RESOLVED] == counts[Outcome.UNRESOLVED] for counts in policies.values())
