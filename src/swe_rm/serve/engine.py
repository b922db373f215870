"""Where requests meet the verifier: a bounded line, one worker thread that takes batches from it, and the cache."""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar, cast

from swe_rm import scoring
from swe_rm.errors import VerifierError
from swe_rm.serve.cache import Cache
from swe_rm.serve.failures import RequestError
from swe_rm.serve.gauges import Gauges
from swe_rm.serve.pace import Pace
from swe_rm.serve.patient import Patient
from swe_rm.serve.settings import Settings
from swe_rm.serve.waiting import Waiter, Waiting, rank
from swe_rm.trajectory import Trajectory
from swe_rm.verdict import Verdict, Verifier, close, judges_together

T = TypeVar("T")

READERS = 2
"""Threads that take bodies apart and look into the cache, so that the loop is free for the others' requests."""
AT_ONCE = 1 << 14
"""Bytes of a body below which going to a thread and back (0.4 ms of processor time) costs more than it frees."""

STUCK = 4
"""Deadlines after which a batch at work is taken to hang: whoever asked for it has long been told."""
PATIENCE = 4
"""A long attempt lets shorter ones go first for no more than that part of the deadline."""

log = logging.getLogger("swe_rm.serve")


class Judgement(NamedTuple):
    """What became of one attempt of a request."""

    trajectory: Trajectory
    verdict: Verdict | None
    reason: str = ""
    """Why there is no verdict."""
    cached: bool = False


class Batch(NamedTuple):
    """What the worker made of a batch."""

    verdicts: dict[str, Verdict]
    reasons: dict[str, str]
    seconds: float
    kept: bool
    """Whether they are in the cache, or there is none."""


Ticket = asyncio.Future[Any]
"""What one request holds of a job: a Judgement, or what the work it asked for returned."""


class Job:
    """Something in the line or at work, and all who wait for it: an attempt to judge, or work to be done alone."""

    def __init__(self, trajectory: Trajectory, alone: Callable[[Verifier], Any] | None = None) -> None:
        self.trajectory = trajectory
        self.alone = alone
        self.tickets: list[Ticket] = []

    def ticket(self) -> Ticket:
        """One more that waits for it."""
        ticket: Ticket = asyncio.get_running_loop().create_future()
        self.tickets.append(ticket)
        return ticket

    def settle(self, answer: Any) -> None:
        """Tell everybody who still waits: an answer, or the error that it is."""
        for ticket in self.tickets:
            if ticket.done():
                continue
            if isinstance(answer, RequestError):
                ticket.set_exception(RequestError(answer.type, str(answer)))  # one raised twice would grow
            else:
                ticket.set_result(answer)


