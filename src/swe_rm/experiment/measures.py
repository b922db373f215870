"""What is measured of an arm: the figures of a report, what each is called, where it lies, and which way is better."""

import re

FIGURES = {
    "auc": "AUC",
    "auc_within_policy": "AUC within policy",
    "auc_same_policy_task": "same policy and task",
    "auc_within_task": "pairs of a task",
    "auc_upset": "upsets",
    "ece": "ECE",
    "brier": "Brier",
    "rm_at_k.widest": "RM@K",
    "gain_at_k": "RM@K - random",
    "rise_with_k": "RM@K - RM@2",
}
"""K is the widest that half of the tasks have."""
_DIFFERENCES = frozenset({"gain_at_k", "rise_with_k"})
_AT_K = re.compile(r"rm_at_k\.[1-9]\d*")


def is_measure(name: str) -> bool:
    """Whether a claim may be of it: one of `FIGURES`, or `rm_at_k.K`."""
    return name in FIGURES or _AT_K.fullmatch(name) is not None


def bounds(name: str) -> tuple[float, float]:
    """Where a figure can lie."""
    return (-1.0 if name in _DIFFERENCES else 0.0, 1.0)
