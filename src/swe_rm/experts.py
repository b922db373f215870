"""How a layer's experts are computed: by the shape of the work and the device it is on, in tiles of tokens.

Registered with transformers under NAME. `batched_mm` is never used: it copies the weights once for each token.
"""

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch

Experts = Literal["auto", "eager", "grouped_mm", "sorted"]
"""`eager` is transformers' loop and the slow twin; `sorted` is ours, for a forward without gradients."""

NAME = "swe_rm"
TILE = 16_384
"""Tokens at once: 2 GiB of temporaries at the size of 30B-A3B, where a whole 256k row would take 32."""
FEW = 8
"""Rows an expert gets on average; below, one grouped call beats a loop over experts on CPU (up to 1.2x)."""


def use(network: Any, experts: Experts) -> None:
    """Switch a network to an implementation."""
    from transformers.integrations.moe import ALL_EXPERTS_FUNCTIONS

    for name, function in ((NAME, _auto), (f"{NAME}_sorted", _sorted)):
        ALL_EXPERTS_FUNCTIONS.register(name, function)
    names = {"auto": NAME, "sorted": f"{NAME}_sorted"}
    network.set_experts_implementation(names.get(experts, experts))


def _auto(module: Any, hidden: "torch.Tensor", index: "torch.Tensor", weights: "torch.Tensor") -> "torch.Tensor":
    """Grouped matrix products on a GPU, for gradients and for few tokens; our loop for a forward on CPU.

    On CPU the grouped call is the slower forward (0.63-0.79x of the loop at 4,096 tokens) but by far the faster
    backward (12-14x where experts train).
    """
    import torch
    from torch.nn.utils import parametrize
    from transformers.integrations.moe import grouped_mm_experts_forward

    few = index.numel() < FEW * module.num_experts
    if hidden.device.type == "cpu" and not torch.is_grad_enabled() and not few and not _is_spread(module):
        return _sorted(module, hidden, index, weights)
    if len(hidden) <= TILE:
        return grouped_mm_experts_forward(module, hidden, index, weights)
    tiles = zip(*(torch.split(tensor, TILE) for tensor in (hidden, index, weights)), strict=True)
    with parametrize.cached():
        return torch.cat([grouped_mm_experts_forward(module, *tile) for tile in tiles])


def _is_spread(module: Any) -> bool:
    """Whether the experts lie on several devices: an index then may name one that is not here."""
    return bool(getattr(module, "_is_expert_parallel", False))


def _sorted(module: Any, hidden: "torch.Tensor", index: "torch.Tensor", weights: "torch.Tensor") -> "torch.Tensor":
    """Tokens sorted by expert, then each expert's own in place, tile by tile; [tokens, hidden] -> the same.

    The matrices are read once: beside adapters each read adds their update to all of them.
    """
    import torch

    matrices = module.gate_up_proj, module.down_proj
    out = torch.zeros_like(hidden)
    for at in range(0, len(hidden), TILE):
        tile = slice(at, at + TILE)
        _sorted_tile(module, matrices, hidden[tile], index[tile], weights[tile], out[tile])
    return out


def _sorted_tile(
    module: Any,
    matrices: "tuple[torch.Tensor, torch.Tensor]",
    hidden: "torch.Tensor",
    index: "torch.Tensor",
    weights: "torch.Tensor",
    out: "torch.Tensor",
) -> None:
    """Adds what the experts make of a tile to `out`."""
    import torch

    gate_up, down = matrices
    expert = index.reshape(-1)
    order = torch.argsort(expert, stable=True)
    token = order // index.shape[1]
    rows = hidden.index_select(0, token)
    done = 0
    for number, count in enumerate(torch.bincount(expert, minlength=module.num_experts).tolist()):
        if count:
            own = rows[done : done + count]
            gate, up = (own @ gate_up[number].T).chunk(2, dim=-1)
            torch.mm(module.act_fn(gate).mul_(up), down[number].T, out=own)
            done += count
    rows.mul_(weights.reshape(-1).index_select(0, order)[:, None])
    out.index_add_(0, token, rows)
