"""What a run trains on is counted, balanced and the same each time."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from swe_rm import store, train, training_data
from swe_rm.errors import RecordError, SweRmError
from swe_rm.mix import MixConfig, mix
from swe_rm.mix.task_rows import with_statement
from swe_rm.render import LengthPolicy, Renderer
from swe_rm.training_data import TrainingExample
from swe_rm.trajectory import Labelled, Outcome, Task
from swe_rm.vocabulary import YES, Vocabulary
from tests.conftest import TINY_POLICY
from tests.training import config, quiet


def test_weights_balance_outcomes_inside_each_policy(labelled_pool: list[Labelled]) -> None:
    lopsided = [item for item in labelled_pool if item.outcome is Outcome.RESOLVED or item.trajectory.key[2] == "1"]
    one_sided = [i for i in labelled_pool if i.trajectory.origin.policy == "hasty" and i.outcome is Outcome.RESOLVED]
    pool = [i for i in lopsided if i.trajectory.origin.policy == "careful"] + one_sided
    weights = training_data.policy_weights(pool)
    sums: Counter[tuple[str, Outcome]] = Counter()
    for item, weight in zip(pool, weights, strict=True):
        sums[item.trajectory.origin.policy, item.outcome] += weight
    assert sums["careful", Outcome.RESOLVED] == pytest.approx(sums["careful", Outcome.UNRESOLVED])
    assert sums["hasty", Outcome.RESOLVED] == 0
    assert sum(weights) == pytest.approx(len(pool))
    with pytest.raises(SweRmError, match="no policy has attempts of both outcomes"):
        training_data.policy_weights(one_sided)


def test_held_out_tasks_and_unknown_outcomes_are_left_out_and_counted(
    data: Path, labelled_pool: list[Labelled], tmp_path: Path
) -> None:
    untested = labelled_pool[0].model_copy(update={"outcome": Outcome.UNKNOWN})
    folder = tmp_path / "pool"
    store.write([untested, *labelled_pool[1:]], folder)
    said: list[str] = []
    run = config(folder, tmp_path / "run", hold_out={"fold": 0, "folds": 2})
    kept = training_data.read_labelled(run, said.append)
    held_out = sum(item.trajectory.task.fold(2) == 0 for item in labelled_pool)
    assert 0 < held_out < 24
    assert all(item.trajectory.task.fold(2) == 1 for item in kept)
    said = [line for line in said if line.startswith("data: ")]
    assert f"kept {len(kept)}" in said[0]
    assert "outcome unknown 1" in said[0]
    assert sum(int(part.split()[-1]) for part in said[0].split(": ")[1].split(", ")) == 24


def test_statements_are_filled_in_where_the_source_has_none(
    data: Path, labelled_pool: list[Labelled], tmp_path: Path
) -> None:
    bare = labelled_pool[0].trajectory.model_copy(update={"task": Task(instance_id="acme__tool-0")})
    tasks = tmp_path / "tasks.jsonl"
    tasks.write_text('{"instance_id": "acme__tool-0", "problem_statement": "It breaks."}\n')
    run = config(data, tmp_path / "run", tasks=tasks)
    known = training_data.read_tasks(run)
    filled = with_statement(Labelled(trajectory=bare, outcome=Outcome.RESOLVED), known)
    assert filled.trajectory.task.statement == "It breaks."
    assert with_statement(labelled_pool[0], known) is labelled_pool[0]
    bare_row = '{"instance_id": "acme__tool-1", "base_commit": "c0ffee"}\n'
    tasks.write_text(bare_row + '{"instance_id": "acme__tool-0", "problem_statement": "It breaks."}\n')
    assert training_data.read_tasks(run)["acme__tool-1"].base_commit == "c0ffee"  # decontamination goes by it
    tasks.write_text('{"instance_id": "acme__tool-0"}\n')
    with pytest.raises(RecordError, match=r"tasks\.jsonl.*no row has the text problem_statement"):
        training_data.read_tasks(run)


class Counted(type(Path())):  # type: ignore[misc]
    """A path that counts how often it is opened."""

    opened = 0

    def open(self, *arguments: Any, **options: Any) -> Any:
        Counted.opened += 1
        return super().open(*arguments, **options)


def test_tasks_are_read_once_for_issues_and_for_the_evaluation_list(
    dev: Path, labelled_pool: list[Labelled], tmp_path: Path
) -> None:
    (tmp_path / "held_out.txt").write_text("acme__tool-9\n")
    tasks = tmp_path / "tasks.jsonl"
    tasks.write_text('{"instance_id": "acme__tool-0", "problem_statement": "It breaks."}\n')
    resolved = tmp_path / "resolved"
    store.write([item for item in labelled_pool if item.outcome is Outcome.RESOLVED], resolved)
    run = config(dev, tmp_path / "run", dev=(resolved,), evaluation=(tmp_path / "held_out.txt",))
    run = run.model_copy(update={"tasks": Counted(tasks)})
    training_data.read_tasks(run)
    once, Counted.opened = Counted.opened, 0
    with pytest.raises(SweRmError, match="dev: 12 attempts of known outcome, not of both"):
        train.train(run, quiet)
    assert Counted.opened == once > 0


def test_data_that_overlap_the_evaluation_list_stop_the_run(data: Path, tmp_path: Path) -> None:
    listed = tmp_path / "held_out.txt"
    listed.write_text("acme__tool-9\n")
    free = config(data, tmp_path / "run", evaluation=(listed,))
    assert len(training_data.read_labelled(free, quiet)) == 24
    listed.write_text("acme__tool-0\nacme__tool-3\n")
    said = r"8 of 24 attempts to train on are at 2 tasks .* first acme__tool-0 / careful / 1 .*: leave them out"
    with pytest.raises(SweRmError, match=said) as raised:
        training_data.read_labelled(free, quiet)
    assert "\n" not in str(raised.value)
    held_out = [f"acme__tool-{task}" for task in range(6) if Task(instance_id=f"acme__tool-{task}").fold(2) == 0]
    listed.write_text("\n".join(held_out))
    apart = config(data, tmp_path / "run", evaluation=(listed,), hold_out={"fold": 0, "folds": 2})
    assert training_data.read_labelled(apart, quiet)
    with pytest.raises(SweRmError, match="evaluation: "):
        training_data.read_labelled(apart.model_copy(update={"hold_out": None}), quiet)
    attempts = config(data, tmp_path / "run", evaluation=(data,))
    with pytest.raises(SweRmError, match="24 of 24 attempts"):
        training_data.read_labelled(attempts, quiet)
    assert attempts.digest() == config(data, tmp_path / "run").digest()


def test_an_issue_under_another_name_is_recognised(data: Path, labelled_pool: list[Labelled], tmp_path: Path) -> None:
    task = labelled_pool[0].trajectory.task.instance_id
    issue = "The lamp of the lighthouse stays dark when its wick is wet and the keeper is away."
    rows = tmp_path / "tasks.jsonl"
    known = {"instance_id": task, "repo": "acme/tool", "base_commit": "c1", "problem_statement": issue}
    rows.write_text(json.dumps(known) + "\n")
    listed = tmp_path / "measured.jsonl"
    listed.write_text(json.dumps({**known, "instance_id": "renamed__tool-1", "base_commit": "C1"}) + "\n")
    with pytest.raises(SweRmError, match="base_commit of renamed__tool-1 on the evaluation list"):
        training_data.read_labelled(config(data, tmp_path / "run", evaluation=(listed,), tasks=rows), quiet)


def test_a_file_of_the_config_that_is_not_there_ends_the_run(data: Path, tmp_path: Path) -> None:
    both = config(data, tmp_path / "run").model_copy(update={"data": (data, tmp_path / "none.jsonl")})
    with pytest.raises(SweRmError, match=r"^.*none\.jsonl: does not exist"):
        training_data.read_labelled(both, quiet)


def test_a_mix_of_several_parts_is_no_training_data(data: Path, tmp_path: Path) -> None:
    whole = {"name": "two", "data": [data], "drop": {"conflicting": False, "duplicates": False}}
    splits = {"folds": 2, "parts": {"train": [0], "held_out": [1]}}
    mix(MixConfig.model_validate({**whole, "splits": splits}), tmp_path / "mix")
    with pytest.raises(SweRmError, match=r"a mix of several parts \(train, held_out\); name the folder of one"):
        training_data.read_labelled(config(tmp_path / "mix", tmp_path / "run"), quiet)
    assert training_data.read_labelled(config(tmp_path / "mix" / "train", tmp_path / "run"), quiet)


def test_dev_rows_are_drawn_by_seed(data: Path, tmp_path: Path) -> None:
    whole = config(data, tmp_path / "run").model_copy(update={"dev": (data,)})
    every = training_data.read_dev(whole, {}, quiet)
    few = [
        training_data.read_dev(whole.model_copy(update={"dev_rows": 9, "seed": seed}), {}, quiet) for seed in (0, 0, 1)
    ]
    assert len(every) == 24
    assert few[0] == few[1] != few[2]
    assert {len(drawn) for drawn in few} == {9}


def test_auxiliary_rows_are_drawn_by_seed(data: Path, tmp_path: Path) -> None:
    run = config(data, tmp_path / "run", auxiliary=(data,), auxiliary_rows=5)
    kept = [item.trajectory.attempt_id for item in training_data.read_labelled(run, quiet)]
    assert len(kept) == 29
    assert kept == [item.trajectory.attempt_id for item in training_data.read_labelled(run, quiet)]


def test_kept_examples_are_those_in_memory_and_follow_what_they_are_made_of(
    data: Path, vocabulary: Vocabulary, labelled_pool: list[Labelled], tmp_path: Path
) -> None:
    run = config(data, tmp_path / "run")
    said: list[str] = []

    def kept(pool: list[Labelled], vocabulary: Vocabulary, policy: LengthPolicy) -> Sequence[TrainingExample]:
        return training_data.render_examples(run, pool, Renderer(vocabulary, policy), said.append, tmp_path / "ids")

    def told(examples: Sequence[TrainingExample]) -> list[object]:
        return [(list(e.token_ids), e.verdict_id, e.weight) for e in examples]

    expected = training_data.render_examples(run, labelled_pool, Renderer(vocabulary, TINY_POLICY), quiet)
    for _ in range(2):
        assert told(kept(labelled_pool, vocabulary, TINY_POLICY)) == told(expected)
    assert [line.rsplit(": ")[-1] for line in said] == ["rendered before, used again"]
    other = Vocabulary.train(["a lamp that hums"], 300)
    turned = labelled_pool[0].model_copy(update={"outcome": Outcome.RESOLVED})
    assert turned != labelled_pool[0]
    shorter = TINY_POLICY.model_copy(update={"max_tokens": 200})
    for what, arguments in {
        "list of attempts": (labelled_pool[1:], vocabulary, TINY_POLICY),
        "vocabulary": (labelled_pool[1:], other, TINY_POLICY),
        "length policy": (labelled_pool[1:], other, shorter),
    }.items():
        kept(*arguments)
        assert said[-1].endswith(f"made with another {what}; rendered anew")
    kept([turned, *labelled_pool[2:]], other, shorter)
    assert "another list of attempts" in said[-1]
    found = kept([turned, *labelled_pool[2:]], other, shorter)
    assert [e.verdict_id for e in found[:1]] == [other.control[YES]]
    with pytest.raises(ValueError, match="23 examples and 1 weights"):
        training_data.KeptExamples(found._ids, [1.0])
