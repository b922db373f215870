"""ROLL of 2026-08-19: roll/distributed/scheduler/decorator.py:272."""

from collections.abc import Callable
from enum import Enum, auto
from typing import Any


class Dispatch(Enum):
    ONE_TO_ALL = auto()
    DP_MP_COMPUTE = auto()


def register(dispatch_mode: Dispatch, clear_cache: bool = True) -> Callable[[Any], Any]:
    return lambda function: function
