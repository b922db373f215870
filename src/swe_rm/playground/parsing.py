"""Sources as trees, one thread at a time: Python before 3.11.8 and 3.12.2 may fail where two parse at once.

The error is a SystemError, "AST constructor recursion depth mismatch" (python/cpython issue 106905).
"""

import ast
import threading

ALONE = threading.RLock()
"""Held by whoever parses; code that parses elsewhere is called under it."""


def parse(source: str) -> ast.Module:
    """The tree of a source. Raises SyntaxError when it is none."""
    with ALONE:
        return ast.parse(source)
