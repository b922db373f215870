"""Jobs that wait for one another, and machines that do them."""

from .plans import CycleError, order, schedule
from .stores import Cache, RateLimit

__all__ = ["Cache", "CycleError", "RateLimit", "order", "schedule"]
