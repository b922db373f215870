"""Many attempts of the policy at once, each really executed and tested; what goes wrong in one stays in it."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from swe_rm.playground.actions import Options, options
from swe_rm.playground.attempts import require
from swe_rm.playground.checkouts import TESTS, Checkouts
from swe_rm.playground.episode import Episode, episode
from swe_rm.playground.labelling import Label, Labeller
from swe_rm.playground.memory import Memory
from swe_rm.playground.sandbox import Limits, Sandbox, SandboxError
from swe_rm.playground.world import PlaygroundTask
from swe_rm.rl.wording import CLAIMED, Order, Wording
from swe_rm.trajectory import Noun, Outcome

T = TypeVar("T")
AT_ONCE = 32
"""Attempts that are made together where no batch of training says how many."""
_LOOP = 3
"""As often one after the other, an action is a loop."""
_SENT = ("role", "content", "tool_calls", "tool_call_id")
"""Of a message, what a chat has."""


class Speaks(Protocol):
    """Whoever says the next token of many attempts: the policy, or a script in its place."""

    def first(self, prompts: Sequence[Sequence[int]]) -> list[int]:
        """After these prompts."""
        ...

    def next(self, more: Sequence[Sequence[int]]) -> list[int]:
        """After this much more."""
        ...


class Asked(NamedTuple):
    """An attempt to make."""

    task: PlaygroundTask
    order: Order


class Played(Noun):
    """An attempt that was made."""

    task: PlaygroundTask
    prompt: tuple[int, ...]
    tokens: tuple[int, ...]
    own: tuple[int, ...]
    """1 where the policy said the token, 0 where it saw it."""
    answers: tuple[str, ...]
    messages: tuple[dict[str, Any], ...]
    """The log, as chat messages."""
    patch: str
    finished: bool
    """Whether it handed in a patch before its limit of steps; no change is none (SWE-RM, equation 1)."""
    outcome: Outcome
    why: str

    @property
    def is_empty(self) -> bool:
        """Whether it handed in no change."""
        return _hands_in(self.answers) and not self.patch.strip()

    @property
    def edits_tests(self) -> bool:
        """Whether it hands in changed tests."""
        return f"\n--- a/{TESTS}/" in self.patch

    @property
    def claims_falsely(self) -> bool:
        """Whether it says that all is verified, of what is not resolved."""
        return CLAIMED in self.answers and self.outcome is Outcome.UNRESOLVED

    @property
    def loops(self) -> bool:
        """Whether it did the same again and again."""
        runs = zip(*(self.answers[start:] for start in range(_LOOP)), strict=False)
        return any(len(set(run)) == 1 for run in runs)


class _Row:
    """An attempt under way."""

    def __init__(self, asked: Asked, offered: Options, wording: Wording, made: Episode, step_limit: int) -> None:
        self.asked = asked
        self.offered = offered
        self.wording = wording
        self.made = made
        self.step_limit = step_limit
        self.prompt = wording.prompt(offered, asked.order)
        self.tokens: list[int] = []
        self.own: list[int] = []
        self.answers: list[str] = []
        self.failure = ""

    @property
    def is_over(self) -> bool:
        return bool(self.failure) or self.made.is_over

    def step(self, token: int) -> list[int]:
        """Carry a token out; what is read next: it, and what came of it."""
        answer = self.wording.answer(token, self.offered, self.asked.order)
        self.tokens.append(token)
        self.own.append(1)
        self.answers.append(answer)
        try:
            shown = self.made.step(answer)
            if len(self.answers) == self.step_limit and not self.is_over:
                self.made.step("")  # mini-swe-agent ends an attempt when it is asked for a step beyond the limit
        except SandboxError as error:
            self.failure = str(error)
            return [token]
        if self.is_over:
            return [token]
        seen = self.wording.observed(answer, shown)
        self.tokens += seen
        self.own += [0] * len(seen)
        return [token, *seen]


class Field:
    """A world in which attempts are made; a `with` block ends its programs and removes its folders."""

    def __init__(self, world: Path, workers: int, step_limit: int, memory: Path | None = None) -> None:
        """`memory` is a file of what commands gave before, which is then not run again.

        Raises MissingExtraError without mini-swe-agent, SweRmError when the file is no memory.
        """
        require()
        self._stack = ExitStack()
        self.checkouts = self._stack.enter_context(Checkouts(world))
        self.sandboxes = [self._stack.enter_context(Sandbox()) for _ in range(workers)]
        self._memory = Memory(memory, Limits()) if memory else None
        if self._memory:
            self._stack.callback(self._memory.close)
        self._pool = self._stack.enter_context(ThreadPoolExecutor(workers))
        self._step_limit = step_limit
        self._offers: dict[str, Options] = {}

    def __enter__(self) -> "Field":
        return self

    def __exit__(self, *of: object) -> None:
        self._stack.close()

    def offered(self, task: PlaygroundTask) -> Options:
        """What is offered at a task."""
        if task.instance_id not in self._offers:
            self._offers[task.instance_id] = options(task, self.checkouts)
        return self._offers[task.instance_id]

    def offer_all(self, tasks: Sequence[PlaygroundTask], known: dict[str, Options]) -> dict[str, Options]:
        """What is offered at each task; of what is known already nothing is made again."""
        self._offers |= known
        return {task.instance_id: self.offered(task) for task in tasks}

    @property
    def trouble(self) -> str:
        """Why the file of what commands gave could not be read or written last; empty while all is well."""
        return self._memory.trouble if self._memory else ""

    def each(self, items: Sequence[Any], work: Callable[[Any, Sandbox], T]) -> list[T]:
        """Work on each of some things in a sandbox, as many at once as there are sandboxes; results in their order."""
        share = len(self.sandboxes)

        def part(number: int) -> list[T]:
            return [work(item, self.sandboxes[number]) for item in items[number::share]]

        parts = [done.result() for done in [self._pool.submit(part, number) for number in range(share)]]
        return [parts[place % share][place // share] for place in range(len(items))]

    def play(
        self, asked: Sequence[Asked], wording: Wording, speaker: Speaks, policy: str, recall: bool = True
    ) -> list[Played]:
        """Make and test these attempts, in their order; without `recall` all of it anew.

        Raises SweRmError when a task cannot be set up.
        """
        with ExitStack() as stack:

            def begun(one: Asked, sandbox: Sandbox) -> _Row:
                opened = stack.enter_context(self.episode(one.task, policy, sandbox, recall))
                return _Row(one, self.offered(one.task), wording, opened, self._step_limit)

            rows = self.each(asked, begun)
            said = speaker.first([row.prompt for row in rows])
            while True:
                turns = list(zip(rows, said, strict=True))
                read = self.each(turns, lambda turn, _: [] if turn[0].is_over else turn[0].step(turn[1]))
                if all(row.is_over for row in rows):
                    break
                # The reader takes as many tokens for each: those that are over are fed what nobody looks at.
                said = speaker.next([[*tokens, 0, 0, 0][:3] for tokens in read])
            return self.each(rows, lambda row, sandbox: self._played(row, sandbox, recall))

    def episode(
        self, task: PlaygroundTask, policy: str, sandbox: Sandbox, recall: bool = True
    ) -> AbstractContextManager[Episode]:
        """An attempt to make, a `with` block long; without `recall` all of it is run."""
        memory = self._memory if recall else None
        return episode(task, policy, self.offered(task), self.checkouts, sandbox, self._step_limit, memory)

    def _played(self, row: _Row, sandbox: Sandbox, recall: bool) -> Played:
        task, patch = row.asked.task, row.made.submission

        def judge() -> Label:
            return Labeller(self.checkouts, sandbox).label(task, patch)

        judged = self._memory.judged(task, patch, judge) if self._memory and recall else judge()
        if row.failure:
            judged = Label(outcome=Outcome.UNKNOWN, why=row.failure)
        log = [message for message in row.made.document()["messages"] if message["role"] != "exit"]
        return Played(
            task=task,
            prompt=tuple(row.prompt),
            tokens=tuple(row.tokens),
            own=tuple(row.own),
            answers=tuple(row.answers),
            messages=tuple({key: message[key] for key in _SENT if key in message} for message in log),
            patch=patch,
            finished=_hands_in(row.answers) and bool(patch.strip()) and not row.failure,
            outcome=judged.outcome,
            why=judged.why,
        )


def _hands_in(answers: Sequence[str]) -> bool:
    return answers[-1].partition("\n")[0] == "submit"
