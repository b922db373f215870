"""A cache with a size limit and a time to live."""

from .cache import TTLCache
from .memo import memoize

__all__ = ["TTLCache", "memoize"]
