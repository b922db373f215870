"""The figures of what knows nothing, everything, or only whose attempt it is or at which task: beside a verifier's."""

import numpy as np

from swe_rm.figures import Figures, Metrics, Pool
from swe_rm.metrics import Floats
from swe_rm.priors import Known, Rates
from swe_rm.verifiers.controls import CONTROL_NAMES

_RANKING_ONLY = frozenset({"shortest"})
"""Controls whose scores order attempts but are no probabilities: no calibration error, no Brier loss."""


def control_figures(pool: Pool, k_max: int | None = None, lengths: Floats | None = None) -> dict[str, Metrics]:
    """Figures by control. Shape of `lengths` (n,), rendered characters; without all of them there is no `shortest`."""
    policies, tasks = pool.policy_names[pool.policies], pool.task_names[pool.tasks]
    known = [Known(*one) for one in zip(policies, tasks, pool.resolved.tolist(), strict=True)]
    rates = Rates(known)
    shortest = {} if lengths is None or np.isnan(lengths).any() else {"shortest": 1 / (1 + lengths)}
    scores = {
        "constant": np.full(len(known), 0.5),
        **shortest,
        "policy_prior": np.array([rates.policy_prior(one.policy, one.task) for one in known], dtype=np.float64),
        "task_prior": np.array([rates.task_prior(one.policy, one.task) for one in known], dtype=np.float64),
        "oracle": pool.resolved.astype(np.float64),
    }
    return {
        key: Figures(pool, given, k_max, ranking_only=key in _RANKING_ONLY).metrics(CONTROL_NAMES[key])
        for key, given in scores.items()
    }
