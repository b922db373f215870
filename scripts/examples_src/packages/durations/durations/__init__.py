"""Durations: text to seconds and back."""

from .formatting import format_clock, format_duration
from .parsing import DurationError, parse_duration

__all__ = ["DurationError", "format_clock", "format_duration", "parse_duration"]
