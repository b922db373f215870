"""SIGTERM and SIGINT as a request to end, for as long as a server runs."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stop_signals(asked: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Have either of them call that, and restore afterwards what they meant before."""
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, asked) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
