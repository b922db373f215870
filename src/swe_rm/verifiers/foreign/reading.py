"""Reads an attempt as somebody else's verifier does: laid out by templates, brought under its length, tokenised."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from swe_rm.trajectory import Origin, Task, Trajectory
from swe_rm.verifiers.foreign.cutting import fit
from swe_rm.verifiers.foreign.entries import Text, defuser, text_of
from swe_rm.verifiers.foreign.file import Length, Part, VerifierFile
from swe_rm.verifiers.foreign.layout import Template, check_brought, read_template, sources
from swe_rm.verifiers.foreign.tokens import Tokens
from swe_rm.verifiers.remote.question import Question

CHARACTERS_PER_TOKEN = 3
"""Where there is no tokenizer to count with: code and logs have 3 to 4, so that a prompt is rather cut than refused."""

Messages = tuple[Mapping[str, str], ...]

_PLACES = {"engine", "weights", "tokenizer", "chat_template"}
"""Keys that say where something is, and not what it is."""


class Layout:
    """The messages that an attempt becomes."""

    def __init__(self, path: Path, file: VerifierFile, tokens: Tokens | None, answering: Sequence[str] = ()) -> None:
        """`path` is the verifier file's; `answering` is all that decides what is answered to what is read.

        Raises VerifierError for a template that is not there, or is none.
        """
        check_brought(path.parent, str(path), file.bring)
        parts: tuple[Part, ...] = file.messages if isinstance(file.messages, tuple) else ()
        self._set = file.set
        self._parts: list[tuple[str, Template]] = [
            (part.role, read_template(path.parent / part.file, str(path), file.bring)) for part in parts
        ]
        read = [source for part in parts for source in sources(path.parent / part.file)]
        brought = [(path.parent / name).read_text(encoding="utf-8") for name in sorted(file.bring)]
        said = [file.model_dump_json(exclude=_PLACES), tokens.digest if tokens else "", *answering]
        self.digest = _digest([*said, *read, *brought])
        """Of all that decides a verdict, wherever it lies: a template of other words is another verifier."""

    def __call__(self, text: Text, **more: Any) -> Messages:
        """The messages; without templates they are the log itself, calls and all."""
        if not self._parts:
            return tuple({"role": entry.role, "content": entry.written} for entry in text.entries)
        given = {"log": text.entries, "patch": text.patch, "issue": text.issue, "finished": text.finished}
        given |= {**self._set, **more}
        return tuple({"role": role, "content": template(**given)} for role, template in self._parts)


class Foreign:
    """The reader of a verifier file: see `Reader`."""

    def __init__(
        self, file: VerifierFile, layout: Layout, tokens: Tokens | None, limit: int | None = None, suffix: str = ""
    ) -> None:
        """`limit` is what the engine reads at most; the shorter of it and the file's own holds. `suffix` tells numbers
        of weights that are not fp32."""
        self._file, self._layout, self._tokens, self._suffix = file, layout, tokens, suffix
        self._length = shorter(file.length, limit)
        self._defused = defuser(tokens.marks if tokens else ())

    @property
    def name(self) -> str:
        """name@version of the file, with the digest of all that decides a verdict."""
        return f"{self._file.name}@{self._file.version}.{self._layout.digest}{self._suffix}"

    def __call__(self, trajectory: Trajectory) -> Question:
        """See `Reader`."""
        text = text_of(trajectory, self._defused, merge=self._file.merge)
        measured = _Last(self._measured)
        fitted, cut = fit(text, measured, self._length.max_tokens, self._length.rule)
        ids, written, messages = measured.of(fitted)
        task = trajectory.task.instance_id
        return Question(trajectory.attempt_id, task, ids, "" if ids else written, messages, cut=cut)

    def prompt_end(self) -> str:
        """A prompt as it ends for every attempt: what an answer's token is found behind."""
        probe = Trajectory(
            task=Task(instance_id="probe__probe-1", statement="probe"),
            patch="probe",
            origin=Origin(source="probe", policy="probe", attempt="1"),
        )
        return self._measured(text_of(probe, self._defused))[1]

    def _measured(self, text: Text) -> tuple[tuple[int, ...], str, Messages]:
        messages = self._layout(text)
        prefill = self._file.answer.prefill if self._file.answer else ""
        if self._tokens is None:
            return (), "\n\n".join(message["content"] for message in messages) + prefill, messages
        written = self._tokens.chat(messages, reply=self._file.reply, prefill=prefill)
        return self._tokens.encode(written), written, messages


class _Last:
    """Measures texts and remembers the last ones: the one that fits is not tokenised again to be sent."""

    def __init__(self, read: Callable[[Text], tuple[tuple[int, ...], str, Messages]]) -> None:
        self._read = read
        self._known: list[tuple[Text, tuple[tuple[int, ...], str, Messages]]] = []

    def __call__(self, text: Text) -> int:
        ids, written, _ = self.of(text)
        return len(ids) or -(-len(written) // CHARACTERS_PER_TOKEN)

    def of(self, text: Text) -> tuple[tuple[int, ...], str, Messages]:
        for known, found in self._known:
            if known == text:
                return found
        found = self._read(text)
        self._known = [*self._known[-1:], (text, found)]
        return found


def shorter(length: Length, limit: int | None) -> Length:
    """The length policy under an engine's own limit."""
    return length if limit is None else length.model_copy(update={"max_tokens": min(length.max_tokens, limit)})


def _digest(texts: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:8]
