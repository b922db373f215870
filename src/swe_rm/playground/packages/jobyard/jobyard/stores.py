"""A cache that forgets what was not asked for, and a limit on how often something may be done."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any


class Cache:
    """Keeps the values that were used last, for some time if one is given."""

    def __init__(self, size: int, lasts: float | None = None) -> None:
        if size < 1:
            raise ValueError("a cache holds one value at least")
        self.size = size
        self.lasts = lasts
        self.hits = 0
        self.misses = 0
        self._kept: OrderedDict[Hashable, tuple[float, Any]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._kept

    def put(self, key: Hashable, value: Any, now: float = 0) -> None:
        """Keep a value; the one that was not used for longest makes room."""
        self._kept.pop(key, None)
        if len(self._kept) >= self.size:
            self._kept.popitem(last=False)
        self._kept[key] = (now, value)

    def get(self, key: Hashable, now: float = 0, default: Any = None) -> Any:
        """The value, which counts as used now; the default when it is not there or too old."""
        if key not in self._kept:
            self.misses += 1
            return default
        since, value = self._kept[key]
        if self.lasts is not None and now - since >= self.lasts:
            del self._kept[key]
            self.misses += 1
            return default
        self._kept.move_to_end(key)
        self.hits += 1
        return value

    def computed(self, key: Hashable, make: Callable[[], Any], now: float = 0) -> Any:
        """The value that is kept, or a new one."""
        missing = object()
        found = self.get(key, now, missing)
        if found is missing:
            found = make()
            self.put(key, found, now)
        return found

    def swept(self, now: float) -> int:
        """Forget all that is too old; how many."""
        if self.lasts is None:
            return 0
        old = [key for key, (since, _) in self._kept.items() if now - since >= self.lasts]
        for key in old:
            del self._kept[key]
        return len(old)

    @property
    def hit_rate(self) -> float:
        """The share of questions that were answered from the cache."""
        asked = self.hits + self.misses
        return self.hits / asked if asked else 0.0


class RateLimit:
    """So many at once, and so many a second after that."""

    def __init__(self, burst: int, per_second: float) -> None:
        if burst < 1 or per_second <= 0:
            raise ValueError("nothing would ever be allowed")
        self.burst = burst
        self.per_second = per_second
        self._left = float(burst)
        self._since = 0.0

    def _refill(self, now: float) -> None:
        if now < self._since:
            raise ValueError("time does not go back")
        self._left = min(self.burst, self._left + (now - self._since) * self.per_second)
        self._since = now

    def allow(self, now: float, cost: float = 1) -> bool:
        """Whether it may be done now; if so it is counted."""
        self._refill(now)
        if cost > self._left:
            return False
        self._left -= cost
        return True

    def wait(self, now: float, cost: float = 1) -> float:
        """Seconds until it may be done."""
        if cost > self.burst:
            raise ValueError("it will never be allowed")
        self._refill(now)
        return max(0.0, (cost - self._left) / self.per_second)
