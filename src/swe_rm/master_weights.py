"""AdamW over fp32 copies of weights that run in bf16: an update too small for bf16 is not lost."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

Named = Sequence[tuple[str, "torch.nn.Parameter"]]


class MasterWeights:
    """The trained parameters of a network, their fp32 masters and the optimiser over those.

    A parameter in fp32 is its own master. The optimiser's state dict holds the other masters, so what resumes from it
    goes on exactly.
    """

    def __init__(self, named: Named, *, rate: float, decay: float) -> None:
        """`decay` is for matrices; vectors (the norms' scales) have none."""
        import torch

        self._pairs = [(p, p if p.dtype == torch.float32 else p.detach().float().clone()) for _, p in named]
        self._names = [name for name, _ in named]
        masters = [master for _, master in self._pairs]
        groups = [
            {"params": [m for m in masters if m.dim() >= 2], "weight_decay": decay},
            {"params": [m for m in masters if m.dim() < 2], "weight_decay": 0.0},
        ]
        groups = [group for group in groups if group["params"]]
        self.optimizer = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.95))
        if any(parameter is not master for parameter, master in self._pairs):
            self.optimizer.register_step_post_hook(lambda *_: self.publish())
            self.optimizer.register_state_dict_post_hook(self._add_masters)
            self.optimizer.register_load_state_dict_pre_hook(self._take_masters)

    def collect(self) -> "list[torch.Tensor]":
        """Add the network's gradients to the masters' and forget them; the masters, for clipping."""
        for parameter, master in self._pairs:
            if parameter is not master and parameter.grad is not None:
                gradient = parameter.grad.float()
                master.grad = gradient if master.grad is None else master.grad.add_(gradient)
                parameter.grad = None
        return [master for _, master in self._pairs]

    def publish(self) -> None:
        """Give the network its masters' values, rounded, and forget the masters' gradients."""
        import torch

        with torch.no_grad():
            for parameter, master in self._pairs:
                if parameter is not master:
                    parameter.copy_(master)
                    master.grad = None

    def named(self) -> "dict[str, torch.Tensor]":
        """The masters by parameter name."""
        return {name: master.detach() for name, (_, master) in zip(self._names, self._pairs, strict=True)}

    def _add_masters(self, _: Any, state: dict[str, Any]) -> dict[str, Any]:
        return {**state, "masters": [master for _, master in self._pairs]}

    def _take_masters(self, _: Any, state: dict[str, Any]) -> dict[str, Any]:
        import torch

        with torch.no_grad():
            for (_, master), saved in zip(self._pairs, state["masters"], strict=True):
                master.copy_(saved)
        self.publish()
        return {key: value for key, value in state.items() if key != "masters"}
