"""A server's own words as they can stand in a verifier's name, which goes into headers, file names and tables."""

import re

PART = 64
"""Characters of a version or a model at most."""
WHOLE = 256
"""Characters of a whole name at most: a mean's names all its members."""


def in_a_name(told: str) -> str:
    """A version or a model as a part of a name: letters, digits, dot, dash and underscore."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", told).strip("-")[:PART]


def as_a_name(told: str) -> str:
    """The name that a server gives its verifier: printable ASCII without spaces."""
    return re.sub(r"[^!-~]+", "-", told).strip("-")[:WHOLE]
