"""The recipes of configs/recipes, for the environments in which their trainers are: what their launchers would run."""

import json
import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bridges.servers import ROOT

RECIPES = ROOT / "configs" / "recipes"
URL = "http://verifier.invalid:8000"


def launched(trainer: str, folder: Path, *arguments: str, url: str = URL) -> list[str]:
    """The arguments that a recipe's launcher gives Python; nothing of it is run. `folder` takes a stand-in's file."""
    stand_in = folder / "python"
    stand_in.write_text("#!/usr/bin/env bash\nprintf '%q\\n' \"$@\"\n")
    stand_in.chmod(0o755)
    done = subprocess.run(
        ["bash", str(RECIPES / trainer / "launch.sh"), *arguments],
        cwd=folder,
        env={**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "SWE_RM_URL": url},
        capture_output=True,
        text=True,
        check=True,
    )
    return [shlex.split(line)[0] for line in done.stdout.splitlines()]


def row(record: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """A row as `swe_rm.rollouts.rows` writes it, without what that module depends on."""
    from swe_rm.rollouts.scaffold import Settings
    from swe_rm.rollouts.tasks import AGENT, ENVIRONMENT, task_of

    opening = Settings.model_validate(settings).opening(record["problem_statement"])
    named = {"agent_name": AGENT, "env_class": ENVIRONMENT}
    return {"prompt": opening, **named, "task": json.dumps(task_of(record).model_dump(mode="json"))}


def assert_is_gspo(theirs: Callable[[Any, Any, Any, Any], Any]) -> None:
    """A trainer's loss (new, old, mask, advantages) is that of `swe_rm.gspo`, in a case where clipping bites, and so is
    its gradient."""
    import torch

    from swe_rm.gspo import GSPO

    torch.manual_seed(0)
    new, advantages = torch.randn(6, 9, dtype=torch.float64) * 0.01 - 1, torch.randn(6, dtype=torch.float64)
    old, mask = new + torch.randn(6, 9, dtype=torch.float64) * 0.003, (torch.rand(6, 9) < 0.7).double()
    mask[:, 0] = 1
    ours = GSPO(new.requires_grad_(), old, mask, advantages)
    assert 0 < ours.clipped < 1
    (wanted,) = torch.autograd.grad(ours.loss, new)
    loss = theirs(new, old, mask, advantages)
    (found,) = torch.autograd.grad(loss, new)
    torch.testing.assert_close((loss, found), (ours.loss, wanted), rtol=0, atol=1e-9)