class Engine:
    """A verifier that many ask at the same time. All but the worker's part runs on one event loop."""

    def __init__(self, verifier: Verifier, settings: Settings, cache: Cache | None = None) -> None:
        self.verifier = verifier
        self.settings = settings
        self.cache = cache
        self._line: Waiting[Job] = Waiting(settings.batch_tokens, settings.batch_attempts)
        self._jobs: dict[str, Job] = {}
        """In the line or at work, by attempt id."""
        self._n_alone = 0
        self._pace = Pace()
        self._wanted = asyncio.Event()
        self._worker = ThreadPoolExecutor(1, "verifier")
        self._readers = ThreadPoolExecutor(READERS, "reader")
        self._working: asyncio.Task[None] | None = None
        self._at_work_since: float | None = None
        self.gauges = Gauges(verifier.name, lambda: len(self._line), lambda: self._line.tokens)

    @property
    def n_held(self) -> int:
        """Attempts in the line and at work."""
        return len(self._jobs)

    @property
    def is_full(self) -> bool:
        """Whether one more would be sent away."""
        return self.n_held >= self.settings.max_waiting

    @property
    def is_working(self) -> bool:
        """Whether batches are being taken, and none hangs."""
        return self._working is not None and not self._working.done() and not self._is_stuck

    @property
    def is_busy(self) -> bool:
        """Whether the verifier is at work; it cannot be made to stop."""
        return self._at_work_since is not None

    @property
    def _is_awaited(self) -> bool:
        return any(not ticket.done() for job in self._jobs.values() for ticket in job.tickets)

    @property
    def _is_stuck(self) -> bool:
        since = self._at_work_since
        return since is not None and time.monotonic() - since > STUCK * self.settings.deadline

    def start(self) -> None:
        """Begin to take batches."""
        self._working = asyncio.create_task(self._work())

    async def close(self) -> None:
        """Finish what somebody waits for, then stop; a batch whose requests have all been answered is left."""
        until = time.monotonic() + self.settings.deadline
        while self._is_awaited and self.is_working and time.monotonic() < until:
            await asyncio.sleep(0.01)
        if self._working is not None:
            self._working.cancel()
            await asyncio.wait({self._working})
        close(self.verifier)
        self._worker.shutdown(wait=False)
        self._readers.shutdown()
        if self.cache is not None:
            self.cache.close()

    async def aside(self, work: Callable[[], T], size: int = AT_ONCE) -> T:
        """What that returns, run beside the loop unless it is about few bytes."""
        if size < AT_ONCE:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._readers, work)

    async def judge(self, trajectories: Sequence[Trajectory], seconds: float) -> list[Judgement]:
        """A judgement for each trajectory, in their order, within so many seconds.

        Raises RequestError where the line is full or the time is over. Whoever stops waiting (by cancelling) leaves the
        line; what is at work by then is judged to its end and kept.
        """
        if judges_together(self.verifier):
            return await self._together(trajectories, seconds)
        found = await self._known(trajectories)
        asked = list({t.attempt_id: t for t in trajectories if t.attempt_id not in found}.values())
        judged: list[Judgement] = await self._told(self._admitted({t.attempt_id: Job(t) for t in asked}), seconds)
        answers = {one.trajectory.attempt_id: one for one in judged}
        return [
            Judgement(t, found[t.attempt_id], cached=True) if t.attempt_id in found else answers[t.attempt_id]
            for t in trajectories
        ]

    async def _together(self, trajectories: Sequence[Trajectory], seconds: float) -> list[Judgement]:
        """Judged as a whole: these verdicts depend on the company, so it is that of the request and nobody else's."""
        distinct = list({t.attempt_id: t for t in trajectories}.values())
        batch = await self.alone(lambda _: self._batch(distinct), trajectories[0], seconds)
        return [
            Judgement(t, batch.verdicts.get(t.attempt_id), batch.reasons.get(t.attempt_id, "")) for t in trajectories
        ]

    async def alone(self, work: Callable[[Verifier], T], trajectory: Trajectory, seconds: float) -> T:
        """What the work returns that is done with the verifier alone, when it is the turn of the attempt it is about.

        Raises RequestError as `judge` does, and where the verifier fails.
        """
        self._n_alone += 1
        (found,) = await self._told(self._admitted({f"alone {self._n_alone}": Job(trajectory, work)}), seconds)
        return cast(T, found)

    async def _told(self, tickets: Mapping[str, Ticket], seconds: float) -> list[Any]:
        """What the tickets come to. Whatever happens, nobody waits for them afterwards."""
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.gather(*tickets.values())
        except TimeoutError:
            raise RequestError("deadline_exceeded", f"no verdict in the {seconds:.3g} seconds left") from None
        finally:
            for key, ticket in tickets.items():
                self._withdraw(key, ticket)

    async def _known(self, trajectories: Sequence[Trajectory]) -> dict[str, Verdict]:
        cache = self.cache
        if cache is None:
            return {}
        found = await self.aside(lambda: cache.read(trajectories))
        self.gauges.cache.labels("yes").inc(len(found))
        for verdict in found.values():
            self.gauges.scores.observe(verdict.score)
        self.gauges.cache.labels("no").inc(len(trajectories) - len(found))
        return found

    def _admitted(self, jobs: Mapping[str, Job]) -> dict[str, Ticket]:
        """A ticket for each, all or none of them. What others wait for already is not done twice."""
        new = {key: job for key, job in jobs.items() if key not in self._jobs}
        if len(new) > self.settings.max_waiting:
            raise RequestError(
                "too_large", f"{len(new)} attempts in one request; {self.settings.max_waiting} are taken"
            )
        if self.n_held + len(new) > self.settings.max_waiting:
            wait = max(1, math.ceil(self._line.tokens * self._pace.seconds_a_token))
            raise RequestError("too_busy", f"{self.n_held} attempts wait already; try again in {wait} s", wait)
        now, settings = time.monotonic(), self.settings
        for key, job in new.items():
            self._jobs[key] = job
            tokens = self._pace.tokens(job.trajectory)
            if job.alone:
                tokens = max(tokens, self.settings.batch_tokens)  # nothing fits beside it
            turn = rank(now, tokens, self._pace.seconds_a_token, settings.ageing, settings.deadline / PATIENCE)
            self._line.add(Waiter(key, job.trajectory.task.instance_id, tokens, turn, job))
        if new:
            self._wanted.set()
        return {key: self._jobs[key].ticket() for key in jobs}

    def _withdraw(self, key: str, ticket: Ticket) -> None:
        """Stop waiting; what is in the line and nobody waits for any more leaves it."""
        job = self._jobs.get(key)
        if job is None or ticket not in job.tickets:
            return
        job.tickets.remove(ticket)
        if not job.tickets and key in self._line:
            self._line.remove(key)
            del self._jobs[key]

    async def _work(self) -> None:
        """Take batches and have them judged, one after the other; the next one gathers meanwhile."""
        while True:
            await self._wanted.wait()
            waiters = self._line.take()
            if not self._line:
                self._wanted.clear()
            if waiters:
                await self._judged(waiters)

    async def _judged(self, waiters: Sequence[Waiter[Job]]) -> None:
        jobs = [waiter.load for waiter in waiters]
        self._at_work_since = time.monotonic()
        loop = asyncio.get_running_loop()
        working: asyncio.Future[Any]
        if alone := jobs[0].alone:
            working = loop.run_in_executor(self._worker, alone, self.verifier)
        else:
            working = loop.run_in_executor(self._worker, self._batch, [job.trajectory for job in jobs])
        await asyncio.wait({working})
        self._at_work_since = None
        for waiter in waiters:
            del self._jobs[waiter.key]
        if error := working.exception():
            failure = _failure(error)
            for job in jobs:
                job.settle(failure)
        elif alone:
            jobs[0].settle(working.result())
        else:
            self._answer(waiters, working.result())

    def _answer(self, waiters: Sequence[Waiter[Job]], batch: Batch) -> None:
        self._account(waiters, batch)
        for waiter in waiters:
            trajectory = waiter.load.trajectory
            reason = batch.reasons.get(waiter.key, "")
            waiter.load.settle(Judgement(trajectory, batch.verdicts.get(waiter.key), reason))

    def _batch(self, trajectories: Sequence[Trajectory]) -> Batch:
        """The worker's part: judge, and keep the verdicts before anybody is told them."""
        failed: list[scoring.Unscored] = []
        started = time.perf_counter()
        patient = Patient(self.verifier, self.settings.deadline)
        verdicts = scoring.score(trajectories, patient, unscored=failed.append, chunk=len(trajectories))
        seconds = time.perf_counter() - started
        kept = self.cache is None or not verdicts or self.cache.write(trajectories, verdicts)
        return Batch(verdicts, {one.attempt_id: one.reason for one in failed}, seconds, kept)

    def _account(self, waiters: Sequence[Waiter[Job]], batch: Batch) -> None:
        """Learn from a batch, and count it."""
        judged = [
            (waiter.load.trajectory, batch.verdicts[waiter.key]) for waiter in waiters if waiter.key in batch.verdicts
        ]
        self.gauges.tokens.inc(sum(verdict.prompt_tokens or 0 for _, verdict in judged))
        self._pace.learn(judged, batch.seconds)
        self.gauges.batch_attempts.observe(len(waiters))
        self.gauges.batch_tokens.observe(sum(waiter.tokens for waiter in waiters))
        self.gauges.batch_seconds.observe(batch.seconds)
        self.gauges.unscored.inc(len(batch.reasons))
        for _, verdict in judged:
            self.gauges.scores.observe(verdict.score)
        if not batch.kept and self.cache is not None:
            self.gauges.cache_failures.inc()
            log.warning("verdicts are not kept: %s", self.cache.trouble)


def _failure(error: BaseException) -> RequestError:
    """Why nothing came of a batch; what is no failure of a verdict is a fault, and logged as one."""
    if isinstance(error, VerifierError):
        return RequestError("verifier_failed", str(error))
    log.error("the verifier failed in a way it must not", exc_info=error)
    return RequestError("internal", f"the verifier failed in a way it must not: {type(error).__name__}")
