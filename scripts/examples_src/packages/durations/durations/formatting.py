"""Writing seconds as ``1h 30m`` or as a clock, ``1:30:00``."""

import math

_SIZES = (("d", 86400), ("h", 3600), ("m", 60))


def format_duration(seconds: float, precision: int = 0) -> str:
    """``seconds`` in days, hours, minutes and seconds; zero parts are left out.

    ``precision`` is the number of decimals kept in the seconds.
    """
    if not math.isfinite(seconds):
        raise ValueError(f"cannot format {seconds}")
    scale = 10**precision
    ticks = round(abs(seconds) * scale)
    sign = "-" if seconds < 0 and ticks else ""
    parts = []
    for unit, size in _SIZES:
        count, ticks = divmod(ticks, size * scale)
        if count:
            parts.append(f"{count}{unit}")
    if ticks or not parts:
        parts.append(_seconds(ticks / scale, precision))
    return sign + " ".join(parts)


def format_clock(seconds: float) -> str:
    """``H:MM:SS`` of a non-negative number of seconds, fractions cut off."""
    if seconds < 0:
        raise ValueError("a clock does not run backwards")
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"


def _seconds(value: float, precision: int) -> str:
    text = f"{value:.{precision}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return f"{text}s"
