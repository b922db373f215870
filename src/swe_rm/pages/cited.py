"""Figures on a page that say where in the JSON they stand: a `<data>` element with the place and the value."""

from collections.abc import Sequence

from swe_rm.page import UNDEFINED, safe


def cited(value: float | None, *place: str | int, form: str = ".3f") -> str:
    """A figure as HTML; `place` are the keys on the way to it in the JSON. A dash where it is undefined."""
    exact, shown = ("", UNDEFINED) if value is None else (repr(value), format(value, form))
    return f'<data data-at="{safe(pointer(*place))}" value="{exact}">{shown}</data>'


def counted(n: int | None, *place: str | int) -> str:
    """A whole number, thousands parted."""
    return cited(n, *place, form=",")


def spanned(bounds: Sequence[float] | None, *place: str | int, form: str = ".3f") -> str:
    """An interval: low to high."""
    if bounds is None:
        return cited(None, *place)
    return " to ".join(cited(bound, *place, end, form=form) for end, bound in enumerate(bounds))


def pointer(*place: str | int) -> str:
    """A place in a JSON document as RFC 6901 writes it."""
    return "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in place)
