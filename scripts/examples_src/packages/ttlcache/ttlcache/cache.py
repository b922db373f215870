"""TTLCache: least recently used out first, nothing older than ttl."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import Any

_MISSING = object()


class TTLCache:
    """A mapping of at most ``maxsize`` entries, each living ``ttl`` seconds.

    Reading or writing an entry makes it the most recently used one.
    """

    def __init__(
        self,
        maxsize: int,
        ttl: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if maxsize < 1 or ttl <= 0:
            raise ValueError("maxsize and ttl must be positive")
        self.maxsize = maxsize
        self.ttl = ttl
        self.hits = 0
        self.misses = 0
        self._clock = clock
        self._entries: OrderedDict[Hashable, tuple[Any, float]] = OrderedDict()

    def __setitem__(self, key: Hashable, value: Any) -> None:
        self.purge()
        if key not in self._entries and len(self._entries) >= self.maxsize:
            self._entries.popitem(last=False)
        self._entries[key] = (value, self._clock() + self.ttl)
        self._entries.move_to_end(key)

    def __getitem__(self, key: Hashable) -> Any:
        value = self.get(key, _MISSING)
        if value is _MISSING:
            raise KeyError(key)
        return value

    def __delitem__(self, key: Hashable) -> None:
        del self._entries[key]

    def __contains__(self, key: Hashable) -> bool:
        self.purge()
        return key in self._entries

    def __len__(self) -> int:
        self.purge()
        return len(self._entries)

    def __iter__(self) -> Iterator[Hashable]:
        self.purge()
        return iter(list(self._entries))

    def get(self, key: Hashable, default: Any = None) -> Any:
        """The value of ``key`` while it lives, else ``default``."""
        self.purge()
        if key not in self._entries:
            self.misses += 1
            return default
        self.hits += 1
        self._entries.move_to_end(key)
        return self._entries[key][0]

    def get_or_set(self, key: Hashable, factory: Callable[[], Any]) -> Any:
        """The value of ``key``; computed by ``factory`` and kept if it is missing."""
        value = self.get(key, _MISSING)
        if value is _MISSING:
            value = factory()
            self[key] = value
        return value

    def purge(self) -> int:
        """Drop what has expired; returns how many entries that were."""
        now = self._clock()
        old = [key for key, (_, deadline) in self._entries.items() if deadline <= now]
        for key in old:
            del self._entries[key]
        return len(old)

    def clear(self) -> None:
        """Drop everything, the counters too."""
        self._entries.clear()
        self.hits = self.misses = 0
