"""Sets of half-open intervals of whole numbers."""

from .booking import Calendar
from .spans import SpanSet

__all__ = ["Calendar", "SpanSet"]
