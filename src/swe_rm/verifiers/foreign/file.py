"""A verifier file: in YAML, whose verifier it is, where it runs, what it reads and where its answer stands."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from swe_rm import config_file
from swe_rm.trajectory import Noun, Role
from swe_rm.verifiers.foreign.cutting import Rule
from swe_rm.verifiers.remote.asking import Patience
from swe_rm.verifiers.remote.question import Missing

Kind = Literal["transformers", "vllm", "sglang", "llama.cpp", "openai", "judge", "decisions", "swe-rm"]
Route = Literal["completions", "chat", "generative_scoring", "classify"]

_ROUTES: dict[Kind, tuple[Route, ...]] = {
    "vllm": ("completions", "generative_scoring", "classify"),
    "openai": ("completions", "chat"),
}
"""Routes of the kinds that have several; the first is taken where none is named."""


_IN_A_NAME = r"^[A-Za-z0-9_.-]+$"
"""A verifier's name stands in headers of HTTP, which are ASCII."""


class Where(Noun):
    """The engine."""

    kind: Kind
    url: str = ""
    model: str = ""
    """As the server calls it; asked of the server where it is not given."""
    route: Route | None = None
    key: str = ""
    """Name of the environment variable that holds the token for the server."""
    at_once: int = Field(default=8, ge=1, le=256)
    """Requests under way at once."""
    shown: int = Field(default=20, ge=2)
    """Likeliest tokens asked for, of kind openai."""
    repeats: int = Field(default=4, ge=1)
    """Of kind judge: how often the same is asked."""
    temperature: float = Field(default=1.0, ge=0)
    max_tokens: int = Field(default=2_048, ge=1)
    """That a judge, or a reply whose answer is looked for, may write."""
    extra: dict[str, Any] = Field(default_factory=dict)
    """Put into every request, for servers that ask for other keys; null takes one out."""
    patience: Patience = Patience()

    @model_validator(mode="after")
    def _fits(self) -> "Where":
        if (self.kind == "transformers") == bool(self.url):
            raise ValueError(
                "transformers runs in this process and has no url" if self.url else f"{self.kind} needs a url"
            )
        if self.route is not None and self.route not in _ROUTES.get(self.kind, ()):
            raise ValueError(f"{self.kind} has no route {self.route}")
        return self

    @property
    def road(self) -> Route | None:
        """The route, where the kind has several."""
        return self.route or _ROUTES.get(self.kind, (None,))[0]


class Part(Noun):
    """One message that the verifier reads."""

    role: Role
    file: str
    """Its template, beside the verifier file."""


class Label(Noun):
    """The answer of a classifier."""

    index: int = Field(default=0, ge=0)
    """Of the label that means resolved."""
    count: int = Field(default=1, ge=1)
    """How many labels there are; a model of another number is refused."""
    activation: Literal["sigmoid", "softmax"] = "sigmoid"
    """Of weights in this process; a server applies its own."""

    @model_validator(mode="after")
    def _inside(self) -> "Label":
        if self.index >= self.count:
            raise ValueError(f"label {self.index} of {self.count}, counted from 0")
        if self.activation == "softmax" and self.count == 1:
            raise ValueError("softmax over one label is always 1")
        return self


class AnswerAt(Noun):
    """Where the answer stands and what it can be: words, a scale of words, or a label."""

    yes: tuple[str, ...] = ()
    no: tuple[str, ...] = ()
    """Spellings as the weights were trained on; several add up."""
    scale: dict[str, float] = Field(default_factory=dict)
    """Words with their values in [0, 1]: the score is the expectation over them."""
    label: Label | None = None
    prefill: str = ""
    """The beginning of the reply, put there by us: the answer is the next token."""
    after: str = ""
    """In a reply that the model writes: the answer is the token after this."""
    predicate: str = ""
    """Of kind decisions: what may be true of the attempt."""
    missing: Missing = "error"
    """What an answer that the server does not show is: an error, or a score with bounds."""

    @model_validator(mode="before")
    @classmethod
    def _words_that_yaml_eats(cls, given: Any) -> Any:
        """YAML takes a bare yes or NO for a truth value: as a key it is understood, as a spelling it is lost."""
        if not isinstance(given, Mapping):
            return given
        named = {
            {True: "yes", False: "no"}.get(key, key) if isinstance(key, bool) else key: given[key] for key in given
        }
        for side in ("yes", "no"):
            value = named.get(side)
            if any(isinstance(one, bool) for one in (value if isinstance(value, list) else [value])):
                raise ValueError(f'{side}: YAML reads YES and NO as true and false: put spellings in quotes, ["YES"]')
        return named

    @model_validator(mode="after")
    def _one_of_them(self) -> "AnswerAt":
        forms = [bool(self.yes or self.no), bool(self.scale), self.label is not None, bool(self.predicate)]
        if sum(forms) != 1:
            raise ValueError("an answer is one of: yes and no, scale, label, predicate")
        spellings = (*self.yes, *self.no)
        if bool(self.yes) != bool(self.no) or len(set(spellings)) < len(spellings):
            raise ValueError("yes and no are given together and have no spelling in common, nor one twice")
        if any(not 0 <= value <= 1 for value in self.scale.values()):
            raise ValueError("values of a scale lie between 0 and 1")
        if self.prefill and self.after:
            raise ValueError("prefill and after exclude each other: the reply is begun by us, or looked through")
        return self


