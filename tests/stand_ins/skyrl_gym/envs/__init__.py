"""SkyRL 0.3.0: skyrl-gym/skyrl_gym/envs/registration.py, register."""

from collections.abc import Callable
from typing import Any

registry: dict[str, Callable[..., Any] | str] = {}


def register(id: str, entry_point: Callable[..., Any] | str) -> None:
    registry[id] = entry_point
