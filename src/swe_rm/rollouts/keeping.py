"""Attempts of a run, kept as rows that every verb reads: how good a verifier is is measured on the policy's own."""

import json
import os
import time
import uuid
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from swe_rm.rollouts.scaffold import RolloutError


def keep(told: Mapping[str, Any], folder: Path) -> None:
    """Append an attempt that is over, as `swe_rm.sources.attempts` reads it. Raises RolloutError.

    What was not handed in is unresolved here, though nothing was run. A file belongs to one process, and a row is one
    write to its end: neither threads nor a kill tear one.
    """
    row = {
        "source": "mini-swe-agent",
        "scaffold": "mini-swe-agent",
        "policy": "policy",
        "run": f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{uuid.uuid4().hex[:12]}",
        "instance_id": told["instance_id"],
        "problem_statement": told["problem_statement"],
        "messages": told["messages"],
        "patch": told["model_patch"],
        "resolved": bool(told["resolved"]),
        "exit_status": told["exit_status"],
        "finished": told["finished"],
    }
    path = folder / f"{_process(os.getpid())}.jsonl"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(file, f"{json.dumps(row)}\n".encode())
        finally:
            os.close(file)
    except OSError as error:
        raise RolloutError(f"{path}: {error.strerror}") from None


@cache
def _process(number: int) -> str:
    """A name that no other process has, on no machine."""
    return f"attempts-{number}-{uuid.uuid4().hex[:8]}"
