"""Days of the calendar, and lengths of time."""

from .days import Day, is_leap
from .lengths import parse_length, show_length

__all__ = ["Day", "is_leap", "parse_length", "show_length"]
