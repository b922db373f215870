"""Versions after semver.org 2.0.0."""

from .ranges import satisfies
from .version import Version, VersionError

__all__ = ["Version", "VersionError", "satisfies"]
