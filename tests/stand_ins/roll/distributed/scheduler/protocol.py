"""ROLL of 2026-08-19: roll/distributed/scheduler/protocol.py, DataProto."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class DataProto:
    batch: Any = None
    non_tensor_batch: dict[str, Any] = field(default_factory=dict)
    meta_info: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, tensors: dict[str, Any]) -> "DataProto":
        return cls(batch=tensors)
