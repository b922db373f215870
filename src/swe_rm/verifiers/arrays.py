"""What verifiers made of arrays share: their card and arrays on disk, and verdicts from log-odds."""

import math
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import ValidationError

from swe_rm.errors import CheckpointError
from swe_rm.trajectory import Noun, Trajectory
from swe_rm.verdict import Verdict

Card = TypeVar("Card", bound=Noun)


def read_card(file: Path, kind: type[Card]) -> Card:
    """The card of a verifier. Raises CheckpointError when it is missing or damaged."""
    try:
        return kind.model_validate_json(file.read_bytes())
    except OSError:
        raise CheckpointError(f"{file}: missing or unreadable") from None
    except ValidationError as error:
        raise CheckpointError(f"{file}: {error.errors()[0]['msg']}") from None


def read_arrays(file: Path, names: Sequence[str]) -> dict[str, Any]:
    """Arrays of an .npz by name, never unpickled. Raises CheckpointError when the file or an array is missing."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in names}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{file}: {error}") from None


def judged(trajectories: Sequence[Trajectory], logit: Callable[[Trajectory], float], name: str) -> list[Verdict]:
    """A verdict for each trajectory from its log-odds of being resolved."""
    verdicts = []
    for trajectory in trajectories:
        started = time.perf_counter()
        score = 1 / (1 + math.exp(min(700.0, -logit(trajectory))))
        seconds = time.perf_counter() - started
        verdicts.append(
            Verdict(attempt_id=trajectory.attempt_id, score=score, raw_score=score, seconds=seconds, verifier=name)
        )
    return verdicts
