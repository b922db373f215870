"""A trajectory becomes a prompt and a labelled one an example: the same code for training, scoring, serving and RL."""

import hashlib
import re
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from pydantic import Field, model_validator

from swe_rm import dialects
from swe_rm.dialects import Turn, plain
from swe_rm.errors import RecordError
from swe_rm.trajectory import Labelled, Message, Noun, Origin, Outcome, Task, ToolCall, Trajectory
from swe_rm.vocabulary import NO, YES, Vocabulary

RENDER_VERSION = 1

QUESTION = "Did this attempt resolve the issue? Answer YES or NO."
UNFINISHED = "The agent did not finish. "
NO_PATCH = "(no patch)"
NO_ISSUE = "(not shown)"

MAX_TEXT = 400_000
"""Characters of one text that are tokenised; the middle of a longer one is cut unread (100 MB observations exist)."""

_RESERVED = 64
"""Tokens kept for the question and the section marks."""


class LengthPolicy(Noun):
    """How a long attempt is brought under a token budget: only the middle of the log is cut, and it is counted.

    Whole turns of the middle go first; the turn at either border that does not fit whole is cut inside. Where
    `observation_cap` is set, observations are shortened to it before whole turns go, so that a small budget holds more
    turns. Issue, patch and question always stay; each of the first two has a cap beyond which its middle is cut.
    """

    max_tokens: int = Field(default=262_144, ge=128)
    issue_cap: int = Field(default=16_384, ge=16)
    patch_cap: int = Field(default=32_768, ge=16)
    observation_cap: int | None = Field(default=None, ge=8)
    """Longest observation kept whole once the log does not fit; None shortens none before whole turns go."""
    tail_share: float = Field(default=0.75, ge=0, le=1)
    """Share of the log's tokens given to its end: what the agent did last says most about the result."""

    @model_validator(mode="after")
    def _parts_fit(self) -> "LengthPolicy":
        if self.issue_cap + self.patch_cap + _RESERVED > self.max_tokens:
            raise ValueError(f"issue_cap + patch_cap + {_RESERVED} must not exceed max_tokens")
        return self


class Segment(NamedTuple):
    """One piece of the plain rendering: a control mark and the text under it."""

    mark: str
    text: str


class Cut(NamedTuple):
    """What the length policy removed."""

    issue_tokens: int = 0
    patch_tokens: int = 0
    log_tokens: int = 0
    turns: int = 0
    """Turns of the log that are gone entirely."""
    unread_characters: int = 0
    """Characters beyond MAX_TEXT that were never tokenised."""

    @property
    def tokens(self) -> int:
        """All tokens removed; what was never tokenised is estimated at four characters a token."""
        return self.issue_tokens + self.patch_tokens + self.log_tokens + self.unread_characters // 4


class Prompt(NamedTuple):
    """The tokens a model reads about one attempt. The verdict is the next token."""

    attempt_id: str
    token_ids: tuple[int, ...]
    cut: Cut


class Example(NamedTuple):
    """A prompt with the verdict token that follows it."""

    prompt: Prompt
    verdict_id: int

    @property
    def token_ids(self) -> tuple[int, ...]:
        """Prompt tokens plus the ONE verdict token."""
        return (*self.prompt.token_ids, self.verdict_id)


# --- plain text ------------------------------------------------------------------------------------------------------

_DIFF_HEAD = re.compile(r"^diff --git a/(\S+) b/\1\n(?:index [^\n]*\n)?(?:--- a/\1\n(?=\+\+\+ b/\1$))?", re.MULTILINE)
_HTML_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


def segments(trajectory: Trajectory) -> tuple[list[Segment], list[list[Segment]], list[Segment]]:
    """(issue, one list per turn of the log, patch and question): the rendering before tokens, nothing cut."""
    issue = plain(_HTML_COMMENT.sub("", trajectory.task.statement)) or NO_ISSUE
    log = [_turn_segments(turn) for turn in dialects.turns(trajectory)]
    question = QUESTION if trajectory.finished else UNFINISHED + QUESTION
    patch = _plain_patch(trajectory.patch) or NO_PATCH
    return [Segment("<|issue|>", issue)], log, [Segment("<|patch|>", patch), Segment("<|question|>", question)]


