"""Reads an attempt as a checkpoint of swe-rm does, for an engine that holds its weights: token ids and nothing else."""

from pathlib import Path

from swe_rm.errors import VerifierError
from swe_rm.model import read_card
from swe_rm.render import LengthPolicy, Renderer
from swe_rm.trajectory import Trajectory
from swe_rm.verifiers.remote.question import Question
from swe_rm.vocabulary import NO, YES, Vocabulary

LEAST = 128
"""Tokens of the smallest length policy."""


class Checkpoint:
    """The reader of a checkpoint folder: see `Reader`. Its card and tokenizer are read, its weights are not."""

    def __init__(self, folder: Path, limit: int | None = None) -> None:
        """`limit` is what the engine reads at most. Raises CheckpointError, see `model.read_card`."""
        card = read_card(folder)
        vocabulary = Vocabulary.load(folder, card.control)
        self.name = card.full_name
        self.yes, self.no = vocabulary.control[YES], vocabulary.control[NO]
        self._renderer = Renderer(vocabulary, under(card.policy, limit))

    def __call__(self, trajectory: Trajectory) -> Question:
        """See `Reader`."""
        prompt = self._renderer.prompt(trajectory)
        return Question(trajectory.attempt_id, trajectory.task.instance_id, prompt.token_ids, cut=prompt.cut.tokens)


def under(policy: LengthPolicy, limit: int | None) -> LengthPolicy:
    """The policy for an engine that reads at most so many tokens: the caps keep their share where they must shrink.

    Raises VerifierError below LEAST.
    """
    if limit is None or limit >= policy.max_tokens:
        return policy
    if limit < LEAST:
        raise VerifierError(f"the engine reads {limit} tokens, and an attempt takes {LEAST} at least")
    room, share = limit - 64, limit / policy.max_tokens
    issue, patch = (max(16, int(cap * share)) for cap in (policy.issue_cap, policy.patch_cap))
    if issue + patch > room:
        smaller = min(issue, patch, room // 2)
        issue, patch = (smaller, room - smaller) if issue <= patch else (room - smaller, smaller)
    issue, patch = min(issue, policy.issue_cap), min(patch, policy.patch_cap)
    return LengthPolicy.model_validate(
        {**policy.model_dump(), "issue_cap": issue, "patch_cap": patch, "max_tokens": limit}
    )