class Length(Noun):
    """How long a prompt may be, and what becomes of a longer one."""

    max_tokens: int = Field(default=32_768, ge=64)
    rule: Rule = "middle"


class VerifierFile(Noun):
    """The whole file. Paths in it are relative to it."""

    name: str = Field(pattern=_IN_A_NAME)
    version: str = Field(pattern=_IN_A_NAME)
    engine: Where
    checkpoint: str | None = None
    """A folder of swe-rm's own: what it reads and how it answers is in its card; its weights are not needed here."""
    weights: str | None = None
    """A folder of safetensors, for kind transformers."""
    tokenizer: str | None = None
    """A folder with tokenizer.json; that of `weights` where none is given."""
    chat_template: str | None = None
    """A file that replaces the tokenizer's own."""
    messages: tuple[Part, ...] | Literal["attempt"] | None = None
    """What is read: messages made of templates, or the attempt's own log."""
    reply: bool = True
    """Whether the prompt ends where the assistant's reply begins."""
    merge: bool = False
    """Whether the environment speaks as the user, and what the user says in a row is one message."""
    set: dict[str, str | int | bool] = Field(default_factory=dict)
    """What the templates are told beside the attempt: the choices they leave open."""
    pairs: Literal["ring"] | None = None
    """Of kind judge: attempts at one task are judged two by two; `after` then holds {} where the letter stands."""
    answer: AnswerAt | None = None
    length: Length = Length()
    bring: dict[str, str] = Field(default_factory=dict)
    """Files that are somebody else's and that the user puts beside this one, each with where to get it."""

    @property
    def folders(self) -> tuple[str, ...]:
        """Those it names."""
        return tuple(filter(None, (self.checkpoint, self.weights, self.tokenizer)))

    @property
    def template_endings(self) -> frozenset[str]:
        """Of the templates it names, and of those that they may include from beside it."""
        parts = self.messages if isinstance(self.messages, tuple) else ()
        named = [*(part.file for part in parts), *([self.chat_template] if self.chat_template else [])]
        return frozenset({".jinja", *(Path(name).suffix for name in named)})

    @model_validator(mode="after")
    def _fits(self) -> "VerifierFile":
        kind, answer = self.engine.kind, self.answer
        if kind == "swe-rm" or self.checkpoint:
            if self.messages or answer:
                raise ValueError("swe-rm's own checkpoints and servers know what they read and answer")
            return self
        if self.messages is None or answer is None:
            raise ValueError("messages and answer are needed, or a checkpoint of swe-rm's own")
        if kind == "transformers" and not self.weights:
            raise ValueError("transformers needs weights")
        needs_ids = kind in ("transformers", "vllm", "sglang", "llama.cpp")
        if needs_ids and not (self.tokenizer or self.weights):
            raise ValueError(f"{kind} is asked with token ids: tokenizer names a folder")
        chat = kind == "judge" or self.engine.road == "chat"
        if answer.prefill and chat:
            raise ValueError("a chat server begins its replies itself: give after in place of prefill")
        if (answer.label is not None) != (self.engine.road == "classify") and kind != "transformers":
            raise ValueError(
                "a label is read by route classify of vllm, or by transformers, and they read nothing else"
            )
        if answer.scale and kind != "judge":
            raise ValueError("a scale is read by kind judge")
        if bool(answer.predicate) != (kind == "decisions"):
            raise ValueError("a predicate is for kind decisions, which answers nothing else")
        if self.pairs and (kind != "judge" or not answer.scale):
            raise ValueError("pairs are judged by kind judge, on a scale")
        return self


def read_file(path: Path) -> VerifierFile:
    """The verifier file at a path. Raises SweRmError naming the file and key for what cannot be used."""
    return config_file.load(VerifierFile, path, (), "a verifier file")
