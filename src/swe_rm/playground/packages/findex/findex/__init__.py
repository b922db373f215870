"""A small search engine in memory."""

from .index import Index
from .spelling import distance, suggest

__all__ = ["Index", "distance", "suggest"]
