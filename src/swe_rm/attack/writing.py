"""Rewritten attempts as they are made, one attempts row a line, to train or measure a verifier against them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from swe_rm import output
from swe_rm.export import attempts_row
from swe_rm.trajectory import Labelled


@contextmanager
def writer(out: Path | None) -> Iterator[Callable[[Labelled], None] | None]:
    """What writes an attempt, or None where there is no file to write; the file appears whole at the end.

    It is compressed as its ending says (.gz, .zst). Raises SweRmError where nothing can be written there.
    """
    if out is None:
        yield None
        return
    with output.beside(out) as partial:
        with output.lines(partial / out.name) as sink:

            def write(item: Labelled) -> None:
                sink.write(output.line(attempts_row(item)))

            yield write
        (partial / out.name).rename(out)
