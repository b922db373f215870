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
import torch
from accelerate import ParallelismConfig
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch.distributed.fsdp import MixedPrecisionPolicy

from swe_rm import batch, parallel, train
from swe_rm.errors import SweRmError
from swe_rm.parallel import Group
from tests.training import LEAVES_NOTHING, RUN, config, quiet, records, write

FSDP = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP"}

TERMS: dict[str, object] = {
    "tokens_per_row": 500, "tokens_per_step": 1_500, "router_weight": 0.01, "language_weight": 0.3,
    "pairwise_weight": 0.5,
}  # fmt: skip
"""Every term of the loss, in steps of several rows."""
ADAPTERS: dict[str, object] = {"lora": {"rank": 4, "experts": True}, "router_weight": 0.0}

GATHERS = """
import json, os, sys
import torch, torch.distributed as dist
from torch.distributed.fsdp import fully_shard
from swe_rm import adapters, parallel
from swe_rm.recipe import TrainConfig
from tests.test_losses import network

dist.init_process_group("gloo")
made = network(60, 32, 2, 4)
config = TrainConfig.model_validate({"name": "t", "out": "x", "data": ["d"], "lora": {"rank": 2, "experts": True}})
adapters.choose(made, config)
before = {name: p.detach().clone() for name, p in made.named_parameters() if p.requires_grad}
for part in (*made.model.layers, made):
    fully_shard(part)
found = parallel.gathered(made, trained_alone=True)
both = [None, None]
dist.all_gather_object(both, (list(found), parallel.from_main(lambda: os.environ["RANK"])))
weights = len(parallel.gathered(made, trained_alone=False))
if dist.get_rank() == 0:
    as_before = found.keys() == before.keys() and all(torch.equal(found[name], before[name]) for name in before)
    told = {"main": both[0][0], "other": both[1][0], "ranks": [both[0][1], both[1][1]]}
    open(sys.argv[1], "w").write(json.dumps({**told, "as_before": as_before, "weights": weights}))
"""

SPLITS = """
import importlib.util, json, os, sys
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
"""


ENDS = """
dist.barrier()
dist.destroy_process_group()
os._exit(0)
"""
"""A thread of gloo's that still works when Python ends aborts the process now and then."""


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


STOPPED = {"dev": True, "stop": {"metric": "ece", "every": 2, "patience": 9}}


@pytest.mark.parametrize(
    ("settings", "changes"),
    [
        ({}, {"tokens_per_step": 2_000}),
        (FSDP, {"checkpoint_minutes": 1e-4}),
        (FSDP, {"sequence_parallel": 2, "base": True, **STOPPED, **ADAPTERS}),
        pytest.param(FSDP, ADAPTERS, marks=pytest.mark.slow),
        pytest.param({}, {"sequence_parallel": 2, "gradient_checkpointing": True}, marks=pytest.mark.slow),
    ],
    ids=["plain, a row of padding", "fsdp", "fsdp split lora", "fsdp lora", "split"],
)
def test_two_processes_train_as_one(
    data: Path,
    dev: Path,
    tiny_checkpoint: Path,
    tmp_path: Path,
    settings: dict[str, str],
    changes: dict[str, object],
) -> None:
    places: dict[str, object] = {"dev": (dev,), "base": tiny_checkpoint}
    changes = {**TERMS, **changes, **{name: place for name, place in places.items() if name in changes}}
    one = config(data, tmp_path / "one", **{**changes, "sequence_parallel": 1})
    train.train(one, quiet)
    two = config(data, tmp_path / "two", **changes)
    run_two(RUN + LEAVES_NOTHING, write(two, tmp_path / "two.yaml"), settings)
    for ours, theirs in zip(records(one.out), records(two.out), strict=True):
        assert ours.keys() == theirs.keys()
        for field in ours.keys() - {"seconds"}:
            assert theirs[field] == pytest.approx(ours[field], abs=1e-5), field
    weights = [load_file(folder / "model.safetensors") for folder in (one.out, two.out)]
    assert weights[0].keys() == weights[1].keys()
    for name, tensor in weights[0].items():  # a hundredth of a step: AdamW's are as long where gradients are rounding
        assert np.allclose(tensor.numpy(), weights[1][name].numpy(), atol=5e-5), name


def test_only_adapters_are_gathered_and_the_log_is_read_in_the_main_process(tmp_path: Path) -> None:
    run_two(GATHERS + ENDS, tmp_path / "found.json", {})
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["main"], "adapters there are"
    assert all("lora_" in name for name in found["main"])
    assert found["as_before"]
    assert found["other"] == []
    assert found["ranks"] == ["0", "0"]
    assert found["weights"] > len(found["main"])


def test_gradients_are_summed_in_fp32_under_fsdp() -> None:
    bf16 = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.bfloat16)
    plugin = SimpleNamespace(mixed_precision_policy=bf16)
    parallel.reduce_in_fp32(SimpleNamespace(state=SimpleNamespace(fsdp_plugin=plugin)))
    assert plugin.mixed_precision_policy.reduce_dtype == torch.float32
    assert plugin.mixed_precision_policy.param_dtype == torch.bfloat16
    parallel.reduce_in_fp32(SimpleNamespace(state=SimpleNamespace()))


def test_a_split_row_has_the_loss_and_gradients_of_the_whole_by_our_exchange_and_by_deepspeeds(tmp_path: Path) -> None:
    """DeepSpeed's attention wrapper around ours, where it is installed; the all-to-all is otherwise ours."""
    run_two(SPLITS + ENDS, tmp_path / "differences.json", {"DS_ACCELERATOR": "cpu"})
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
