"""GSPO and GRPO to read: a group's rewards become advantages, and these with log-probabilities a clipped loss.

A group is several attempts at one prompt. Advantages are taken after the reward is shaped, so whatever is added to it
(a score, a penalty) is compared inside the group too. GSPO (Zheng et al. 2025, arXiv 2507.18071) weighs a sequence by
the geometric mean of its tokens' ratios, GRPO (Shao et al. 2024, arXiv 2402.03300) each token by its own. There is no
KL term. The figures are those of TRL's `GRPOTrainer` with `loss_type="grpo"`, for GSPO with
`importance_sampling_level="sequence"`.
"""

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from pydantic import Field

from swe_rm.errors import SweRmError
from swe_rm.metrics import Floats
from swe_rm.trajectory import Noun

if TYPE_CHECKING:
    import torch

STD_FLOOR = 1e-4
"""Added to a group's standard deviation, as TRL does. It is what keeps a group of equal rewards at zero; rewards that
differ by a hundredth are still scaled to full size, whatever they were multiplied by."""


def group_advantages(rewards: Floats, *, scale: Literal["group", "none"] = "group") -> Floats:
    """What each attempt's reward is above its group's mean. Shapes (..., size) -> (..., size).

    `scale="group"` divides by the group's standard deviation (over size - 1). NaN is an attempt without a reward: it
    counts in neither and has the advantage 0, as has one that is alone in its group. Raises SweRmError for an infinite
    reward.
    """
    given = ~np.isnan(rewards)
    if not np.isfinite(rewards[given]).all():
        raise SweRmError("a reward is infinite: it would take its whole group's place")
    n = given.sum(axis=-1, keepdims=True)
    known = np.where(given, rewards, 0.0)
    mean = known.sum(axis=-1, keepdims=True) / np.maximum(1, n)
    above = np.where(given, known - mean, 0.0)
    if scale == "none":
        return above
    variance = (above**2).sum(axis=-1, keepdims=True) / np.maximum(1, n - 1)
    return np.asarray(above / (np.sqrt(variance) + STD_FLOOR))


class Loss(NamedTuple):
    """A loss and what to watch beside it."""

    loss: "torch.Tensor"
    """Scalar, to minimise."""
    ratios: "torch.Tensor"
    """New over old policy: [batch, 1] of sequences, [batch, tokens] of tokens; no gradient."""
    clipped: float
    """Share of the ratios whose clipping took the gradient away."""


class Objective(Noun):
    """The clipped loss of a batch of completions; `GSPO` and `GRPO` below are the two that are used."""

    level: Literal["sequence", "token"]
    """What has a ratio."""
    clip_low: float = Field(gt=0, lt=1)
    """Ratios below 1 - clip_low get no gradient where the advantage is negative."""
    clip_high: float = Field(gt=0)
    """Ratios above 1 + clip_high get none where it is positive."""

    def __call__(
        self, logprobs: "torch.Tensor", old_logprobs: "torch.Tensor", mask: "torch.Tensor", advantages: "torch.Tensor"
    ) -> Loss:
        """The loss of log-probabilities [batch, tokens] under the policy that learns and the one that sampled.

        `mask` [batch, tokens] is 1 on the tokens the policy wrote (not on padding, not on what tools answered) and
        `advantages` is [batch]. Every sequence weighs the same, its tokens share its weight.
        """
        import torch

        own = mask.bool()
        ratios = self._ratios(torch.where(own, logprobs - old_logprobs, 0.0), own)
        above = advantages[:, None]
        bounded = ratios.clamp(1 - self.clip_low, 1 + self.clip_high)
        # the smaller of the two: clipping may only make a step more careful
        gains = torch.minimum(ratios * above, bounded * above)
        loss = -_mean_by_sequence(gains.expand_as(logprobs), own).mean()
        lost = ((ratios < 1 - self.clip_low) & (above < 0)) | ((ratios > 1 + self.clip_high) & (above > 0))
        counted = own if self.level == "token" else own.any(1, keepdim=True)
        clipped = (lost & counted).sum() / counted.sum().clamp(min=1)
        return Loss(loss, ratios.detach(), float(clipped))

    def _ratios(self, log_ratios: "torch.Tensor", own: "torch.Tensor") -> "torch.Tensor":
        """New over old policy. GSPO's is exp of the MEAN log-ratio of a sequence's own tokens.

        A ratio of whole sequences is the product of thousands of factors, so that no clipping range would fit both
        short and long ones; their geometric mean is of one size whatever the length.
        """
        return (log_ratios if self.level == "token" else _mean_by_sequence(log_ratios, own)[:, None]).exp()


def _mean_by_sequence(values: "torch.Tensor", own: "torch.Tensor") -> "torch.Tensor":
    """Mean over a sequence's own tokens, 0 for one that has none: [batch, tokens] -> [batch]."""
    return (values * own).sum(1) / own.sum(1).clamp(min=1)


GSPO = Objective(level="sequence", clip_low=3e-4, clip_high=4e-4)
"""Clipped as in its paper: a mean of many log-ratios moves a thousand times less than one of them."""

GRPO = Objective(level="token", clip_low=0.2, clip_high=0.2)
