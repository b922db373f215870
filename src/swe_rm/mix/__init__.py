"""The training mix: clean, decontaminated, balanced and drawn; a store, and an account of every attempt read."""

from pathlib import Path
from typing import Literal

from swe_rm.mix.config import MixConfig
from swe_rm.mix.engines import engine as engine_of
from swe_rm.mix.manifest import MixManifest
from swe_rm.mix.plan import Gathered, Plan, decide, gather, plan
from swe_rm.mix.writing import write

__all__ = ["Gathered", "MixConfig", "MixManifest", "Plan", "decide", "explain", "gather", "mix", "plan", "write"]


def mix(config: MixConfig, out: Path, engine: Literal["local", "ray"] = "local", workers: int = 1) -> MixManifest:
    """Make the mix of a config in a new folder; the same bytes whatever the engine and the number of workers.

    Raises SweRmError where the config asks for what cannot be met, MissingExtraError where an extra is missing.
    """
    made = plan(config, engine_of(engine, workers))
    write(made, out)
    return made.manifest


def explain(config: MixConfig, name: str) -> str:
    """Why one attempt would be dropped or kept: `name` is its attempt_id, or its instance_id/policy/attempt."""
    return plan(config, engine_of("local", 1)).explain(name)
