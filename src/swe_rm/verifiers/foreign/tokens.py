"""Somebody else's tokenizer, from its folder: chat template, token ids, and the one token that an answer is."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from swe_rm.errors import CheckpointError, MissingExtraError, VerifierError
from swe_rm.verifiers.foreign.layout import Template, chat_template


class Tokens:
    """Reads `tokenizer.json` and, for the chat template, `chat_template.jinja` or `tokenizer_config.json`. No code."""

    def __init__(self, folder: Path, template: Path | None = None) -> None:
        """`template` replaces the folder's chat template. Raises CheckpointError for a folder that has none of it."""
        try:
            import tokenizers
        except ImportError:
            raise MissingExtraError("tokenizers", "model") from None
        file = folder / "tokenizer.json"
        if not file.is_file():
            raise CheckpointError(f"{folder}: no tokenizer.json in this folder")
        description = _object(file)
        if not isinstance(description.get("model"), dict) or "vocab" not in description["model"]:
            raise CheckpointError(f"{file}: describes no tokenizer")
        self._tokenizer = tokenizers.Tokenizer.from_str(json.dumps(description))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.marks = tuple(str(token["content"]) for token in description.get("added_tokens", ()))
        """Spellings that the tokenizer takes for marks, never for text."""
        config = folder / "tokenizer_config.json"
        self._config = _object(config) if config.is_file() else {}
        self._folder, self._template_file = folder, template
        self._template: Template | None = None
        templates = (template, folder / "chat_template.jinja", config)
        found = [one.read_bytes() for one in (file, *templates) if one is not None and one.is_file()]
        self.digest = hashlib.sha256(b"\0".join(found)).hexdigest()
        """Of all that decides which ids a prompt becomes."""

    def chat(self, messages: Sequence[Mapping[str, str]], *, reply: bool, prefill: str) -> str:
        """The messages in the chat template; with `reply`, up to where the assistant begins, then `prefill`."""
        if self._template is None:
            self._template = self._found()
        marks = {name: _mark(self._config.get(name)) for name in ("bos_token", "eos_token", "pad_token", "unk_token")}
        given = [dict(message) for message in messages]
        return self._template(messages=given, tools=None, add_generation_prompt=reply, **marks) + prefill

    def encode(self, text: str) -> tuple[int, ...]:
        """Token ids; marks in the text are marks, and none are added."""
        return tuple(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def answer_ids(self, prompt: str, spellings: Sequence[str]) -> tuple[int, ...]:
        """The one token that each spelling is after this prompt.

        Raises VerifierError where a spelling takes several tokens, whose first alone is no answer, or where it is
        joined to what stands before, so that the model never sees the prompt end where it ends.
        """
        before = self.encode(prompt)
        found = []
        for spelling in spellings:
            ids = self.encode(prompt + spelling)
            if ids[: len(before)] != before:
                raise VerifierError(f"after {prompt[-24:]!r} the tokenizer joins {spelling!r} to what stands before")
            if len(ids) != len(before) + 1:
                raise VerifierError(
                    f"{spelling!r} takes {len(ids) - len(before)} tokens after {prompt[-24:]!r}, not one"
                )
            found.append(ids[-1])
        return tuple(found)

    def _found(self) -> Template:
        file = self._template_file or self._folder / "chat_template.jinja"
        if self._template_file is not None and not file.is_file():
            raise VerifierError(f"{file}: no such chat template")
        if file.is_file():
            return chat_template(file.read_text(encoding="utf-8"), str(file))
        source = self._config.get("chat_template")
        if isinstance(source, list):
            source = next((one.get("template") for one in source if one.get("name") == "default"), None)
        if not isinstance(source, str):
            raise VerifierError(f"{self._folder}: the tokenizer has no chat template; chat_template names one")
        return chat_template(source, str(self._folder / "tokenizer_config.json"))


def _object(file: Path) -> dict[str, Any]:
    """A JSON file that is an object. Raises CheckpointError."""
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{file}: not JSON ({error})") from None
    if not isinstance(value, dict):
        raise CheckpointError(f"{file}: not a JSON object")
    return value


def _mark(value: Any) -> str:
    return str(value.get("content", "")) if isinstance(value, dict) else str(value or "")
