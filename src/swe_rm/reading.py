"""One packed row read by the network in training: its losses, ready to go backward, and the figures of the log."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from swe_rm import batch, losses, parallel
from swe_rm.losses import Positions
from swe_rm.parallel import Group, Stretch
from swe_rm.recipe import TrainConfig
from swe_rm.schedule import Step
from swe_rm.training_data import TrainingExample

if TYPE_CHECKING:
    import torch

FIELDS = ("verdict", "language", "router", "pairwise")
"""What the loss is made of: each is a field of the log of its own."""


class Norms(NamedTuple):
    """What a step's sums are divided by."""

    weight: float
    """Of all its examples."""
    tokens: int


class Slopes(NamedTuple):
    """The pairwise term of a step, and its derivative by each member's margin."""

    loss: float
    by_member: dict[int, float]
    """By the member's place in the step."""


class Reader:
    """Reads rows with a network; holds what does not change from row to row."""

    def __init__(
        self, config: TrainConfig, examples: Sequence[TrainingExample], pair: tuple[int, int], among: Group
    ) -> None:
        self._config = config
        self._examples = examples
        self._pair = pair
        self._among = among
        self._verdicts = config.objective == "verdict"
        wants_language = config.objective == "language" or config.language_weight > 0
        self._share = config.language_share if wants_language else 0.0

    def row(self, members: Sequence[int]) -> batch.Row:
        """The row of these examples."""
        return batch.row(members, [self._examples[index].token_ids for index in members])

    def losses(self, network: Any, row: batch.Row, seed: int, norms: Norms, slopes: Slopes, first: int) -> "Losses":
        """The row's parts of the step's losses; `first` is the place of its first member in the step.

        In a group of processes that share the row's tokens, each has the summands of its stretch.
        """
        import torch

        part = parallel.stretch(row, self._among)
        chosen = losses.positions(row, verdicts=self._verdicts, language_share=self._share, seed=seed)
        logits, router_logits, mine = self._read(network, part, chosen)
        verdicts = int((mine < chosen.verdicts).sum())
        labels = logits[:verdicts].float()  # once: the terms' gradients add up before they are rounded
        zero = logits[:0].float().sum()  # what has no summand here goes backward too: all processes wait for each other
        found = {"verdict": zero, "language": zero, "router": zero, "pairwise": zero}
        if verdicts:
            found["verdict"] = self._verdict(labels, row, mine[:verdicts]) / norms.weight
            if slopes.by_member:
                slope = labels.new_tensor([slopes.by_member[first + n] for n in mine[:verdicts].tolist()])
                found["pairwise"] = (losses.margins(labels, self._pair) * slope).sum()
        share = len(row.token_ids) / norms.tokens
        if len(mine) > verdicts:
            following = torch.tensor(row.token_ids[chosen.places.numpy()[mine[verdicts:]] + 1], device=logits.device)
            summed = losses.language_loss(logits[verdicts:], following)
            found["language"] = summed * share / (len(chosen.places) - chosen.verdicts)
        if router_logits:
            top_k, total = self._top_k(network), len(row.token_ids)
            found["router"] = share * losses.router_loss(
                router_logits, top_k, own=part.own, total=total, group=self._among.handle
            )
        return Losses(self._total(found), found)

    def margins(self, network: Any, row: batch.Row) -> dict[int, float]:
        """log-odds of YES by member of the row, of those whose last token is in this process's stretch."""
        import torch

        part = parallel.stretch(row, self._among)
        ends = losses.positions(row, verdicts=True, language_share=0.0, seed=0)
        with torch.no_grad():
            logits, _, mine = self._read(network, part, ends, routers=False)
        return dict(zip(mine.tolist(), losses.margins(logits, self._pair).tolist(), strict=True))

    def _read(
        self, network: Any, part: Stretch, chosen: Positions, *, routers: bool = True
    ) -> tuple["torch.Tensor", Any, np.ndarray[Any, np.dtype[np.int64]]]:
        """Logits at the chosen positions of this stretch, the routers' logits, and which of the chosen those are."""
        import torch

        device = next(network.parameters()).device
        inside = (chosen.places >= part.start) & (chosen.places < part.start + len(part.token_ids))
        output = network(
            input_ids=torch.tensor(part.token_ids, device=device)[None],
            position_ids=torch.tensor(part.position_ids, device=device)[None],
            use_cache=False,
            document_ends=part.ends,
            logits_to_keep=(chosen.places[inside] - part.start).to(device),
            output_router_logits=bool(routers and self._config.router_weight),
        )
        return output.logits[0], output.router_logits, inside.nonzero()[:, 0].numpy()

    def _verdict(self, logits: "torch.Tensor", row: batch.Row, mine: Any) -> "torch.Tensor":
        import torch

        members = [self._examples[row.members[n]] for n in mine.tolist()]
        targets = torch.tensor([e.verdict_id for e in members], device=logits.device)
        weights = torch.tensor([e.weight for e in members], device=logits.device)
        each = losses.verdict_losses(logits, targets, self._pair, head=self._config.head)
        summed: torch.Tensor = (each * weights).sum()
        return summed

    @staticmethod
    def _top_k(network: Any) -> int:
        inner = getattr(network, "module", network)  # DDP keeps the network as `module`
        top_k: int = inner.config.num_experts_per_tok
        return top_k

    def _total(self, found: dict[str, Any]) -> "torch.Tensor":
        config = self._config
        language = 1.0 if config.objective == "language" else config.language_weight
        beside = config.router_weight * found["router"] + config.pairwise_weight * found["pairwise"]
        total: torch.Tensor = found["verdict"] + language * found["language"] + beside
        return total


class Losses(NamedTuple):
    """A row's summands of a step's losses."""

    total: "torch.Tensor"
    """Weighted and added: what goes backward."""
    parts: dict[str, "torch.Tensor"]
    """By field; the pairwise part is linearised: right in its gradient, not in its value."""


def norms(step: Step, examples: Sequence[TrainingExample]) -> Norms:
    """Of a step, over all processes. Examples of no weight leave a verdict loss of 0."""
    return Norms(sum(examples[index].weight for index in step.members) or 1.0, step.tokens)
