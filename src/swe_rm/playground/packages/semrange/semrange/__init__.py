"""Version numbers and ranges of them."""

from .ranges import Range, newest
from .versions import Version

__all__ = ["Range", "Version", "newest"]
