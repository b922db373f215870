"""Rows that others published, as they stand there: to be read beside one's own, not compared with them."""

from typing import NamedTuple

TABLE_4_SOURCE = (
    "SWE-RM, arXiv 2512.21919, Table 4 (pass@1 and SWE-RM also in its abstract), as quoted by public notes on the "
    "paper: SWE-bench Verified, 500 tasks x 32 attempts; no intervals are published, and how RM@32 is estimated, how "
    "ties and attempts too long for a verifier count, and how many bins the ECE has is not said"
)


class Published(NamedTuple):
    """One verifier on one policy's attempts; None where nothing is published."""

    policy: str
    verifier: str
    kind: str
    """EF: execution-free. EB: execution-based."""
    auc: float | None
    ece: float | None
    rm_at_32: float


FLASH, MAX = "Qwen3-Coder-Flash", "Qwen3-Coder-Max"

TABLE_4 = (
    Published(FLASH, "(pass@1)", "", None, None, 0.516),
    Published(FLASH, "Agentless", "EB", None, None, 0.526),
    Published(FLASH, "SWE-Gym verifier", "EF", 0.776, 0.223, 0.512),
    Published(FLASH, "DeepSWE-EF", "EF", 0.758, 0.124, 0.532),
    Published(FLASH, "SWE-RM-30A3B", "EF", 0.783, 0.051, 0.620),
    Published(MAX, "(pass@1)", "", None, None, 0.670),
    Published(MAX, "Agentless", "EB", None, None, 0.650),
    Published(MAX, "SWE-Gym verifier", "EF", None, None, 0.654),
    Published(MAX, "DeepSWE-EF", "EF", None, None, 0.662),
    Published(MAX, "SWE-RM-30A3B", "EF", None, None, 0.746),
)
"""EF verifiers on their own: hybrids with tests are not among them."""
