"""Several processes on one step: each takes a share of the rows, or, in a group, a stretch of every row's tokens."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from swe_rm import attention, batch
from swe_rm.errors import SweRmError
from swe_rm.model import Network

if TYPE_CHECKING:
    import torch

Value = TypeVar("Value")

SPLIT = "swe_rm_split"
"""Name under which the packed attention over a split row is known to transformers."""


def processes() -> int:
    """How many processes the launcher started; 1 without one."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_main() -> bool:
    """Whether this process speaks and writes for all."""
    return int(os.environ.get("RANK", "0")) == 0


def is_sharded() -> bool:
    """Whether the launcher asks for FSDP."""
    return processes() > 1 and os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true"


def own_device() -> str:
    """Where this process's weights go: each on a machine has a GPU of its own."""
    import torch

    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if torch.cuda.is_available() else "cpu"


def part(accelerator: Any) -> None:
    """Wait for the other processes and leave them: one that left first would break what they still exchange."""
    if processes() > 1:
        accelerator.wait_for_everyone()
        accelerator.end_training()


@contextmanager
def main_first() -> Iterator[None]:
    """What is inside runs in the main process before the others run it: they find its files."""
    if processes() == 1:
        yield
        return
    import torch
    from accelerate import PartialState

    with PartialState(cpu=not torch.cuda.is_available()).main_process_first():
        yield


class Group(NamedTuple):
    """The processes that share every row's tokens, and which of them this one is."""

    handle: Any
    """torch's process group; None for a process of its own."""
    place: int
    size: int


ALONE = Group(None, 0, 1)


