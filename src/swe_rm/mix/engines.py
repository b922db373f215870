"""Where the facts are found: in this process, in several on this machine, or on a Ray cluster. All give the same."""

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Any, Literal

from swe_rm import ray_session
from swe_rm.errors import SweRmError
from swe_rm.mix.facts import Facts, Settings, facts_of
from swe_rm.trajectory import Labelled

Chunk = list[tuple[int, Labelled]]
"""Attempts with their places in the input."""
Engine = Callable[[Iterable[Labelled], Settings], Iterator[Facts]]
"""Facts in the order of the attempts."""

CHUNK = 16
"""Attempts that travel together: the logs of 16 are a few MB."""
WINDOW = 64
"""Chunks that Ray is given at a time, for each of its CPUs; it plans each window anew, which costs about a second."""


def engine(name: Literal["local", "ray"], workers: int) -> Engine:
    """The engine of that name with so many workers. Raises MissingExtraError for `ray` without the extra."""
    if name == "ray":
        return _on_ray(workers)
    return _here if workers == 1 else _in_processes(workers)


def _chunks(attempts: Iterable[Labelled]) -> Iterator[Chunk]:
    numbered = enumerate(attempts)
    return iter(lambda: list(islice(numbered, CHUNK)), [])


def _facts(chunk: Chunk, settings: Settings) -> list[Facts]:
    return [facts_of(ordinal, item, settings) for ordinal, item in chunk]


def _here(attempts: Iterable[Labelled], settings: Settings) -> Iterator[Facts]:
    for chunk in _chunks(attempts):
        yield from _facts(chunk, settings)


# --- processes -------------------------------------------------------------------------------------------------------


class _Worker:
    """What a worker process holds between chunks."""

    settings: Settings

    @classmethod
    def start(cls, settings: Settings) -> None:
        """Keep the settings, which are sent once."""
        cls.settings = settings

    @classmethod
    def work(cls, chunk: Chunk) -> list[Facts]:
        """The facts of a chunk."""
        return _facts(chunk, cls.settings)


def _in_processes(workers: int) -> Engine:
    def run(attempts: Iterable[Labelled], settings: Settings) -> Iterator[Facts]:
        context = multiprocessing.get_context("spawn")
        waiting: deque[Future[list[Facts]]] = deque()
        try:
            with ProcessPoolExecutor(workers, context, _Worker.start, (settings,)) as pool:
                for chunk in _chunks(attempts):
                    waiting.append(pool.submit(_Worker.work, chunk))
                    if len(waiting) > 2 * workers:
                        yield from waiting.popleft().result()
                for future in waiting:
                    yield from future.result()
        except BrokenProcessPool:
            raise SweRmError("a process that reads attempts was killed: out of memory? try fewer --workers") from None

    return run


# --- Ray -------------------------------------------------------------------------------------------------------------


def _on_ray(workers: int) -> Engine:
    """Ray Data over windows of chunks: the driver holds one window."""
    ray = ray_session.library()

    def run(attempts: Iterable[Labelled], settings: Settings) -> Iterator[Facts]:
        with ray_session.session(ray, workers):
            shared = ray.put(settings)
            chunks = _chunks(attempts)
            while window := list(islice(chunks, WINDOW * workers)):
                yield from _window(ray, window, shared, workers)

    return run


def _window(ray: Any, window: list[Chunk], settings: Any, workers: int) -> list[Facts]:
    """The facts of a window of chunks; blocks come back in any order, so they are sorted by place."""

    def work(row: dict[str, Any]) -> dict[str, Any]:
        return {"facts": _facts(row["item"], ray.get(settings))}

    rows = ray.data.from_items(window, override_num_blocks=min(len(window), 4 * workers)).map(work)
    return sorted(facts for row in rows.iter_rows() for facts in row["facts"])
