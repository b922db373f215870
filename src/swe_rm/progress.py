"""The score after each turn of an attempt, and a watcher that gives it while an agent is at work.

What is judged after a turn is what `cut_short` makes of the attempt and what training shows of partial logs: the
messages up to the results of that turn, no patch (it is not known before the end), not finished. After the last turn it
is the whole attempt, so the last score is the one that `score` gives.
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise

from swe_rm import cut_short, dialects
from swe_rm.errors import VerifierError
from swe_rm.printable import printable
from swe_rm.trajectory import Message, Noun, Origin, Task, Trajectory
from swe_rm.verdict import Verdict, Verifier, by_id, following

DID_LENGTH = 80
"""Characters of what a turn did."""
LIVE = Origin(source="live", policy="live", attempt="1")
"""Of an attempt at work whose caller gives no other; no verifier sees it."""


class Step(Noun):
    """One point of a curve: the attempt as it stood after a turn."""

    turn: int
    """1 is the agent's first; the last is the whole attempt."""
    score: float
    raw_score: float
    did: str
    """What the agent did in that turn, in one line."""
    characters: int
    """Of all turns up to its end; the prompts before the first are not counted."""


class Move(Noun):
    """A stretch of turns over which the score changed."""

    first: int
    last: int
    """Equal to `first` where every turn was scored."""
    change: float
    did: str
    """What the agent did in its last turn."""
    end: bool
    """Whether it is the last: the patch, and that the agent came to its end, are then seen as well."""

    def __str__(self) -> str:
        where = f"turn {self.last}" if self.first == self.last else f"turns {self.first}-{self.last}"
        return f"{where}{' and the patch' if self.end else ''}: {self.change:+.3f}  {self.did}"


class Curve(Noun):
    """The scores of one attempt after its turns, in their order."""

    attempt_id: str
    instance_id: str
    policy: str
    attempt: str
    verifier: str
    n_turns: int
    steps: tuple[Step, ...]

    @property
    def points(self) -> tuple[tuple[int, float], ...]:
        """(turn, score) of each step: what a plot needs."""
        return tuple((step.turn, step.score) for step in self.steps)

    @property
    def moves(self) -> tuple[Move, ...]:
        """How the score changed from each step to the next."""
        return tuple(
            Move(
                first=before.turn + 1,
                last=step.turn,
                change=step.score - before.score,
                did=step.did,
                end=step is self.steps[-1],
            )
            for before, step in pairwise(self.steps)
        )

    def moved(self, most: int) -> tuple[Move, ...]:
        """The `most` largest changes that show in three decimals, largest first; of equal ones the earlier first."""
        changed = [move for move in self.moves if round(move.change, 3)]
        return tuple(sorted(changed, key=lambda move: -abs(move.change))[:most])


def states(trajectory: Trajectory, every: int = 1) -> list[tuple[int, Trajectory]]:
    """(turn, the attempt as it stood after it) of every `every`-th turn and of the last; none without turns."""
    n_turns = len(cut_short.turn_starts(trajectory))
    partial = [(turn, cut_short.after_turns(trajectory, turn)) for turn in range(every, n_turns, every)]
    return [*partial, (n_turns, trajectory)] if n_turns else []


def every_for(n_turns: int, points: int) -> int:
    """How many turns go to a point so that an attempt has at most `points`."""
    return max(1, -(-n_turns // points))


def curve(trajectory: Trajectory, verifier: Verifier, every: int = 1) -> Curve:
    """The scores after every `every`-th turn and after the last.

    Raises VerifierError where the attempt has no turn, and where the verifier gives no verdict or only whole ones'.
    """
    stood = states(trajectory, every)
    if not stood:
        raise VerifierError("the agent took no turn: there is nothing to follow")
    attempts = [state for _, state in stood]
    judge = following(verifier)
    verdicts = by_id(attempts, judge(attempts))
    turns = turns_of(trajectory)
    sizes = list(accumulate(sum(map(_characters, messages)) for messages in turns))
    instance_id, policy, attempt = trajectory.key
    return Curve(
        attempt_id=trajectory.attempt_id,
        instance_id=instance_id,
        policy=policy,
        attempt=attempt,
        verifier=judge.name,
        n_turns=len(turns),
        steps=tuple(
            Step(
                turn=turn,
                score=verdicts[state.attempt_id].score,
                raw_score=verdicts[state.attempt_id].raw_score,
                did=did(state, turns[turn - 1]),
                characters=sizes[turn - 1],
            )
            for turn, state in stood
        ),
    )


def turns_of(trajectory: Trajectory) -> list[tuple[Message, ...]]:
    """The messages of each turn: what the agent said, and what came of it."""
    starts = cut_short.turn_starts(trajectory)
    return [trajectory.messages[start:end] for start, end in pairwise([*starts, len(trajectory.messages)])]


def did(trajectory: Trajectory, messages: Sequence[Message]) -> str:
    """What the messages of one turn did, in one line of plain text: its first action and exit code, or its words."""
    turns = dialects.turns(trajectory.model_copy(update={"messages": tuple(messages)}))
    actions = [action.text for turn in turns for action in turn.actions]
    said = " ".join(turn.text for turn in turns if turn.kind == "agent")
    line = printable(" ".join((actions[0] if actions else said).split())[: 4 * DID_LENGTH])
    codes = [turn.exit_code for turn in turns if turn.exit_code]
    more = f" (and {len(actions) - 1} more)" if len(actions) > 1 else ""
    tail = f"{more} -> exit {codes[0]}" if codes else more
    room = DID_LENGTH - len(tail)
    return (line if len(line) <= room else f"{line[: room - 1]}\N{HORIZONTAL ELLIPSIS}") + tail


def _characters(message: Message) -> int:
    calls = sum(len(call.name) + len(call.arguments) for call in message.tool_calls)
    return len(message.content) + len(message.reasoning) + calls


class Watcher:
    """An attempt at work: it is told of each message as it comes, and judges the attempt so far.

    Its verdict after a turn's results is the one that `curve` has there. A model reads only what is new.
    """

    def __init__(self, task: Task, verifier: Verifier, origin: Origin = LIVE) -> None:
        """Raises VerifierError for a verifier that gives verdicts of whole attempts only."""
        self._task = task
        self._judge = following(verifier)
        self._origin = origin
        self._messages: list[Message] = []

    def add(self, *messages: Message) -> None:
        """Take note of messages without judging: the prompts before the first turn, or a call before its results."""
        self._messages += messages

    def update(self, *messages: Message, patch: str = "") -> Verdict:
        """Take note of messages and judge the attempt so far.

        `patch` is the diff the work would leave now, where the caller knows it; curves of recorded attempts do not. The
        verdict's attempt_id is of this state. Raises VerifierError where no verdict can be given.
        """
        self.add(*messages)
        return self._verdict(patch, finished=False)

    def finish(self, patch: str, *messages: Message, finished: bool = True) -> Verdict:
        """Take note of the last messages and judge the whole attempt: the verdict that `score` gives."""
        self.add(*messages)
        return self._verdict(patch, finished=finished)

    def _verdict(self, patch: str, *, finished: bool) -> Verdict:
        state = Trajectory(
            task=self._task, messages=tuple(self._messages), patch=patch, finished=finished, origin=self._origin
        )
        return by_id([state], self._judge([state]))[state.attempt_id]
