"""slime 0.3.1 of 2026-08-21: slime/utils/types.py:94-143."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Sample:
    prompt: str | list[dict[str, str]] = ""
    response: str = ""
    label: str | None = None
    reward: float | dict[str, Any] | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
