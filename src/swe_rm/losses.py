"""What training minimises, read at chosen positions of a packed row: full-sequence logits are never made."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from swe_rm import batch

if TYPE_CHECKING:
    import torch


class Positions(NamedTuple):
    """Where in a row the head is read."""

    places: "torch.Tensor"
    """[verdicts + language positions]; the verdict positions come first."""
    verdicts: int
    """How many of them are the last token of a sequence."""


def positions(row: batch.Row, *, verdicts: bool, language_share: float, seed: int) -> Positions:
    """The last token of each sequence where verdicts are read, then a seeded share of those with a next token."""
    import torch

    ends = torch.tensor(row.ends) - 1 if verdicts else torch.zeros(0, dtype=torch.int64)
    inner = language_positions(row, language_share, seed) if language_share else torch.zeros(0, dtype=torch.int64)
    return Positions(torch.cat([ends, inner]), len(ends))


def language_positions(row: batch.Row, share: float, seed: int) -> "torch.Tensor":
    """A seeded share of the positions that have a next token inside their own sequence."""
    import torch

    inner = torch.ones(len(row.token_ids), dtype=torch.bool)
    inner[torch.tensor(row.ends) - 1] = False
    found = inner.nonzero()[:, 0]
    generator = torch.Generator().manual_seed(seed & 0x7FFF_FFFF)
    count = min(len(found), max(1, round(share * len(found))))
    return found[torch.randperm(len(found), generator=generator)[:count]]


def verdict_losses(
    logits: "torch.Tensor", targets: "torch.Tensor", pair: tuple[int, int], *, head: str
) -> "torch.Tensor":
    """Cross-entropy of each verdict, [n] in fp32, from logits [n, vocabulary]: over all of it or the two rows alone."""
    from torch.nn.functional import cross_entropy

    if head == "pair":
        return cross_entropy(logits[:, list(pair)].float(), (targets != pair[0]).long(), reduction="none")
    return cross_entropy(logits.float(), targets, reduction="none")


def margins(logits: "torch.Tensor", pair: tuple[int, int]) -> "torch.Tensor":
    """Log-odds of YES, logit(YES) - logit(NO), [n] in fp32, from logits [n, vocabulary]."""
    two = logits[:, list(pair)].float()
    return two[:, 0] - two[:, 1]


def pairwise(values: "torch.Tensor", pairs: Sequence[tuple[int, int]]) -> "torch.Tensor":
    """Bradley-Terry: the mean of -log sigmoid(margin of the resolved - margin of the unresolved) over pairs."""
    import torch
    from torch.nn.functional import logsigmoid

    good, bad = torch.tensor(pairs, device=values.device).T
    return -logsigmoid(values[good] - values[bad]).mean()


def pairwise_slopes(values: "torch.Tensor", pairs: Sequence[tuple[int, int]]) -> tuple[float, "torch.Tensor"]:
    """`pairwise` and its derivative by each margin: with them each row goes backward alone, exactly."""
    import torch

    if not pairs:
        return 0.0, torch.zeros_like(values)
    free = values.detach().clone().requires_grad_()
    loss = pairwise(free, pairs)
    (slopes,) = torch.autograd.grad(loss, free)
    return loss.item(), slopes


def language_loss(logits: "torch.Tensor", targets: "torch.Tensor") -> "torch.Tensor":
    """Next-token cross-entropy summed over positions, in fp32."""
    from torch.nn.functional import cross_entropy

    return cross_entropy(logits.float(), targets, reduction="sum")


def router_loss(
    router_logits: Sequence["torch.Tensor"], top_k: int, *, own: int, total: int, group: Any = None
) -> "torch.Tensor":
    """Load-balancing loss of the routers (Switch Transformer, eq. 4); 1 per expert of a token where use is even.

    Each layer's logits are [tokens, experts], of which the first `own` count. In a group of processes that hold parts
    of one sequence of `total` tokens each gets its summand: how often experts are chosen is counted over all.
    """
    import torch
    import torch.distributed as dist

    layers = len(router_logits)
    chosen: Any = 0.0
    probability: Any = 0.0
    for logits in router_logits:
        shares = logits[:own].softmax(-1, dtype=torch.float32)
        picked = shares.topk(top_k, -1).indices
        chosen = chosen + torch.zeros_like(shares).scatter_(1, picked, 1.0).sum(0)
        probability = probability + shares.sum(0)
    chosen = chosen.detach()
    if group is not None:
        dist.all_reduce(chosen, group=group)
    loss: torch.Tensor = (chosen * probability).sum() * len(chosen) / (layers * total) ** 2
    return loss
