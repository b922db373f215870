"""How a measurement is taken: a gate before any time, sides interleaved, medians with their spread, peak memory."""

import ctypes
import gc
import importlib
import multiprocessing
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROUNDS = 5
STATUS = Path("/proc/self/status")


class GateError(Exception):
    """What was measured is not the same thing on both sides: no time is reported."""


class Longest(NamedTuple):
    """How much of the work is done within so much memory: the most, to a sixteenth."""

    budget_mb: float
    """Added by one run at its highest."""
    runs: Mapping[str, Callable[[int], Any]]
    """By side: a run with so much of the work."""
    unit: str


class Pace(NamedTuple):
    """How much is done in a second, where so much was asked for and not a ratio alone."""

    count: int
    """Done by one run of ours."""
    unit: str
    goal: float
    """The least a second."""


class Case(NamedTuple):
    """One measurement, ready to run."""

    title: str
    amount: str
    """What one run works through."""
    ours: Callable[[], Any]
    peers: Mapping[str, Callable[[], Any]]
    """By name; the first is the one `ratio` is about."""
    goals: Mapping[str, float]
    """The least ratio asked for, by peer."""
    gate: Callable[[Any, Mapping[str, Any]], str]
    """From our result and the peers': what held. Raises GateError."""
    counts: Mapping[str, float] = {}
    """How many times a peer's run counts that was given a part of the work, for it would take too long with all."""
    own: Mapping[str, Callable[[], Any]] = {}
    """Our side against a peer that does other work than `ours`; the gate is given its result as `ours against PEER`."""
    memory_goals: Mapping[str, float] = {}
    """The least ratio of peak memory asked for, by peer."""
    longest: Longest | None = None
    pace: Pace | None = None

    def sides(self) -> dict[str, Callable[[], Any]]:
        """Everything that is run, by name."""
        return {"ours": self.ours, **self.peers, **{against(peer): run for peer, run in self.own.items()}}


def against(peer: str) -> str:
    """What our side is called where it does a peer's own work."""
    return f"ours against {peer}"


class Times(NamedTuple):
    """One side's runs."""

    wall: list[float]
    cpu: list[float]
    """Of all threads."""

    @property
    def median(self) -> float:
        return statistics.median(self.wall)

    def counted(self, often: float) -> "Times":
        """The times of a part, for the whole."""
        return Times([often * seconds for seconds in self.wall], [often * seconds for seconds in self.cpu])


def measure(name: str, folder: Path, rounds: int = ROUNDS) -> dict[str, Any]:
    """Run the module `benchmarks.<name>` and give its line. Raises GateError before anything is timed."""
    case: Case = importlib.import_module(f"benchmarks.{name}").case(folder)
    sides = case.sides()
    results = {side: run() for side, run in sides.items()}
    held = case.gate(results.pop("ours"), results)
    del results
    times = timed(sides, rounds)
    peaks = {side: _apart(_peak, name, folder, side) for side in sides}
    longest = None
    if case.longest:
        runs = {side: _apart(_longest, name, folder, side) for side in case.longest.runs}
        longest = {"budget_mb": case.longest.budget_mb, "unit": case.longest.unit, "runs": runs}
    named = []
    for peer in case.peers:
        side = against(peer) if peer in case.own else "ours"
        theirs = times[peer].counted(case.counts.get(peer, 1))
        goals = {"goal": case.goals.get(peer), "peak_goal": case.memory_goals.get(peer)}
        named.append({"peer": peer, **goals, **compare(times[side], theirs, peaks[side], peaks[peer])})
    return {
        "name": name.split("_")[0].upper(),
        "title": case.title,
        **named[0],
        "gate": held,
        "amount": case.amount,
        "rounds": rounds,
        "longest": longest,
        "pace": case.pace and {**case.pace._asdict(), "per_second": _rounded(case.pace.count / times["ours"].median)},
        "others": named[1:],
    }


def timed(sides: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, Times]:
    """Each side's times; every round runs every side once, so that what slows the machine slows all."""
    times = {side: Times([], []) for side in sides}
    for _ in range(rounds):
        for side, run in sides.items():
            gc.collect()
            wall, cpu = time.perf_counter(), time.process_time()
            run()
            times[side].cpu.append(time.process_time() - cpu)
            times[side].wall.append(time.perf_counter() - wall)
    return times


def compare(ours: Times, theirs: Times, our_peak: float | None, their_peak: float | None) -> dict[str, Any]:
    """The peer's figures over ours: above 1 we are quicker, or need less memory."""
    return {
        "ratio": _rounded(theirs.median / ours.median),
        "cpu_ratio": _rounded(statistics.median(theirs.cpu) / max(1e-9, statistics.median(ours.cpu))),
        "ours": _rounded(ours.median),
        "ours_spread": _spread(ours),
        "ours_peak_mb": our_peak,
        "theirs": _rounded(theirs.median),
        "theirs_spread": _spread(theirs),
        "peak_ratio": _rounded(their_peak / our_peak) if our_peak and their_peak is not None else None,
        "theirs_peak_mb": their_peak,
    }


def _spread(times: Times) -> Sequence[float]:
    return [_rounded(min(times.wall)), _rounded(max(times.wall))]


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")


def _apart(look: Callable[[str, Path, str], float], name: str, folder: Path, side: str) -> float | None:
    """A look at one side's memory, in a process of its own; None where Linux does not tell."""
    if not STATUS.exists():
        return None
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(look, (name, folder, side))


def _peak(name: str, folder: Path, side: str) -> float:
    case: Case = importlib.import_module(f"benchmarks.{name}").case(folder)
    return _rounded(_added(case.sides()[side]))


def _longest(name: str, folder: Path, side: str) -> float:
    longest: Longest = importlib.import_module(f"benchmarks.{name}").case(folder).longest
    run = longest.runs[side]
    return most(lambda size: _added(lambda: run(size)) <= longest.budget_mb)


def most(fits: Callable[[int], bool], first: int = 64) -> int:
    """The largest size that fits, to a sixteenth, found by doubling, then halving what is open; 0 if `first` is not."""
    high = first
    while fits(high):
        high *= 2
    low = high // 2 if high > first else 0
    while low and high - low > high // 16:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _added(run: Callable[[], Any]) -> float:
    """MB that one run adds at its highest."""
    gc.collect()
    if hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)  # what setting up has freed goes back, or a run would use it unseen
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before = _status("VmRSS")
    result = run()
    peak = _status("VmHWM")
    del result
    return max(0.0, peak - before)


def _status(key: str) -> float:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f"{key}:"))
    return int(line.split()[1]) / 1024
