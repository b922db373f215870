"""Scoring on a Ray cluster: the chunks of `scoring` go to Ray Data actors, each with a verifier of its own."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from swe_rm import ray_session
from swe_rm.errors import SweRmError, VerifierError
from swe_rm.scoring import Chunk, Judged, Scorer, given_up, judged
from swe_rm.trajectory import Labelled
from swe_rm.verdict import judges_together
from swe_rm.verifiers import absolute_spec, load_verifier

AHEAD = 4
"""Chunks on the way for each worker: one at work, one that waits for it, two that Ray carries there."""

TRIES = 3
"""Of a chunk whose worker dies, before it is given up; by itself Ray Data begins the worker anew for ever."""
DEADLY = f"the worker that read it, among others, died {TRIES} times: out of memory?"
LOADING = -2
"""Stands for the verifier where the places of chunks are counted."""


@dataclass(frozen=True)
class Placed:
    """A chunk with its place in the input; no tuple, which Ray Data would take for a column of numbers."""

    place: int
    chunk: Chunk


class _Given(NamedTuple):
    """What each worker builds its verifier from."""

    spec: str
    pool: Any
    """A Ray reference to the labelled attempts that controls are built from, or to None."""
    options: Mapping[str, Any]
    workers: int
    begun: Any
    """The actor of `Begun`."""


class Begun:
    """Counts what was begun and not ended, in an actor of its own: a worker that died cannot."""

    def __init__(self) -> None:
        self._open: Counter[int] = Counter()

    def add(self, place: int) -> int:
        """Count a beginning; how many there are without an end, this one among them."""
        self._open[place] += 1
        return self._open[place]

    def end(self, place: int) -> None:
        """One of them was ended."""
        self._open[place] -= 1
        if not self._open[place]:
            del self._open[place]


@dataclass(frozen=True)
class Reply:
    """What a worker says of a chunk."""

    place: int
    name: str = ""
    """Of its verifier."""
    judged: Judged | None = None
    error: str = ""
    """Why the verifier cannot be loaded, or cannot go on; then there is nothing else."""
    together: bool = False
    """Whether the verifier compares the attempts of a chunk."""


_GREETING = Placed(-1, Chunk(0, []))
"""Sent first: the answer says whether the verifier loads and what it is called, before anything is read or written."""


@contextmanager
def on_ray(
    spec: str, workers: int, *, pool: Sequence[Labelled] | None = None, options: Mapping[str, Any] | None = None
) -> Iterator[Scorer]:
    """The verifier that `spec` names, loaded once by each of so many actors; arguments as for `load_verifier`.

    A worker takes one CPU, and one GPU where the cluster has any. Chunks go to whichever worker is free and come back
    in their order. Raises MissingExtraError without Ray, SweRmError where no cluster answers or it is too small for the
    workers or loses one for good, VerifierError with the worker's own words where the verifier cannot be loaded.
    """
    ray = ray_session.library()
    with ray_session.session(ray, workers):
        begun = ray.remote(num_cpus=0)(Begun).remote()
        given = _Given(absolute_spec(spec), ray.put(pool), options or {}, workers, begun)
        inbox, batches = _actors(ray, given, workers, gpus_each(ray, workers))
        with closing(batches):  # ends the plan; one left running would begin another Ray
            inbox.put(_GREETING)
            replies = _replies(ray, batches)
            greeted = next(replies)
            yield Scorer(
                greeted.name,
                lambda chunks: in_order(sent(chunks, inbox, replies, AHEAD * workers)),
                greeted.together,
            )
            inbox.put(None)


def gpus_each(ray: Any, workers: int) -> int:
    """GPUs a worker takes. Raises SweRmError where the workers would wait for ever."""
    has = ray.cluster_resources()
    for kind in ("CPU", "GPU"):
        if (kind == "CPU" or has.get(kind)) and has.get(kind, 0) < workers:
            raise SweRmError(f"{workers} workers need a {kind} each, the Ray cluster has {has.get(kind, 0):g}")
    return 1 if has.get("GPU") else 0


def _actors(ray: Any, given: _Given, workers: int, gpus: int) -> tuple[Any, Any]:
    """A queue of placed chunks, ended by None, and a generator of the replies to them, in any order.

    One plan runs all the time, fed through the queue: a plan for each part of the input would load the verifier anew
    for each.
    """
    from ray.util.queue import Queue

    inbox = Queue(actor_options={"num_cpus": 0})
    context = ray.data.DataContext.get_current()
    before, context.target_max_block_size = context.target_max_block_size, 1  # no chunk waits for others to travel with
    try:
        plan = ray.data.from_items([0]).map_batches(_arrivals, batch_size=1, num_cpus=0, fn_kwargs={"inbox": inbox})
        plan = plan.map_batches(
            _Worker, batch_size=1, compute=ray.data.ActorPoolStrategy(size=workers), num_cpus=1, num_gpus=gpus,
            fn_constructor_args=(given,),
        )  # fmt: skip
        return inbox, iter(plan.iter_batches(batch_size=1, prefetch_batches=0))
    finally:
        context.target_max_block_size = before


def _arrivals(_: Any, inbox: Any) -> Iterator[dict[str, list[Placed]]]:
    while (placed := inbox.get()) is not None:
        yield {"placed": [placed]}


class _Worker:
    """An actor of Ray Data. What a user can mend is a reply: Ray would begin the actor anew, or print its own stack."""

    def __init__(self, given: _Given) -> None:
        import ray

        self._ray, self._begun, self._error = ray, given.begun, ""
        if self._begin(LOADING) > given.workers + TRIES:
            self._error = "workers on Ray die while they load the verifier: out of memory?"
            return
        try:
            self._verifier = load_verifier(given.spec, pool=ray.get(given.pool), options=given.options)
        except SweRmError as error:
            self._error = str(error)
        self._begun.end.remote(LOADING)

    def _begin(self, place: int) -> int:
        count: int = self._ray.get(self._begun.add.remote(place))
        return count

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[Reply]]:
        (placed,) = batch["placed"]
        return {"reply": [self._reply(placed)]}

    def _reply(self, placed: Placed) -> Reply:
        if self._error:
            return Reply(placed.place, error=self._error)
        tries = self._begin(placed.place)
        try:
            found = given_up(placed.chunk, DEADLY) if tries > TRIES else judged(placed.chunk, self._verifier)
        except SweRmError as error:
            return Reply(placed.place, error=str(error))
        self._begun.end.remote(placed.place)
        return Reply(placed.place, self._verifier.name, found, together=judges_together(self._verifier))


def _replies(ray: Any, batches: Iterable[Mapping[str, Any]]) -> Iterator[Reply]:
    """The replies; raises VerifierError for one that is an error, SweRmError where Ray lost what it was given."""
    try:
        for batch in batches:
            (reply,) = batch["reply"]
            if reply.error:
                raise VerifierError(reply.error)
            yield reply
    except (ray.exceptions.RayActorError, ray.exceptions.ObjectLostError) as error:
        raise SweRmError(
            f"Ray lost a worker ({type(error).__name__}): what was scored is kept, --resume goes on"
        ) from None


def sent(chunks: Iterable[Chunk], inbox: Any, replies: Iterator[Reply], ahead: int) -> Iterator[tuple[int, Judged]]:
    """What came of the chunks as it comes, at most `ahead` of them on the way; one with nothing to score stays here."""
    waiting = 0
    for place, chunk in enumerate(chunks):
        if not chunk.fresh:
            yield place, Judged(chunk.read, [], [])
            continue
        inbox.put(Placed(place, chunk))
        waiting += 1
        if waiting == ahead:
            yield _outcome(next(replies))
            waiting -= 1
    for _ in range(waiting):
        yield _outcome(next(replies))


def _outcome(reply: Reply) -> tuple[int, Judged]:
    assert reply.judged is not None
    return reply.place, reply.judged


def in_order(found: Iterable[tuple[int, Judged]]) -> Iterator[Judged]:
    """Outcomes with their places, in any order -> the outcomes by place, each as soon as those before it are there."""
    early: dict[int, Judged] = {}
    place = 0
    for number, outcome in found:
        early[number] = outcome
        while place in early:
            yield early.pop(place)
            place += 1
