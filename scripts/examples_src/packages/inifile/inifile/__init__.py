"""Configuration files: sections, keys, comments, references."""

from .config import Config, loads
from .errors import ConfigError, InterpolationError, ParseError

__all__ = ["Config", "ConfigError", "InterpolationError", "ParseError", "loads"]