def _plain_patch(patch: str) -> str:
    """The diff without the lines that repeat a file's name or hash: 40 tokens a file that say nothing."""
    return _DIFF_HEAD.sub("", plain(patch))


def _turn_segments(turn: Turn) -> list[Segment]:
    if turn.kind == "agent":
        said = [Segment("<|agent|>", turn.text)] if turn.text or not turn.actions else []
        return said + [Segment("<|action|>", action.text) for action in turn.actions]
    text = f"[exit {turn.exit_code}]\n{turn.text}" if turn.exit_code else turn.text
    return [Segment("<|observation|>" if turn.kind == "observation" else "<|user|>", text)]


def rendered_text(trajectory: Trajectory) -> str:
    """The whole rendering as text with its marks spelled out: for people, baselines and the template hash."""
    issue, log, end = segments(trajectory)
    flat = [*issue, *(segment for turn in log for segment in turn), *end]
    return "\n".join(f"{segment.mark}{segment.text}" for segment in flat)


def rendered_length(trajectory: Trajectory) -> int:
    """Characters of `rendered_text`."""
    return len(rendered_text(trajectory))


@cache
def template_hash() -> str:
    """Hex digest of everything that decides what a model reads: version, marks, and the rendering of fixed attempts.

    The fixed attempts exercise every branch, so a change of the code that changes their rendering changes the hash.
    """
    texts = [rendered_text(trajectory) for trajectory in _probe_attempts()]
    return hashlib.sha256("\0".join([str(RENDER_VERSION), *texts]).encode()).hexdigest()[:16]


def _probe_attempts() -> list[Trajectory]:
    prompt = "<pr_description>\nAdd fails\r\n<!-- note -->\n</pr_description>"
    shell = ToolCall(name="bash", arguments='{"command": "cd /testbed && ls", "timeout": 3}')
    edit = ToolCall(name="edit", arguments='{"path": "/testbed/a.py", "thoughts": "try", "new": "x\\ny"}')
    observations = (
        "<returncode>1</returncode>\n<output>\nboom  \n</output>",
        "OBSERVATION:\nfine\n\n\n\nend\n(Open file: n/a)\n(Current directory: /x)\nbash-$",
        '{"stdout": "out", "stderr": "err", "exitCode": 2}',
        '{"output": {"message": "done", "span": [1]}}',
        "Chunk ID: a\nWall time: 0.1 seconds\nProcess exited with code 0\nOutput:\nhello",
        "ran\n[The command completed with exit code 3.]",
        "\x1b[31mred\x1b[0m",
    )
    written = ("THOUGHT: look\n```bash\nls\n```", "<function=view><parameter=path>a.py</parameter></function>", "done")
    log = [Message(role="system", content="system"), Message(role="user", content=prompt)]
    for observation in observations:
        log += [Message(role="assistant", tool_calls=(shell, edit)), Message(role="tool", content=observation)]
    for text in written:
        log += [Message(role="assistant", content=text, reasoning="why"), Message(role="user", content="next")]
    task = Task(instance_id="probe__probe-1", statement=dialects.issue_statement(log))
    origin = Origin(source="probe", policy="probe", attempt="1")
    full = Trajectory(task=task, messages=tuple(log), patch="diff --git a/a b/a\n+x\n", origin=origin)
    bare = Trajectory(task=Task(instance_id="probe__probe-2"), finished=False, origin=origin)
    return [full, bare]


# --- tokens ----------------------------------------------------------------------------------------------------------


