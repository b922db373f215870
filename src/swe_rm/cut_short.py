"""Attempts cut short after one of their turns: what a verifier sees of one that is still under way."""

import random

from swe_rm.trajectory import Labelled, Trajectory


def turn_starts(trajectory: Trajectory) -> list[int]:
    """Where, in the messages, each turn of the agent begins; demonstrations are none of its turns."""
    return [
        number for number, message in enumerate(trajectory.messages) if message.role == "assistant" and not message.demo
    ]


def after_turns(trajectory: Trajectory, turns: int) -> Trajectory:
    """The attempt as it stood after so many turns, their results included: unfinished, its patch not yet known.

    Raises ValueError unless at least one turn is kept and one is left out.
    """
    starts = turn_starts(trajectory)
    if not 0 < turns < len(starts):
        raise ValueError(f"{turns} turns of {len(starts)}")
    messages = trajectory.messages[: starts[turns]]
    return trajectory.model_copy(update={"messages": messages, "patch": "", "finished": False, "exit_status": ""})


def drawn(labelled: Labelled, rate: float, seed: int) -> Labelled:
    """The attempt, or with probability `rate` a prefix of it, every length as likely; the same for the same seed.

    The outcome stays the whole attempt's. An attempt of fewer than two turns has no prefix.
    """
    turns = len(turn_starts(labelled.trajectory))
    dice = random.Random(f"{seed}/{labelled.trajectory.attempt_id}")
    if turns < 2 or dice.random() >= rate:
        return labelled
    return labelled.model_copy(update={"trajectory": after_turns(labelled.trajectory, dice.randrange(1, turns))})
