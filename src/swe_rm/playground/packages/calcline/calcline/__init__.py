"""Expressions as one types them into a calculator."""

from .evaluate import evaluate, variables
from .reading import ParseError, parse

__all__ = ["ParseError", "evaluate", "parse", "variables"]