class Renderer:
    """Renders with one vocabulary under one length policy. Deterministic; keeps no state between calls."""

    def __init__(self, vocabulary: Vocabulary, policy: LengthPolicy) -> None:
        self.vocabulary = vocabulary
        self.policy = policy
        self._cut_id = vocabulary.control["<|cut|>"]

    def prompt(self, trajectory: Trajectory) -> Prompt:
        """The prompt of one attempt, at most `policy.max_tokens` long."""
        issue, log, end = segments(trajectory)
        shortened = [_shorten(s) for s in (*issue, *(s for turn in log for s in turn), *end)]
        ids = self.vocabulary.encode([segment.text for segment, _ in shortened])
        pieces = [[self.vocabulary.control[s.mark], *next(ids)] for s, _ in shortened]
        issue_ids, patch_ids, question_ids = pieces[0], pieces[-2], pieces[-1]
        turn_ids, at = [], 1
        for turn in log:
            turn_ids.append([id_ for piece in pieces[at : at + len(turn)] for id_ in piece])
            at += len(turn)
        kept_issue = _cut_middle(issue_ids, self.policy.issue_cap, self._cut_id)
        kept_patch = _cut_middle(patch_ids, self.policy.patch_cap, self._cut_id)
        budget = self.policy.max_tokens - len(kept_issue) - len(kept_patch) - len(question_ids)
        shrinkable = [turn[0].mark == "<|observation|>" for turn in log]
        kept_log, cut_log, cut_turns = self._fit(turn_ids, shrinkable, budget)
        cut = Cut(
            issue_tokens=_lost(issue_ids, kept_issue),
            patch_tokens=_lost(patch_ids, kept_patch),
            log_tokens=cut_log,
            turns=cut_turns,
            unread_characters=sum(unread for _, unread in shortened),
        )
        return Prompt(trajectory.attempt_id, (*kept_issue, *kept_log, *kept_patch, *question_ids), cut)

    def example(self, labelled: Labelled) -> Example:
        """Prompt plus verdict token. Raises RecordError where the outcome is unknown: untested is never a NO."""
        if labelled.outcome is Outcome.UNKNOWN:
            key = "/".join(labelled.trajectory.key)
            raise RecordError("training data", key, "its outcome is unknown, so it cannot be an example")
        name = YES if labelled.outcome is Outcome.RESOLVED else NO
        return Example(self.prompt(labelled.trajectory), self.vocabulary.control[name])

    def _fit(self, turns: list[list[int]], shrinkable: Sequence[bool], budget: int) -> tuple[list[int], int, int]:
        """The log within `budget` tokens: (ids, tokens cut, turns gone entirely)."""
        total = sum(map(len, turns))
        if total <= budget:
            return [id_ for turn in turns for id_ in turn], 0, 0
        cap = self.policy.observation_cap
        capped = [
            _cut_middle(turn, cap, self._cut_id) if shrink and cap else turn
            for turn, shrink in zip(turns, shrinkable, strict=True)
        ]
        if sum(map(len, capped)) <= budget:
            return [id_ for turn in capped for id_ in turn], _lost_all(turns, capped, self._cut_id), 0
        room = budget - 1  # the mark that stands for the turns left out
        tail = self._take(capped[::-1], int(room * self.policy.tail_share))[::-1]
        head = self._take(capped[: len(capped) - len(tail)], room - sum(map(len, tail)))
        kept = [*head, *tail]
        ids = [id_ for turn in head for id_ in turn] + [self._cut_id] + [id_ for turn in tail for id_ in turn]
        return ids, total - sum(_uncut(turn, self._cut_id) for turn in kept), len(turns) - len(kept)

    def _take(self, turns: Sequence[list[int]], room: int) -> list[list[int]]:
        """Turns from the front while they fit; the first that does not is cut inside, if enough room is left."""
        taken: list[list[int]] = []
        for turn in turns:
            if len(turn) <= room:
                taken.append(turn)
                room -= len(turn)
                continue
            if room >= _LEAST_PIECE:
                taken.append(_cut_middle(turn, room, self._cut_id))
            break
        return taken


_LEAST_PIECE = 24
"""Fewest tokens worth keeping of a turn that does not fit whole."""


def _shorten(segment: Segment) -> tuple[Segment, int]:
    unread = len(segment.text) - MAX_TEXT
    if unread <= 0:
        return segment, 0
    half = MAX_TEXT // 2
    return Segment(segment.mark, segment.text[:half] + segment.text[-half:]), unread


def _cut_middle(ids: list[int], room: int, cut_id: int) -> list[int]:
    """At most `room` ids: the beginning, the cut mark, the end."""
    if len(ids) <= room:
        return ids
    head = (room - 1) // 2
    tail = room - 1 - head
    return [*ids[:head], cut_id, *ids[len(ids) - tail :]]


def _uncut(ids: Sequence[int], cut_id: int) -> int:
    return len(ids) - ids.count(cut_id)


def _lost(before: list[int], after: list[int]) -> int:
    return len(before) - len(after) + (len(before) != len(after))


def _lost_all(before: list[list[int]], after: list[list[int]], cut_id: int) -> int:
    return sum(map(len, before)) - sum(_uncut(turn, cut_id) for turn in after)
