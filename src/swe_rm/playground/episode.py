"""A task as a policy that learns meets it: it answers with the words of an action and sees what came of it.

The log that is kept is mini-swe-agent's, with the command that the words stand for. What the policy itself is shown is
shorter, since it reads little; how it is made into tokens is the policy's affair.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import orjson

from swe_rm.playground.actions import Options, refusal
from swe_rm.playground.attempts import Attempt, Confined, Observation
from swe_rm.playground.checkouts import Checkouts
from swe_rm.playground.memory import Memory, Recalling, Shell
from swe_rm.playground.sandbox import Sandbox, scratch
from swe_rm.playground.world import PlaygroundTask
from swe_rm.sources import open_received
from swe_rm.trajectory import Trajectory

_MOST = 1200
"""Characters of an observation that are shown: its end, where tests say how it went."""


class Episode:
    """One attempt of a policy at a task."""

    def __init__(self, made: Attempt, offered: Options) -> None:
        self._made = made
        self._commands = offered.commands
        self.opening = _opening(made.task, offered)
        """What the policy sees first: the issue, the edits, the words it may use."""

    @property
    def actions(self) -> tuple[str, ...]:
        """The words that mean something."""
        return tuple(self._commands)

    @property
    def is_over(self) -> bool:
        """Whether it has handed in or come to its limit of steps."""
        return self._made.is_over

    @property
    def submission(self) -> str:
        """The patch that was handed in; empty where none was."""
        return self._made.submission

    def step(self, answer: str) -> str:
        """Carry an answer out, and show what came of it.

        The first line is the action; what it does not know is told, and is a step all the same. Raises SandboxError
        when the command could not be run, ValueError when the episode is over.
        """
        if self.is_over:
            raise ValueError("the episode is over")
        words = " ".join(answer.strip().partition("\n")[0].split())
        return _shown(self._made.step(answer, self._commands.get(words) or refusal(words)))

    def document(self) -> dict[str, Any]:
        """The attempt as mini-swe-agent writes it."""
        return self._made.document()

    def trajectory(self, policy: str, number: int) -> Trajectory:
        """The attempt as a verifier reads it, by the same reader as from a file."""
        name = self._made.task.instance_id
        path = f"{policy}_{number}/{name}/{name}.traj.json"
        pile = open_received([(path, orjson.dumps(self.document()))])
        (item,) = pile.attempts()
        return item.trajectory


@contextmanager
def episode(
    task: PlaygroundTask,
    policy: str,
    offered: Options,
    checkouts: Checkouts,
    sandbox: Sandbox,
    step_limit: int = 12,
    memory: Memory | None = None,
) -> Iterator[Episode]:
    """An episode in a scratch folder of its own, gone afterwards; with a memory, what it knows is not run again.

    Raises MissingExtraError without mini-swe-agent.
    """
    with ExitStack() as stack:

        def begin() -> Shell:
            return Confined(sandbox, stack.enter_context(scratch(checkouts.start(task), checkouts.folder)))

        shell = begin() if memory is None else Recalling(memory, task, offered, begin)
        yield Episode(Attempt(task, policy, shell, sandbox.limits, step_limit), offered)


def _opening(task: PlaygroundTask, offered: Options) -> str:
    listed = "\n".join(choice.summary for choice in offered.choices)
    searches = ", ".join(f"search {name}" for name in offered.names)
    words = ["view N", *([searches] if searches else []), *(["reproduce"] if offered.reproduction else [])]
    words += ["test", "edit N", "undo", "submit"]
    return f"{task.problem_statement}\n\nEdits:\n{listed}\n\nActions: {', '.join(words)}"


def _shown(seen: Observation) -> str:
    text = seen.output.strip("\n")
    cut = f"...\n{text[-_MOST:]}" if len(text) > _MOST else text
    return f"[{seen.code}]\n{cut}"
