"""What a run trains on is counted, balanced and the same each time."""

from collections import Counter
from pathlib import Path

import pytest

from swe_rm import store, training_data
from swe_rm.errors import RecordError, SweRmError
from swe_rm.recipe import TrainConfig
from swe_rm.trajectory import Labelled, Outcome, Task
from tests.conftest import TINY_POLICY


@pytest.fixture(scope="module")
def data(labelled_pool: list[Labelled], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "pool"
    store.write(labelled_pool, folder)
    return folder


def training(data: Path, out: Path, **changes: object) -> TrainConfig:
    return TrainConfig.model_validate({"name": "test", "out": out, "data": (data,), "policy": TINY_POLICY, **changes})


def quiet(_: str) -> None:
    return None


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
    run = training(folder, tmp_path / "run", hold_out={"fold": 0, "folds": 2})
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
    statements = training_data.read_statements(tasks)
    filled = training_data.with_statement(Labelled(trajectory=bare, outcome=Outcome.RESOLVED), statements)
    assert filled.trajectory.task.statement == "It breaks."
    assert training_data.with_statement(labelled_pool[0], statements) is labelled_pool[0]
    tasks.write_text('{"instance_id": "acme__tool-0"}\n')
    with pytest.raises(RecordError, match="line 1"):
        training_data.read_statements(tasks)


def test_auxiliary_rows_are_drawn_by_seed(data: Path, tmp_path: Path) -> None:
    run = training(data, tmp_path / "run", auxiliary=(data,), auxiliary_rows=5)
    kept = [item.trajectory.attempt_id for item in training_data.read_labelled(run, quiet)]
    assert len(kept) == 29
    assert kept == [item.trajectory.attempt_id for item in training_data.read_labelled(run, quiet)]
