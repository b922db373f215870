"""Ways through a map: fewest steps, least cost, and what can be seen."""

import heapq
from collections import deque

from .maps import Grid, Place


def distances(grid: Grid, start: Place, most: int | None = None) -> dict[Place, int]:
    """Steps from a place to every other that can be reached, within `most` steps if given."""
    if not grid.is_open(start):
        raise ValueError("one cannot start in a wall")
    found = {start: 0}
    waiting = deque([start])
    while waiting:
        place = waiting.popleft()
        if most is not None and found[place] >= most:
            continue
        for other in grid.beside(place):
            if other not in found:
                found[other] = found[place] + 1
                waiting.append(other)
    return found


def shortest(grid: Grid, start: Place, goal: Place) -> list[Place]:
    """A way of fewest steps, both ends included; empty when there is none."""
    steps = distances(grid, goal) if grid.is_open(goal) else {}
    if start not in steps:
        return []
    way = [start]
    while way[-1] != goal:
        way.append(min(grid.beside(way[-1]), key=lambda place: steps.get(place, len(steps))))
    return way


def cheapest(grid: Grid, start: Place, goal: Place) -> tuple[int, list[Place]]:
    """The least cost of a way and the way; entering a place costs what it says, and the start is free."""
    best = {start: 0}
    came: dict[Place, Place] = {}
    waiting = [(0, start)]
    while waiting:
        cost, place = heapq.heappop(waiting)
        if place == goal:
            break
        if cost > best[place]:
            continue
        for other in grid.beside(place):
            total = cost + grid.cost(other)
            if other not in best or total < best[other]:
                best[other] = total
                came[other] = place
                heapq.heappush(waiting, (total, other))
    if goal not in best:
        raise LookupError("there is no way")
    way = [goal]
    while way[-1] != start:
        way.append(came[way[-1]])
    return best[goal], way[::-1]


def line(start: Place, end: Place) -> list[Place]:
    """The places of a straight line, both ends included."""
    down, right = end[0] - start[0], end[1] - start[1]
    steps = max(abs(down), abs(right))
    if steps == 0:
        return [start]
    return [
        (start[0] + (2 * down * step + steps) // (2 * steps), start[1] + (2 * right * step + steps) // (2 * steps))
        for step in range(steps + 1)
    ]


def sees(grid: Grid, start: Place, end: Place) -> bool:
    """Whether no wall stands between two places; those at the ends do not count."""
    return all(grid.is_open(place) for place in line(start, end)[1:-1])


def farthest(grid: Grid, start: Place) -> tuple[Place, int]:
    """The place that takes the most steps to reach, and how many; of several the first one row by row."""
    steps = distances(grid, start)
    place = min(steps, key=lambda one: (-steps[one], one))
    return place, steps[place]


def visit_order(grid: Grid, start: Place, places: list[Place]) -> list[Place]:
    """The places in the order of always going to the nearest next; those that cannot be reached are left out."""
    left = list(places)
    order: list[Place] = []
    here = start
    while left:
        steps = distances(grid, here)
        near = [place for place in left if place in steps]
        if not near:
            break
        here = min(near, key=lambda place: (steps[place], place))
        order.append(here)
        left.remove(here)
    return order
