"""Lengths of time as people write them: ``2h 30m``, ``1:30``, ``1 day``."""

import re

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
WORDS = {"second": "s", "minute": "m", "hour": "h", "day": "d", "week": "w"}
PART = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)")


def parse_length(text: str) -> int:
    """Seconds of a text; units must come in falling order and none twice."""
    text = text.strip().lower()
    if re.fullmatch(r"\d+(:\d\d){1,2}", text):
        return of_clock(text)
    total = 0.0
    last = 10 * UNITS["w"]
    rest = text
    while rest:
        found = PART.match(rest)
        if found is None:
            raise ValueError(f"not a length of time: {text}")
        unit = UNITS[unit_of(found[2])]
        if unit >= last:
            raise ValueError(f"units must fall: {text}")
        last = unit
        total += float(found[1]) * unit
        rest = rest[found.end() :].lstrip(" ,")
    if last > UNITS["w"]:
        raise ValueError("a length of time cannot be empty")
    return round(total)


def of_clock(text: str) -> int:
    """Seconds of ``h:mm`` or ``h:mm:ss``."""
    hours, *rest = map(int, text.split(":"))
    if max(rest) > 59:
        raise ValueError(f"no such time: {text}")
    minutes, seconds = rest[0], rest[1] if len(rest) > 1 else 0
    return hours * 3600 + minutes * 60 + seconds


def unit_of(name: str) -> str:
    """The letter of a unit written as letter or word, in singular or plural."""
    if name in UNITS:
        return name
    singular = name.removesuffix("s")
    if singular not in WORDS:
        raise ValueError(f"no such unit: {name}")
    return WORDS[singular]


def show_length(seconds: int, most: int = 2) -> str:
    """The length in its largest units, at most so many; the rest is cut off."""
    if seconds < 0:
        return "-" + show_length(-seconds, most)
    parts = []
    for unit in ("w", "d", "h", "m", "s"):
        count, seconds = divmod(seconds, UNITS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:most]) or "0s"


def ago(seconds: int) -> str:
    """How long ago, in words, in one unit."""
    if seconds < 45:
        return "just now"
    for word, letter in (("week", "w"), ("day", "d"), ("hour", "h"), ("minute", "m")):
        count = (seconds + UNITS[letter] // 2) // UNITS[letter]
        if seconds >= UNITS[letter] * 3 // 4:
            return f"{'an' if word == 'hour' else 'a'} {word} ago" if count == 1 else f"{count} {word}s ago"
    raise AssertionError("unreachable: 45 seconds are three quarters of a minute")
