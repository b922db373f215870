"""Other people's verifiers, and swe-rm's own on other people's engines: a verifier file or a URL becomes a verifier."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from swe_rm import weights
from swe_rm.errors import VerifierError
from swe_rm.verdict import Verifier
from swe_rm.verifiers.foreign import in_process
from swe_rm.verifiers.foreign.file import AnswerAt, VerifierFile, Where, read_file
from swe_rm.verifiers.foreign.pairwise import Pairwise
from swe_rm.verifiers.foreign.reading import Foreign, Layout
from swe_rm.verifiers.foreign.tokens import Tokens
from swe_rm.verifiers.remote import Remote, discovery, llama_cpp, openai_style, sglang, vllm
from swe_rm.verifiers.remote.asking import Asker, Http, Patience
from swe_rm.verifiers.remote.checkpoint import Checkpoint
from swe_rm.verifiers.remote.discovery import Connect, There, asker
from swe_rm.verifiers.remote.judge import Decisions, Judge, Scale, Words
from swe_rm.verifiers.remote.naming import as_a_name
from swe_rm.verifiers.remote.question import Engine
from swe_rm.verifiers.remote.served import Attempts, Served

LOOKING = Patience(tries=3, seconds=15, deadline=20, pause=0.2)
"""For finding out what is there, before anything is scored."""


def load_url(url: str, options: Mapping[str, Any] | None = None, connect: Connect = Http) -> Verifier:
    """The verifier at a bare URL: a swe-rm server's, or a checkpoint of swe-rm whose folder this machine has too.

    Raises EngineError where nobody answers, and VerifierError where what is there does not say what it reads, or for
    `options`, which are about weights in this process.
    """
    _check_no_options(url, options)
    there = discovery.look(asker(url, discovery.TOKEN, LOOKING, connect))
    ask = asker(url, discovery.TOKEN, None, connect)
    if there.kind == "swe-rm":
        return _served(ask, there, at_once=8)
    if there.folder is None or not (there.folder / "swe_rm.json").is_file():
        raise VerifierError(
            f"{url}: a server of kind {there.kind} with the model {there.model}; what it is to read, and where its "
            "answer stands, is said in a verifier file"
        )
    return _own(ask, there, Where(kind=there.kind, url=url), there.folder)


def load_file(path: Path, options: Mapping[str, Any] | None = None, connect: Connect = Http) -> Verifier:
    """The verifier that a file names; `options` are dtype, device and device_map of weights in this process.

    Raises SweRmError for a file that cannot be used, and what loading its weights or asking its server raises.
    """
    file = read_file(path)
    if file.engine.kind == "transformers":
        return _here(path, file, dict(options or {}))
    _check_no_options(path, options)
    ask = asker(file.engine.url, file.engine.key, file.engine.patience, connect, file.engine.extra)
    if file.engine.kind in ("judge", "decisions", "openai"):
        there = There("openai", file.engine.model)
        if not there.model:
            there = discovery.look(asker(file.engine.url, file.engine.key, LOOKING, connect))
    else:
        there = discovery.look(asker(file.engine.url, file.engine.key, LOOKING, connect))
        _check_kind(path, file, there)
        there = there._replace(model=file.engine.model or there.model)
    if file.engine.kind == "swe-rm":
        return _served(ask, there, at_once=file.engine.at_once)
    if file.checkpoint:
        return _own(ask, there, file.engine, path.parent / file.checkpoint)
    return _theirs(path, file, ask, there)


def _check_no_options(spec: object, options: Mapping[str, Any] | None) -> None:
    if options:
        raise VerifierError(f"{spec}: {min(options)} is for weights in this process; that verifier's are on a server")


def _check_kind(path: Path, file: VerifierFile, there: There) -> None:
    """A proxy before an engine may call it otherwise: only a server that is surely another one is refused."""
    if there.kind != file.engine.kind and (there.kind != "openai" or file.engine.kind == "swe-rm"):
        raise VerifierError(f"{path}: the server at {file.engine.url} is of kind {there.kind}, not {file.engine.kind}")


def _served(ask: Asker, there: There, at_once: int) -> Verifier:
    return Remote(Attempts(as_a_name(there.model)), Served(ask, there.model), at_once=at_once, close=ask.close)


def _own(ask: Asker, there: There, where: Where, folder: Path) -> Verifier:
    """A checkpoint of swe-rm on an engine."""
    reader = Checkpoint(folder, None if there.limit is None else there.limit - 1)
    if where.kind == "vllm" and where.road == "classify":
        engine: Engine = vllm.Classify(ask, there.model, version=there.version)
    elif where.kind not in _BY_IDS:
        raise VerifierError(f"{where.url}: kind {where.kind} takes no token ids, which swe-rm's own checkpoints need")
    else:
        engine = _BY_IDS[where.kind](ask, there, where, (reader.yes,), (reader.no,))
    return Remote(reader, engine, at_once=where.at_once, close=ask.close)


Ids = tuple[int, ...]


def _on_vllm(ask: Asker, there: There, where: Where, yes: Ids, no: Ids) -> Engine:
    if where.road == "generative_scoring":
        if there.limit is None:
            raise VerifierError(f"{where.url}: does not say how much it reads, and this route cuts what is longer")
        return vllm.GenerativeScoring(ask, there.model, yes, no, there.limit - 1, there.version)
    return vllm.Completions(ask, there.model, yes, no, there.version)


def _on_sglang(ask: Asker, there: There, where: Where, yes: Ids, no: Ids) -> Engine:
    return sglang.Score(ask, there.model, yes, no, there.version)


def _on_llama_cpp(ask: Asker, there: There, where: Where, yes: Ids, no: Ids) -> Engine:
    return llama_cpp.Completion(ask, yes, no, there.version)


_BY_IDS: dict[str, Callable[[Asker, There, Where, Ids, Ids], Engine]] = {
    "vllm": _on_vllm,
    "sglang": _on_sglang,
    "llama.cpp": _on_llama_cpp,
}


def _theirs(path: Path, file: VerifierFile, ask: Asker, there: There) -> Verifier:
    """Somebody else's verifier on a server."""
    answer, tokens = _answer(file), _tokens(path, file)
    layout = Layout(path, file, tokens, [*_set(file), there.model])
    written = file.engine.max_tokens if file.engine.kind == "judge" or answer.after else 1
    limit = None if there.limit is None else there.limit - written
    if file.pairs:
        return Pairwise(file, layout, tokens, ask, there.model, limit)
    reader = Foreign(file, layout, tokens, limit)
    engine = _engine(path, file, answer, ask, there, reader, tokens)
    return Remote(reader, engine, at_once=file.engine.at_once, close=ask.close)


