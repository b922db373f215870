"""What can go wrong."""


class ConfigError(Exception):
    """Base of the errors of this package."""


class ParseError(ConfigError):
    """A line cannot be read; the message starts with its number."""


class InterpolationError(ConfigError):
    """A reference in a value leads nowhere, or round in a circle."""
