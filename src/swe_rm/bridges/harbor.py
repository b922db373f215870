"""Harbor: `python -m swe_rm.bridges.harbor JOB` puts a verdict beside each trial of a job."""

import json
import sys
from collections import defaultdict
from functools import cache
from pathlib import Path

from swe_rm.client import Client, Unscored, attempt
from swe_rm.export import attempts_row
from swe_rm.sources import open_pile
from swe_rm.trajectory import Labelled, Trajectory

VERDICT = "swe_rm.json"


@cache
def client() -> Client:
    """One for this process."""
    return Client(deadline=300)


def judge(job: Path) -> list[str]:
    """Write `TRIAL/swe_rm.json` for each trial below `job`; returns what got no verdict, and why.

    One request for a task; outcomes are not sent. A file is a row of verdicts, as `--verdicts` reads it. Raises a
    ClientError where the server answers nothing.
    """
    tasks: dict[str, list[tuple[Path, Trajectory]]] = defaultdict(list)
    problems: list[str] = []
    for result in sorted(job.glob("*/result.json")):
        pile = open_pile([result.parent])
        for item in pile.attempts():
            tasks[item.trajectory.task.instance_id].append((result.parent, item.trajectory))
        problems += map(str, pile.refusals)
    for trials in tasks.values():
        try:
            scores: list[float | None] = [*client().score([_attempt(trajectory) for _, trajectory in trials])]
        except Unscored as error:
            scores = error.scores
            problems += [f"{trials[place][0]}: {reason}" for place, reason in error.reasons.items()]
        for (folder, trajectory), score in zip(trials, scores, strict=True):
            names = dict(zip(("instance_id", "policy", "attempt"), trajectory.key, strict=True))
            if score is not None:
                row = {**names, "score": score, "verifier": client().verifier}
                (folder / VERDICT).write_text(json.dumps(row) + "\n", encoding="utf-8")
    return problems


def _attempt(trajectory: Trajectory) -> dict[str, object]:
    row = attempts_row(Labelled(trajectory=trajectory))
    names = {"instance_id": row["instance_id"], "statement": row["problem_statement"] or None}
    return attempt(row["messages"] or [], patch=row["patch"], finished=row["finished"], **names)


if __name__ == "__main__":
    if len(sys.argv) != 2 or not any(Path(sys.argv[1]).glob("*/result.json")):
        sys.exit("swe_rm.bridges.harbor JOB: a folder of a Harbor job, whose trials have a result.json")
    sys.exit("\n".join(judge(Path(sys.argv[1]))) or 0)
