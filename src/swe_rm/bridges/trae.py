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
    """Read one file, write the other."""
    with Path(source).open(encoding="utf-8") as lines, Path(out).open("w", encoding="utf-8") as chosen:
        for line in filter(str.strip, lines):
            chosen.write(json.dumps(choose(json.loads(line))) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 3 or Path(sys.argv[1]).resolve() == Path(sys.argv[2]).resolve():
        sys.exit("swe_rm.bridges.trae CANDIDATES.jsonl CHOSEN.jsonl: two files")
    main(*sys.argv[1:])
