"""Attempts of a policy that was trained or warmed up, written as rows that a verifier can learn from or judge."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from swe_rm import output
from swe_rm.playground.world import PlaygroundTask
from swe_rm.rl import policy
from swe_rm.rl.field import AT_ONCE, Asked, Field, Played
from swe_rm.rl.measuring import Tally
from swe_rm.rl.policy import Speaker
from swe_rm.rl.wording import PAD, Order, Wording
from swe_rm.sources import mini_swe_agent
from swe_rm.trajectory import Outcome

_RESOLVED = {Outcome.RESOLVED: True, Outcome.UNRESOLVED: False, Outcome.UNKNOWN: None}


def write_attempts(
    folder: Path,
    tasks: Sequence[PlaygroundTask],
    field: Field,
    out: Path,
    *,
    name: str,
    attempts: int,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Tally:
    """Make and test so many attempts at each task by the policy in a folder; `out` gets a row (JSON) for each.

    A row is an attempt as `swe-rm ingest`, `score` and `evaluate` read it, with its outcome. What was at `out` stays
    there until all are made. Raises SweRmError when the folder holds no policy, a task cannot be set up, or `out`
    cannot be written.
    """
    network, wording = policy.load(folder)
    made: list[Played] = []
    with output.whole(out) as partial, output.lines(partial) as file:
        for number, one in _attempts(network, wording, tasks, field, name, attempts, seed):
            made.append(one)
            file.write(output.line(row(one, name, number)))
            if progress:
                progress(1)
    return Tally.of(made)


def row(played: Played, name: str, number: int) -> dict[str, Any]:
    """One attempt as a row."""
    return {
        "instance_id": played.task.instance_id,
        "repo": played.task.repo,
        "problem_statement": played.task.problem_statement,
        "policy": name,
        "attempt": number,
        "source": mini_swe_agent.NAME,  # which hands in whatever there is: no patch is none, not one that was lost
        "scaffold": mini_swe_agent.NAME,
        "messages": played.messages,
        "patch": played.patch,
        "finished": played.finished,
        "resolved": _RESOLVED[played.outcome],
    }


def _attempts(
    network: Any,
    wording: Wording,
    tasks: Sequence[PlaygroundTask],
    field: Field,
    name: str,
    attempts: int,
    seed: int,
) -> Iterator[tuple[int, Played]]:
    asked = [(task, number) for task in tasks for number in range(attempts)]
    for start in range(0, len(asked), AT_ONCE):
        part = asked[start : start + AT_ONCE]
        rows = [
            Asked(task, Order.shuffled(field.offered(task), f"{seed}\n{task.instance_id}\n{number}"))
            for task, number in part
        ]
        dice = int.from_bytes(hashlib.sha256(f"attempts\n{seed}\n{start}".encode()).digest()[:6])
        played = field.play(rows, wording, Speaker(network, wording.ids[PAD], dice), name)
        yield from zip((number for _, number in part), played, strict=True)
