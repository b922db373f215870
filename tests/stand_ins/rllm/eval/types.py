"""rLLM 0.3.0pre of 2026-08-15: rllm/eval/types.py:14-31."""

from dataclasses import dataclass, field


@dataclass
class Signal:
    name: str
    value: float
    metadata: dict = field(default_factory=dict)


@dataclass
class EvalOutput:
    reward: float
    is_correct: bool
    signals: list[Signal] = field(default_factory=list)
    metadata: dict = field(default_factory=dict)
