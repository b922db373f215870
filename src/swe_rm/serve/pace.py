"""How long attempts are in tokens and how long tokens take, estimated before they are read and learnt from what was."""

from collections.abc import Iterable

from swe_rm.trajectory import Trajectory
from swe_rm.verdict import Verdict

CHARACTERS_A_TOKEN = 4.0
SECONDS_A_TOKEN = 5e-5
"""Of a machine nobody has measured yet."""
CHARACTERS_A_MESSAGE = 16
"""Marks around each message, and the work of an empty one."""
MEMORY = 0.2
"""Weight of the last batch in what was learnt."""


def characters(trajectory: Trajectory) -> int:
    """Of all that a verifier might read of the attempt."""
    said = sum(
        CHARACTERS_A_MESSAGE
        + len(message.content)
        + len(message.reasoning)
        + sum(len(call.arguments) for call in message.tool_calls)
        for message in trajectory.messages
    )
    return len(trajectory.task.statement) + len(trajectory.patch) + said


class Pace:
    """What was learnt of one verifier on one machine. One thread learns and estimates."""

    def __init__(self) -> None:
        self._characters_a_token = CHARACTERS_A_TOKEN
        self._longest_cut = 0
        self.seconds_a_token = SECONDS_A_TOKEN

    def tokens(self, trajectory: Trajectory) -> int:
        """How many tokens the verifier will read of it, at least 1; no more than it has left of attempts it cut."""
        found = max(1, round(characters(trajectory) / self._characters_a_token))
        return min(found, self._longest_cut) if self._longest_cut else found

    def learn(self, judged: Iterable[tuple[Trajectory, Verdict]], seconds: float) -> None:
        """Take note of a batch: what was read, and how long all of it took; its tokens are estimated if not told."""
        whole, tokens = 0, 0
        read = 0
        for trajectory, verdict in judged:
            read += verdict.prompt_tokens or self.tokens(trajectory)
            if verdict.prompt_tokens and verdict.truncated_tokens:
                self._longest_cut = max(self._longest_cut, verdict.prompt_tokens)
            elif verdict.prompt_tokens:
                whole += characters(trajectory)
                tokens += verdict.prompt_tokens
        if tokens:
            self._characters_a_token += MEMORY * (max(0.5, whole / tokens) - self._characters_a_token)
        if read:
            self.seconds_a_token += MEMORY * (seconds / read - self.seconds_a_token)
