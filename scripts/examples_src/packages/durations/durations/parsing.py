"""Reading durations such as ``1h 30m``, ``-90s`` or ``PT1H30M`` into seconds."""

import re

UNITS = {"w": 604800.0, "d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}

_PART = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|w|d|h|m|s)\s*", re.IGNORECASE)
_ISO = re.compile(
    r"P(?:(?P<w>\d+)W)?(?:(?P<d>\d+)D)?"
    r"(?:T(?:(?P<h>\d+)H)?(?:(?P<m>\d+)M)?(?:(?P<s>\d+(?:\.\d+)?)S)?)?"
)


class DurationError(ValueError):
    """The text is not a duration."""


def parse_duration(text: str) -> float:
    """Seconds in ``text``: numbers with units, or an ISO 8601 duration.

    A leading sign applies to the whole duration. Raises DurationError.
    """
    body = text.strip()
    sign = 1.0
    if body.startswith(("+", "-")):
        sign = -1.0 if body[0] == "-" else 1.0
        body = body[1:].lstrip()
    if body[:1] in ("P", "p"):
        return sign * _parse_iso(body, text)
    return sign * _parse_units(body, text)


def _parse_units(body: str, text: str) -> float:
    total = 0.0
    seen: set[str] = set()
    position = 0
    while position < len(body):
        match = _PART.match(body, position)
        if match is None:
            raise DurationError(f"cannot read {text!r} at {body[position:]!r}")
        number, unit = match.group(1), match.group(2).lower()
        if unit in seen:
            raise DurationError(f"{text!r} gives {unit!r} twice")
        seen.add(unit)
        total += float(number) * UNITS[unit]
        position = match.end()
    if not seen:
        raise DurationError("the duration is empty")
    return total


def _parse_iso(body: str, text: str) -> float:
    match = _ISO.fullmatch(body.upper())
    if match is None or not any(match.groupdict().values()):
        raise DurationError(f"{text!r} is not an ISO 8601 duration")
    values = match.groupdict(default="0")
    return sum(float(value) * UNITS[unit] for unit, value in values.items())
