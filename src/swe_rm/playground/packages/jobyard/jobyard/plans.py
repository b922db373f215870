"""In which order, and when, jobs are done that need others to be done before."""

import heapq
from collections.abc import Mapping, Sequence


class CycleError(ValueError):
    """Jobs that wait for each other."""


def order(needs: Mapping[str, Sequence[str]]) -> list[str]:
    """All jobs, each behind those it needs; of several that could be next, the first of the alphabet."""
    waiting = {job: set(before) for job, before in needs.items()}
    for before in needs.values():
        for job in before:
            waiting.setdefault(job, set())
    ready = sorted(job for job, before in waiting.items() if not before)
    found: list[str] = []
    while ready:
        job = heapq.heappop(ready)
        found.append(job)
        for other, before in waiting.items():
            if job in before:
                before.remove(job)
                if not before:
                    heapq.heappush(ready, other)
    if len(found) < len(waiting):
        left = sorted(set(waiting) - set(found))
        raise CycleError(f"wait for each other: {', '.join(left)}")
    return found


def levels(needs: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """How many jobs stand before each at least, one behind the other."""
    found: dict[str, int] = {}
    for job in order(needs):
        before = [found[other] for other in needs.get(job, ())]
        found[job] = max(before) + 1 if before else 0
    return found


def earliest(needs: Mapping[str, Sequence[str]], lengths: Mapping[str, int]) -> dict[str, int]:
    """When each job can start, if there are machines enough."""
    found: dict[str, int] = {}
    for job in order(needs):
        found[job] = max((found[other] + lengths[other] for other in needs.get(job, ())), default=0)
    return found


def critical(needs: Mapping[str, Sequence[str]], lengths: Mapping[str, int]) -> list[str]:
    """The jobs, one behind the other, that decide when all are done."""
    starts = earliest(needs, lengths)
    if not starts:
        return []
    job = min(starts, key=lambda one: (-(starts[one] + lengths[one]), one))
    chain = [job]
    while starts[job] > 0:
        job = min(other for other in needs[job] if starts[other] + lengths[other] == starts[job])
        chain.append(job)
    return chain[::-1]


def schedule(
    needs: Mapping[str, Sequence[str]], lengths: Mapping[str, int], machines: int
) -> dict[str, tuple[int, int]]:
    """Machine and start of each job: whenever a machine is free it takes the longest job that is ready."""
    if machines < 1:
        raise ValueError("one machine at least")
    jobs = order(needs)
    left = {job: set(needs.get(job, ())) for job in jobs}
    free = list(range(machines))
    running: list[tuple[int, str, int]] = []
    found: dict[str, tuple[int, int]] = {}
    now = 0
    while len(found) < len(jobs) or running:
        ready = sorted(
            (job for job in jobs if job not in found and not left[job]), key=lambda job: (-lengths[job], job)
        )
        for job in ready[: len(free)]:
            machine = free.pop(0)
            found[job] = (machine, now)
            heapq.heappush(running, (now + lengths[job], job, machine))
        now, job, machine = heapq.heappop(running)
        free = sorted([*free, machine])
        for before in left.values():
            before.discard(job)
    return found


def idle(plan: Mapping[str, tuple[int, int]], lengths: Mapping[str, int], machines: int) -> int:
    """How long machines stand still, all together, until the last job is done."""
    end = max((start + lengths[job] for job, (_, start) in plan.items()), default=0)
    return end * machines - sum(lengths[job] for job in plan)
