"""A plan's second pass: the kept attempts are read again, one by one, and written in the order of the draw."""

import tempfile
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import zstandard

from swe_rm import output, store
from swe_rm.errors import SweRmError
from swe_rm.mix.facts import Facts
from swe_rm.mix.manifest import NAME
from swe_rm.mix.plan import Plan, Watch
from swe_rm.trajectory import Labelled

_QUICK = 1
"""Level of the spool's compression: it is read once and deleted."""


def write(plan: Plan, folder: Path, watch: Watch = iter) -> None:
    """Write the mix: a store for each part, `mix.json` beside them; the folder appears whole or not at all.

    Raises SweRmError when the folder exists or an input has changed since it was planned.
    """
    if folder.exists():
        raise SweRmError(f"{folder}: exists; give another folder")
    with output.beside(folder) as partial:
        with tempfile.TemporaryFile(dir=partial.parent) as file:
            spool = _Spool(file)
            kept = {facts.ordinal: facts for rows in plan.parts.values() for facts in rows}
            for ordinal, item in enumerate(watch(plan.pile.attempts())):
                if ordinal in kept:
                    _check(item, kept.pop(ordinal))
                    spool.put(ordinal, item)
            if kept:
                raise SweRmError(f"{len(kept):,} attempts are gone: the input changed while it was read")
            for name, rows in plan.parts.items():
                store.write(spool.get(rows), partial / name)
        whole = partial if plan.config.splits else partial / next(iter(plan.parts))
        (whole / NAME).write_text(plan.manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")
        whole.rename(folder)


def _check(item: Labelled, facts: Facts) -> None:
    if item.trajectory.attempt_id != facts.attempt_id or item.outcome is not facts.outcome:
        raise SweRmError(f"{' / '.join(facts.key)}: is another attempt now: the input changed while it was read")


class _Spool:
    """Attempts in the order they are read, to be taken out in another: one compressed frame each."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._places: dict[int, int] = {}
        self._ends = array("q", [0])
        self._compressor = zstandard.ZstdCompressor(level=_QUICK)

    def put(self, ordinal: int, item: Labelled) -> None:
        frame = self._compressor.compress(item.model_dump_json().encode("utf-8"))
        self._file.write(frame)
        self._places[ordinal] = len(self._ends) - 1
        self._ends.append(self._ends[-1] + len(frame))

    def get(self, rows: Sequence[Facts]) -> Iterator[Labelled]:
        decompressor = zstandard.ZstdDecompressor()
        for row in rows:
            place = self._places[row.ordinal]
            start, end = self._ends[place : place + 2]
            self._file.seek(start)
            yield Labelled.model_validate_json(decompressor.decompress(self._file.read(end - start)))