def _engine(
    path: Path, file: VerifierFile, answer: AnswerAt, ask: Asker, there: There, reader: Foreign, tokens: Tokens | None
) -> Engine:
    where = file.engine
    if where.kind == "judge":
        reading = Scale(answer.scale, answer.after) if answer.scale else Words(answer.yes, answer.no)
        return Judge(
            ask, there.model, reading, repeats=where.repeats, temperature=where.temperature,
            max_tokens=where.max_tokens, missing=answer.missing,
        )  # fmt: skip
    if where.kind == "decisions":
        return Decisions(ask, there.model, answer.predicate)
    if where.kind == "openai":
        return openai_style.TopLogprobs(
            ask, there.model, answer.yes, answer.no, route="chat" if where.road == "chat" else "completions",
            missing=answer.missing, shown=where.shown, after=answer.after,
            max_tokens=where.max_tokens if answer.after else 1,
        )  # fmt: skip
    if answer.label is not None:
        return vllm.Classify(ask, there.model, answer.label.index, answer.label.count, there.version)
    return _BY_IDS[where.kind](ask, there, where, *_ids(path, file, answer, reader, tokens))


def _here(path: Path, file: VerifierFile, options: dict[str, Any]) -> Verifier:
    """Somebody else's weights in this process."""
    answer, tokens = _answer(file), _tokens(path, file)
    odd = sorted(options.keys() - {"dtype", "device", "device_map"})
    if odd:
        raise VerifierError(f"{path}: {odd[0]} is for checkpoints of swe-rm's own")
    folder = path.parent / str(file.weights)
    head: in_process.Head = "AutoModelForCausalLM" if answer.label is None else "AutoModelForSequenceClassification"
    network = in_process.load_weights(folder, head, options)
    config = (folder / "config.json").read_text(encoding="utf-8")
    layout = Layout(path, file, tokens, [*_set(file), config, weights.digest(folder).hex()])
    reader = Foreign(file, layout, tokens, suffix=in_process.numbers_of(network))
    if answer.label is not None:
        return Remote(reader, in_process.Classifier(network, answer.label), at_once=1)
    return Remote(reader, in_process.Causal(network, *_ids(path, file, answer, reader, tokens)), at_once=1)


def _set(file: VerifierFile) -> list[str]:
    """What is set of the engine, without where it is and how long it is waited for."""
    return [file.engine.model_dump_json(exclude={"url", "model", "key", "at_once", "patience"})]


def _ids(path: Path, file: VerifierFile, answer: AnswerAt, reader: Foreign, tokens: Tokens | None) -> tuple[Ids, Ids]:
    """The token of each spelling of the two answers. Raises VerifierError where it is not one, or one of both."""
    assert tokens is not None, "VerifierFile refuses a kind that is asked with ids without a tokenizer"
    if answer.after:
        raise VerifierError(f"{path}: {file.engine.kind} reads the next token: give prefill in place of after")
    end = reader.prompt_end()
    try:
        yes, no = tokens.answer_ids(end, answer.yes), tokens.answer_ids(end, answer.no)
    except VerifierError as error:
        raise VerifierError(f"{path}: {error}") from None
    if set(yes) & set(no):
        raise VerifierError(f"{path}: yes and no are one token to this tokenizer")
    return yes, no


def _tokens(path: Path, file: VerifierFile) -> Tokens | None:
    folder = file.tokenizer or file.weights
    template = path.parent / file.chat_template if file.chat_template else None
    return Tokens(path.parent / folder, template) if folder else None


def _answer(file: VerifierFile) -> AnswerAt:
    assert file.answer is not None, "VerifierFile refuses a file without one"
    return file.answer
