"""Two processes on one step are one process: the same losses and weights, whole rows or split ones, sharded or not."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from accelerate import ParallelismConfig
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from swe_rm import batch, parallel, store, train
from swe_rm.errors import SweRmError
from swe_rm.parallel import Group
from swe_rm.recipe import TrainConfig
from swe_rm.run_folder import LOG_FILE
from swe_rm.trajectory import Labelled
from tests.conftest import TINY_POLICY

FSDP = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP"}
ONE = """
import sys
from pathlib import Path
from swe_rm import train
from swe_rm.recipe import TrainConfig
train.train(TrainConfig.load(Path(sys.argv[1])), lambda line: None)
"""

SPLITS = """
import importlib.util, json, sys
import torch, torch.distributed as dist
from swe_rm import attention, parallel
from swe_rm.reading import Norms, Reader, Slopes
from swe_rm.recipe import TrainConfig
from swe_rm.training_data import TrainingExample
from tests.test_losses import network

dist.init_process_group("gloo")
weights = {"router_weight": 0.01, "language_weight": 0.3}
config = TrainConfig.model_validate({"name": "t", "out": "x", "data": ["d"], **weights})
examples = [TrainingExample(range(5, 5 + n), 3 + n % 2, 1.0) for n in (30, 17, 9)]
made = network(60, 32, 2, 4).train()

def step(among):
    made.zero_grad()
    reader = Reader(config, examples, (3, 4), among)
    found = reader.losses(made, reader.row(range(3)), 0, Norms(3.0, 56), Slopes(0.0, {}), 0)
    found.total.backward()
    values = [found.total.detach(), *(p.grad.clone() for p in made.parameters())]
    if among.size > 1:
        for value in values:
            dist.all_reduce(value)
    return values

def apart(values):
    return max(float((a - b).abs().max()) for a, b in zip(values, whole, strict=True))

attention.use_packed(made)
whole = step(parallel.ALONE)
among = parallel.group(2)
parallel.use_split_attention(made, among)
differences = {"ours": apart(step(among))}
if importlib.util.find_spec("deepspeed"):
    attention.use_packed(made)
    import deepspeed
    from deepspeed.runtime.sequence_parallel.ulysses_sp import UlyssesSPAttentionHF
    sys.modules["deepspeed.comm.torch"].build_shm_op = lambda: None  # compiled at the first use, for minutes
    deepspeed.init_distributed(dist_backend="gloo")
    UlyssesSPAttentionHF.register_with_transformers(
        made, core_attn_implementation=attention.PACKED, sequence_parallel_size=2, micro_batch_size=1
    )
    differences["deepspeed"] = apart(step(among))
if dist.get_rank() == 0:
    open(sys.argv[1], "w").write(json.dumps(differences))
dist.barrier()
dist.destroy_process_group()
"""


@pytest.fixture(scope="module")
def data(labelled_pool: list[Labelled], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "pool"
    store.write(labelled_pool, folder)
    return folder


def config(data: Path, out: Path, **changes: object) -> TrainConfig:
    shape = {"hidden": 32, "layers": 2, "heads": 4, "kv_heads": 1, "head_dim": 8, "experts": 4, "expert_width": 16}
    settings: dict[str, object] = {
        "name": "test", "out": out, "data": (data,), "shape": shape, "vocabulary_size": 400, "policy": TINY_POLICY,
        "epochs": 1, "tokens_per_row": 500, "tokens_per_step": 1_500, "learning_rate": 5e-3, "router_weight": 0.01,
        "language_weight": 0.3, "pairwise_weight": 0.5,
    }  # fmt: skip
    return TrainConfig.model_validate({**settings, **changes})


def run_two(code: str, file: Path, settings: dict[str, str]) -> None:
    """Code, given a file, in two processes over gloo."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    base = {
        **os.environ,
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "OMP_NUM_THREADS": "1",
    }
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", code, str(file)],
            env={**base, "MASTER_PORT": str(port), "RANK": str(rank), "LOCAL_RANK": str(rank), **settings},
        )
        for rank in range(2)
    ]
    assert [process.wait(timeout=300) for process in processes] == [0, 0]


