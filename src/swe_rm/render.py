"""A trajectory becomes a prompt and a labelled one an example: the same code for training, scoring, serving and RL."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field, model_validator

from swe_rm import dialects
from swe_rm.dialects import Turn, plain
from swe_rm.errors import RecordError
from swe_rm.trajectory import Labelled, Message, Noun, Origin, Outcome, Task, ToolCall, Trajectory
from swe_rm.vocabulary import NO, YES, Encoder, Ids, Vocabulary

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


Fate = Literal["whole", "shortened", "gone"]
"""What becomes of a turn of the log."""


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
    issue = plain_issue(trajectory.task.statement) or NO_ISSUE
    log = [_turn_segments(turn) for turn in dialects.turns(trajectory)]
    question = QUESTION if trajectory.finished else UNFINISHED + QUESTION
    patch = _plain_patch(trajectory.patch) or NO_PATCH
    return [Segment("<|issue|>", issue)], log, [Segment("<|patch|>", patch), Segment("<|question|>", question)]


def plain_issue(statement: str) -> str:
    """An issue without the comments of the form it was written in."""
    return plain(_HTML_COMMENT.sub("", statement))


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
    return joined([*issue, *(segment for turn in log for segment in turn), *end])


def joined(flat: Sequence[Segment]) -> str:
    """Segments as text with their marks spelled out."""
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
        self._marks = {name: np.array([id_], np.int32) for name, id_ in vocabulary.control.items()}

    def prompt(self, trajectory: Trajectory) -> Prompt:
        """The prompt of one attempt, at most `policy.max_tokens` long."""
        read = _read(trajectory)
        return self._prompt(read, self._ids(read))

    def fates(self, trajectory: Trajectory) -> list[Fate]:
        """What the length policy does with each turn of the log (of `dialects.turns`), in order."""
        read = _read(trajectory)
        parts = self._parts(read, self._ids(read))
        kept, _, n_gone = self._fit(parts.turns, parts.shrinkable, parts.budget)
        head = next((place for place, piece in enumerate(kept) if piece is self._marks["<|cut|>"]), len(kept))
        lengths = [*map(len, kept[:head]), *[0] * n_gone, *map(len, kept[head + 1 :])]
        return [
            "gone" if not length else "whole" if length == len(turn) else "shortened"
            for length, turn in zip(lengths, parts.turns, strict=True)
        ]

    def _ids(self, read: "_Read") -> dict[str, Ids]:
        found = self.vocabulary.encode(read.texts())
        return {text: np.array(ids, np.int32) for text, ids in zip(read.texts(), found, strict=True)}

    def prompts(self, trajectories: Sequence[Trajectory], encoder: Encoder) -> list[Prompt]:
        """`prompt` of each; texts that `encoder`, one of this vocabulary, remembers are not encoded again."""
        reads = [_read(trajectory) for trajectory in trajectories]
        ids = encoder([text for read in reads for text in read.texts()])
        return [self._prompt(read, ids) for read in reads]

    def example(self, labelled: Labelled) -> Example:
        """Prompt plus verdict token. Raises RecordError where the outcome is unknown: untested is never a NO."""
        return Example(self.prompt(labelled.trajectory), self._verdict_id(labelled))

    def examples(self, labelled: Iterable[Labelled]) -> Iterator[Example]:
        """`example` of each, in order, for many: texts are encoded together on every core, equal ones once.

        The tokenizer works without Python's lock, so the next attempts are read while it does.

        Raises RecordError where an outcome is unknown.
        """
        encoder = Encoder(self.vocabulary)
        before: list[tuple[_Read, int]] = []
        encoded: Future[dict[str, Ids]] | None = None
        with ThreadPoolExecutor(max_workers=1) as worker:
            for group in _groups((_read(item.trajectory), self._verdict_id(item)) for item in labelled):
                encoding = worker.submit(encoder, [text for read, _ in group for text in read.texts()])
                yield from self._finished(before, encoded)
                before, encoded = group, encoding
            yield from self._finished(before, encoded)

    def _finished(
        self, group: list[tuple["_Read", int]], encoded: "Future[dict[str, Ids]] | None"
    ) -> Iterator[Example]:
        ids = encoded.result() if encoded else {}
        return (Example(self._prompt(read, ids), verdict_id) for read, verdict_id in group)

    def _verdict_id(self, labelled: Labelled) -> int:
        if labelled.outcome is Outcome.UNKNOWN:
            key = "/".join(labelled.trajectory.key)
            raise RecordError("training data", key, "its outcome is unknown, so it cannot be an example")
        return self.vocabulary.control[YES if labelled.outcome is Outcome.RESOLVED else NO]

    def _prompt(self, read: "_Read", ids: Mapping[str, Ids]) -> Prompt:
        """The prompt of an attempt from the ids of its texts."""
        parts = self._parts(read, ids)
        kept_log, cut_log, cut_turns = self._fit(parts.turns, parts.shrinkable, parts.budget)
        cut = Cut(
            issue_tokens=_lost(parts.issue, parts.kept_issue),
            patch_tokens=_lost(parts.patch, parts.kept_patch),
            log_tokens=cut_log,
            turns=cut_turns,
            unread_characters=read.unread,
        )
        kept = np.concatenate([parts.kept_issue, *kept_log, parts.kept_patch, parts.question])
        return Prompt(read.attempt_id, tuple(kept.tolist()), cut)

    def _parts(self, read: "_Read", ids: Mapping[str, Ids]) -> "_Parts":
        def encoded(pieces: Iterable[Segment]) -> Ids:
            return np.concatenate([part for s in pieces for part in (self._marks[s.mark], ids[s.text])])

        issue, patch, question = (encoded([piece]) for piece in (read.issue, *read.end))
        kept_issue = _cut_middle(issue, self.policy.issue_cap, self._cut_id)
        kept_patch = _cut_middle(patch, self.policy.patch_cap, self._cut_id)
        budget = self.policy.max_tokens - len(kept_issue) - len(kept_patch) - len(question)
        shrinkable = [turn[0].mark == "<|observation|>" for turn in read.log]
        return _Parts(issue, kept_issue, patch, kept_patch, question, [*map(encoded, read.log)], shrinkable, budget)

    def _fit(self, turns: list[Ids], shrinkable: Sequence[bool], budget: int) -> tuple[list[Ids], int, int]:
        """The log within `budget` tokens: (its pieces, tokens cut, turns gone entirely)."""
        total = sum(map(len, turns))
        if total <= budget:
            return turns, 0, 0
        cap = self.policy.observation_cap
        capped = [
            _cut_middle(turn, cap, self._cut_id) if shrink and cap else turn
            for turn, shrink in zip(turns, shrinkable, strict=True)
        ]
        if sum(map(len, capped)) <= budget:
            return capped, total - sum(_uncut(turn, self._cut_id) for turn in capped), 0
        room = budget - 1  # the mark that stands for the turns left out
        tail = self._take(capped[::-1], int(room * self.policy.tail_share))[::-1]
        head = self._take(capped[: len(capped) - len(tail)], room - sum(map(len, tail)))
        kept = [*head, *tail]
        cut = total - sum(_uncut(turn, self._cut_id) for turn in kept)
        return [*head, self._marks["<|cut|>"], *tail], cut, len(turns) - len(kept)

    def _take(self, turns: Sequence[Ids], room: int) -> list[Ids]:
        """Turns from the front while they fit; the first that does not is cut inside, if enough room is left."""
        taken: list[Ids] = []
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
_GROUP_CHARACTERS = 4_000_000
"""Text that is encoded together: enough to keep many cores busy, and 100 MB of memory while it is."""


class _Parts(NamedTuple):
    """An attempt as tokens: all but the log brought under its caps, and what is left for the log."""

    issue: Ids
    kept_issue: Ids
    patch: Ids
    kept_patch: Ids
    question: Ids
    turns: list[Ids]
    shrinkable: list[bool]
    """Which turns are observations."""
    budget: int


class _Read(NamedTuple):
    """An attempt as plain segments, each short enough to be tokenised."""

    attempt_id: str
    issue: Segment
    log: list[list[Segment]]
    end: list[Segment]
    """Patch and question."""
    unread: int
    """Characters left out of segments that were too long."""

    def texts(self) -> list[str]:
        """The text of every segment, in order."""
        return [segment.text for segment in (self.issue, *(s for turn in self.log for s in turn), *self.end)]


def _read(trajectory: Trajectory) -> _Read:
    whole_issue, whole_log, whole_end = segments(trajectory)
    (issue,) = map(_shorten, whole_issue)
    log = [[_shorten(segment) for segment in turn] for turn in whole_log]
    end = [_shorten(segment) for segment in whole_end]
    whole = [*whole_issue, *(segment for turn in whole_log for segment in turn), *whole_end]
    unread = sum(max(0, len(segment.text) - MAX_TEXT) for segment in whole)
    return _Read(trajectory.attempt_id, issue, log, end, unread)


def _groups(attempts: Iterable[tuple[_Read, int]]) -> Iterator[list[tuple[_Read, int]]]:
    """Attempts in order, as many together as have _GROUP_CHARACTERS of text."""
    group: list[tuple[_Read, int]] = []
    size = 0
    for read, verdict_id in attempts:
        group.append((read, verdict_id))
        size += sum(map(len, read.texts()))
        if size >= _GROUP_CHARACTERS:
            yield group
            group, size = [], 0
    if group:
        yield group


def _shorten(segment: Segment) -> Segment:
    if len(segment.text) <= MAX_TEXT:
        return segment
    half = MAX_TEXT // 2
    return Segment(segment.mark, segment.text[:half] + segment.text[-half:])


def _cut_middle(ids: Ids, room: int, cut_id: int) -> Ids:
    """At most `room` ids: the beginning, the cut mark, the end."""
    if len(ids) <= room:
        return ids
    head = (room - 1) // 2
    tail = room - 1 - head
    return np.concatenate([ids[:head], [cut_id], ids[len(ids) - tail :]], dtype=np.int32)


def _uncut(ids: Ids, cut_id: int) -> int:
    return int(np.count_nonzero(ids != cut_id))


def _lost(before: Ids, after: Ids) -> int:
    return len(before) - len(after) + (len(before) != len(after))
