"""Trae: `python -m swe_rm.bridges.trae CANDIDATES.jsonl CHOSEN.jsonl` chooses in the file of its patch selector."""

import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

from swe_rm.client import Client, attempt


@cache
def client() -> Client:
    """One for this process."""
    return Client(deadline=300)


def choose(candidates: dict[str, Any]) -> dict[str, Any]:
    """A line of the file with `scores`, one for each patch and None for an empty one, and `selected`, the best's place.

    One request for an instance. What tests said (`success_id`, `regressions`) is not sent. Raises where a patch has no
    score.
    """
    task = {"instance_id": candidates["instance_id"], "statement": candidates["issue"]}
    places = [place for place, patch in enumerate(candidates["patches"]) if patch.strip()]
    found = client().score([attempt(patch=candidates["patches"][place], **task) for place in places])
    scores: list[float | None] = [None] * len(candidates["patches"])
    for place, score in zip(places, found, strict=True):
        scores[place] = score
    best = max(zip(found, places, strict=True), key=lambda pair: (pair[0], -pair[1]), default=(None, None))[1]
    return {**candidates, "scores": scores, "selected": best, "verifier": client().verifier}


def main(source: str, out: str) -> None:
    """Read one file, write the other, whole or not at all. Raises OSError, and ValueError naming a line."""
    with Path(source).open(encoding="utf-8") as lines:
        chosen = [_chosen(f"{source}: line {number}", line) for number, line in enumerate(lines, 1) if line.strip()]
    Path(out).write_text("".join(chosen), encoding="utf-8")


def _chosen(where: str, line: str) -> str:
    try:
        candidates = json.loads(line)
        missing = [key for key in ("instance_id", "issue", "patches") if key not in candidates]
    except (ValueError, TypeError) as error:
        raise ValueError(f"{where}: no JSON object: {error}") from None
    if missing:
        raise ValueError(f"{where}: has no {missing[0]}")
    return json.dumps(choose(candidates)) + "\n"


if __name__ == "__main__":
    if len(sys.argv) != 3 or Path(sys.argv[1]).resolve() == Path(sys.argv[2]).resolve():
        sys.exit("swe_rm.bridges.trae CANDIDATES.jsonl CHOSEN.jsonl: two files")
    try:
        main(*sys.argv[1:])
    except (OSError, ValueError) as error:
        sys.exit(f"swe_rm.bridges.trae: {error}")
