"""memoize: a function whose results are kept in a TTLCache."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from .cache import TTLCache


def memoize(cache: TTLCache) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: keep the results of a function in ``cache``, by its arguments."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            key = (function.__qualname__, args, tuple(sorted(kwargs.items())))
            return cache.get_or_set(key, lambda: function(*args, **kwargs))

        return wrapper

    return decorate
