"""What of an attempt a verifier is shown, to see what each part of it earns."""

from typing import Literal

from swe_rm.dialects import wordless
from swe_rm.trajectory import Trajectory

View = Literal["whole", "issue", "patch", "log", "no_reasoning"]
"""All of it; the issue alone, which is how hard the task is; issue and patch; issue and log; all but what the agent
says beside its commands."""


def shown(trajectory: Trajectory, view: View) -> Trajectory:
    """The attempt with the rest of it blank; whether it finished is shown where its patch is."""
    if view == "whole":
        return trajectory
    if view == "no_reasoning":
        return trajectory.model_copy(update={"messages": tuple(map(wordless, trajectory.messages))})
    keeps_log, keeps_patch = view == "log", view == "patch"
    update = {
        "messages": trajectory.messages if keeps_log else (),
        "patch": trajectory.patch if keeps_patch else "",
        "finished": trajectory.finished if keeps_patch else True,
    }
    return trajectory.model_copy(update=update)