def logged(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / LOG_FILE).read_text().splitlines()]


@pytest.mark.parametrize(
    ("settings", "changes"),
    [
        (FSDP, {"checkpoint_minutes": 1e-4}),
        (FSDP, {"sequence_parallel": 2, "lora": {"rank": 4, "experts": True}}),
        pytest.param({}, {"sequence_parallel": 2, "gradient_checkpointing": True}, marks=pytest.mark.slow),
    ],
    ids=["fsdp", "fsdp split lora", "split"],
)
def test_two_processes_train_as_one(
    data: Path, tmp_path: Path, settings: dict[str, str], changes: dict[str, object]
) -> None:
    alone = {name: value for name, value in changes.items() if name == "lora"}
    one = config(data, tmp_path / "one", **alone)
    train.train(one, lambda _: None)
    two = config(data, tmp_path / "two", **changes)
    file = tmp_path / "two.yaml"
    file.write_text(yaml.safe_dump(json.loads(two.model_dump_json())))
    run_two(ONE, file, settings)
    for ours, theirs in zip(logged(one.out), logged(two.out), strict=True):
        for field in ("verdict", "language", "router", "pairwise", "gradient_norm"):
            assert theirs[field] == pytest.approx(ours[field], abs=1e-5), field
    weights = [load_file(folder / "model.safetensors") for folder in (one.out, two.out)]
    assert weights[0].keys() == weights[1].keys()
    for name, tensor in weights[0].items():
        assert np.allclose(tensor.numpy(), weights[1][name].numpy(), atol=1e-5), name


def test_a_split_row_has_the_loss_and_gradients_of_the_whole_by_our_exchange_and_by_deepspeeds(tmp_path: Path) -> None:
    """DeepSpeed's attention wrapper around ours, where it is installed; the all-to-all is otherwise ours."""
    run_two(SPLITS, tmp_path / "differences.json", {"DS_ACCELERATOR": "cpu"})
    differences = json.loads((tmp_path / "differences.json").read_text())
    assert "ours" in differences
    assert max(differences.values()) < 1e-6


@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=5), size=st.integers(1, 5))
def test_stretches_are_the_row_and_what_fills_it_up(lengths: list[int], size: int) -> None:
    row = batch.row(range(len(lengths)), [np.arange(1, length + 1, dtype=np.int32) for length in lengths])
    parts = [parallel.stretch(row, Group(None, place, size)) for place in range(size)]
    ids = np.concatenate([part.token_ids for part in parts])
    assert ids[: sum(lengths)].tolist() == row.token_ids.tolist()
    assert len({len(part.token_ids) for part in parts}) == 1
    assert sum(part.own for part in parts) == sum(lengths)
    assert all(part.ends[: len(lengths)] == row.ends and part.ends[-1] == len(ids) for part in parts)
    positions = np.concatenate([part.position_ids for part in parts])
    starts = [0, *parts[0].ends[:-1]]
    assert positions[starts].tolist() == [0] * len(starts)


def test_processes_that_cannot_be_grouped_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parallel.group(1) == parallel.ALONE
    with pytest.raises(SweRmError, match="sequence_parallel: 4 does not divide 1 processes"):
        parallel.group(4)
    monkeypatch.setenv("WORLD_SIZE", "6")
    with pytest.raises(SweRmError, match="4 does not divide 6 processes"):
        parallel.group(4)


def test_launches_that_training_does_not_run_under_are_one_line() -> None:
    plain = SimpleNamespace(distributed_type="DistributedType.NO", parallelism_config=None)
    parallel.refuse_other_engines(plain)
    engine = SimpleNamespace(distributed_type="DistributedType.DEEPSPEED", parallelism_config=None)
    with pytest.raises(SweRmError, match="launched under DEEPSPEED"):
        parallel.refuse_other_engines(engine)
    sizes = ParallelismConfig(tp_size=2)
    with pytest.raises(SweRmError, match="give sequence_parallel in the training config"):
        parallel.refuse_other_engines(SimpleNamespace(distributed_type="x", parallelism_config=sizes))
