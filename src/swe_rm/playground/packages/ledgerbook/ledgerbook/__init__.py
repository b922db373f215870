"""Double-entry accounts in whole cents."""

from .amounts import format_amount, parse_amount, split_evenly
from .book import Book, UnbalancedError

__all__ = ["Book", "UnbalancedError", "format_amount", "parse_amount", "split_evenly"]
