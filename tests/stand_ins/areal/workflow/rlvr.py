"""AReaL 2.0.0 of 2026-08-22: areal/workflow/rlvr.py, RLVRWorkflow."""

from collections.abc import Callable
from typing import Any


class RLVRWorkflow:
    def __init__(self, reward_fn: Callable[..., Any] | str, gconfig: Any, tokenizer: Any) -> None:
        self.reward_fn = reward_fn
