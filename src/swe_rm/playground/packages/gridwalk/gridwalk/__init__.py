"""Maps drawn with characters, and ways through them."""

from .maps import Grid
from .ways import cheapest, distances, shortest

__all__ = ["Grid", "cheapest", "distances", "shortest"]