def group(size: int) -> Group:
    """Groups of `size` neighbouring processes; this process's own.

    Raises SweRmError where the processes cannot be parted so.
    """
    if size == 1:
        return ALONE
    import torch.distributed as dist

    world = processes()
    if world % size:
        raise SweRmError(f"sequence_parallel: {size} does not divide {world} processes; start them with a launcher")
    handles = [dist.new_group(range(first, first + size)) for first in range(0, world, size)]
    rank = dist.get_rank()
    return Group(handles[rank // size], rank % size, size)


class Stretch(NamedTuple):
    """A process's part of a row."""

    token_ids: np.ndarray[Any, np.dtype[np.int64]]
    """[tokens / group size]"""
    position_ids: np.ndarray[Any, np.dtype[np.int64]]
    """[tokens / group size]"""
    ends: list[int]
    """Where each sequence ends in the whole row; one more where the row was filled up to divide evenly."""
    start: int
    """Where in the row the part begins."""
    own: int
    """How many of its tokens are the row's; the others fill it up."""


def stretch(row: batch.Row, among: Group) -> Stretch:
    """This process's part: equal parts in the order of the row, filled up with a sequence of its own at the end."""
    n_tokens = len(row.token_ids)
    fill = -n_tokens % among.size
    ids = np.concatenate([row.token_ids, np.zeros(fill, np.int64)])
    places = np.concatenate([row.position_ids, np.arange(fill)])
    length = len(ids) // among.size
    start = among.place * length
    ends = [*row.ends, *([n_tokens + fill] if fill else [])]
    own = min(length, max(0, n_tokens - start))
    return Stretch(ids[start : start + length], places[start : start + length], ends, start, own)


def use_split_attention(network: Network, among: Group) -> None:
    """Switch a network to the packed attention over rows whose tokens a group of processes shares.

    Raises SweRmError where the heads cannot be shared so.
    """
    if among.size == 1:
        attention.use_packed(network)
        return
    heads = network.config.num_attention_heads
    if heads % among.size:
        raise SweRmError(f"sequence_parallel: {among.size} does not divide the model's {heads} attention heads")
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface

    attention.use_packed(network)  # makes it known; the split attention calls it
    AttentionInterface.register(SPLIT, _split_attention)
    masks: Any = AttentionMaskInterface
    masks.register(SPLIT, masks()[attention.PACKED])
    _current.clear()
    _current.append(among)
    network.set_attn_implementation(SPLIT)


_current: list[Group] = []
"""The group attention is split over: transformers calls attention by name, so it has to be found."""


def _split_attention(
    module: "torch.nn.Module",
    query: "torch.Tensor",
    key: "torch.Tensor",
    value: "torch.Tensor",
    attention_mask: None,
    **options: Any,
) -> tuple["torch.Tensor", None]:
    """[1, heads, own tokens, dim] -> [1, own tokens, heads, dim]: all tokens of a share of the heads in between."""
    from transformers import AttentionInterface

    (among,) = _current
    known: Any = AttentionInterface
    attend = known()[attention.PACKED]
    if key.shape[1] % among.size:  # fewer key heads than processes: each is sent to those that need it
        copies = among.size // np.gcd(among.size, key.shape[1])
        key, value = key.repeat_interleave(copies, 1), value.repeat_interleave(copies, 1)
    parts = [_to_heads(part, among) for part in (query, key, value)]
    whole, _ = attend(module, *parts, attention_mask, **options)
    return _to_tokens(whole, among), None


def _to_heads(part: "torch.Tensor", among: Group) -> "torch.Tensor":
    """[1, heads, own tokens, dim] -> [1, heads / size, all tokens, dim]."""
    _, heads, tokens, dim = part.shape
    sent = part[0].reshape(among.size, heads // among.size, tokens, dim)
    got = _exchange(sent, among)
    return got.transpose(0, 1).reshape(1, heads // among.size, among.size * tokens, dim)


def _to_tokens(whole: "torch.Tensor", among: Group) -> "torch.Tensor":
    """[1, all tokens, heads / size, dim] -> [1, own tokens, heads, dim]."""
    _, tokens, heads, dim = whole.shape
    sent = whole[0].reshape(among.size, tokens // among.size, heads, dim)
    got = _exchange(sent, among)
    return got.transpose(0, 1).reshape(1, tokens // among.size, among.size * heads, dim)


def _exchange(sent: "torch.Tensor", among: Group) -> "torch.Tensor":
    """Slice i goes to process i, which finds it as slice of this process's place; gradients go back the same way."""
    exchanged: torch.Tensor = _exchanger().apply(sent, among.handle)
    return exchanged


@cache
def _exchanger() -> Any:
    import torch
    import torch.distributed as dist

    class Exchange(torch.autograd.Function):
        """All-to-all, its own inverse but for the direction."""

        @staticmethod
        def forward(ctx: Any, sent: "torch.Tensor", handle: Any) -> "torch.Tensor":
            ctx.handle = handle
            got = torch.empty_like(sent, memory_format=torch.contiguous_format)
            dist.all_to_all_single(got, sent.contiguous(), group=handle)
            return got

        @staticmethod
        def backward(ctx: Any, *gradients: "torch.Tensor") -> tuple["torch.Tensor", None]:
            got = torch.empty_like(gradients[0], memory_format=torch.contiguous_format)
            dist.all_to_all_single(got, gradients[0].contiguous(), group=ctx.handle)
            return got, None

    return Exchange


def refuse_other_engines(accelerator: Any) -> None:
    """Raises SweRmError where a launcher set up what a step of packed rows does not run under."""
    kind = str(accelerator.distributed_type).rpartition(".")[2]
    if kind in {"DEEPSPEED", "MEGATRON_LM"}:
        raise SweRmError(
            f"launched under {kind}: training runs under FSDP2 or plain data parallelism (docs/training.md)"
        )
    sizes = accelerator.parallelism_config
    if sizes is not None and sizes.non_data_parallel_size > 1:
        raise SweRmError(
            "the launcher splits tensors or sequences: give sequence_parallel in the training config instead"
        )


def shard_on_cpu(accelerator: Any) -> None:
    """Turn FSDP2 on where the launcher asks for it and the processes run on CPU: accelerate would leave it off."""
    from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin

    if not is_sharded() or accelerator.distributed_type != DistributedType.MULTI_CPU:
        return
    plugin = FullyShardedDataParallelPlugin(fsdp_version=2, cpu_ram_efficient_loading=False)
    if accelerator.mixed_precision != "no":
        plugin.set_mixed_precision(accelerator.mixed_precision)
    accelerator.state.fsdp_plugin = plugin
    accelerator.state.distributed_type = DistributedType.FSDP


def reduce_in_fp32(accelerator: Any) -> None:
    """Under FSDP2 sum gradients over the processes in fp32, whatever they were made in: accelerate would in bf16."""
    import torch

    plugin = getattr(accelerator.state, "fsdp_plugin", None)
    if plugin is not None and plugin.mixed_precision_policy is not None:
        plugin.mixed_precision_policy = replace(plugin.mixed_precision_policy, reduce_dtype=torch.float32)


def gathered(network: Network, *, trained_alone: bool) -> "dict[str, torch.Tensor]":
    """Weights of a sharded network, whole and on CPU, in the main process; empty in the others.

    All of them, or those that train: what is frozen beside adapters is most of a model and is on disk.
    """
    whole = {}
    for name, shard in network.state_dict(keep_vars=True).items():
        if trained_alone and not shard.requires_grad:
            continue
        own = shard.detach()
        tensor = own.full_tensor() if hasattr(own, "full_tensor") else own  # all processes take part
        if is_main():
            whole[name] = tensor.cpu().clone()
    return whole


def from_main(make: Callable[[], Value]) -> Value:
    """What the main process makes, in every process; the others make nothing."""
    if processes() == 1:
        return make()
    import torch.distributed as dist

    held: list[Any] = [make() if is_main() else None]
    dist.broadcast_object_list(held, src=0)
    made: Value = held[0]
    return made


def summed(values: Sequence[float], accelerator: Any) -> list[float]:
    """Each value summed over the processes."""
    import torch

    found = torch.tensor(values, dtype=torch.float64, device=accelerator.device)
    total: list[float] = accelerator.reduce(found, reduction="sum").tolist()
    return total
