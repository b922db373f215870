"""Finds out by asking what answers at a URL, and how much it reads."""

import os
from collections.abc import Callable, Container, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import orjson

from swe_rm.errors import VerifierError
from swe_rm.verifiers.remote.asking import (
    Asker,
    Carry,
    EngineAnswerError,
    EngineRefusedError,
    Http,
    Patience,
    Reply,
)
from swe_rm.verifiers.remote.naming import in_a_name
from swe_rm.verifiers.remote.question import count_of

TOKEN = "SWE_RM_TOKEN"  # noqa: S105  # the variable's name
"""Environment variable of the token for a bare URL; a verifier file names its own."""

Kind = Literal["swe-rm", "vllm", "sglang", "llama.cpp", "openai"]
_OWNERS: dict[str, Kind] = {"vllm": "vllm", "sglang": "sglang", "llamacpp": "llama.cpp"}
"""What the servers write under `owned_by` of their models."""

_NO_SUCH_PATH = (404, 405, 501)

Connect = Callable[[str, str], Carry]
"""URL and token -> the carrier."""


class There(NamedTuple):
    """What answers at a URL."""

    kind: Kind
    model: str = ""
    """As the server calls it; of a swe-rm server, its verifier's name@version."""
    version: str = ""
    limit: int | None = None
    """Tokens it reads at most, prompt and answer together."""
    folder: Path | None = None
    """Where its weights come from, if that is a folder on this machine."""


def asker(
    url: str,
    key: str,
    patience: Patience | None = None,
    connect: Connect = Http,
    extra: Mapping[str, Any] | None = None,
) -> Asker:
    """What asks the server at a URL; a `/v1` at its end is left out, every path has its own.

    `key` is the environment variable that holds the token. Raises VerifierError where a file names one that is not set.
    """
    token = os.environ.get(key, "")
    if key and not token and key != TOKEN:
        raise VerifierError(f"{url}: its token is to stand in the environment variable {key}, which is not set")
    where = url.rstrip("/").removesuffix("/v1")
    return Asker(connect(where, token), where, patience, extra=extra)


def look(ask: Asker) -> There:
    """What is there. Raises EngineError where nobody answers, or with nothing that is known."""
    ours = _served(ask.reply("/readyz", lambda reply: bool(_served(reply))))
    if ours:
        return There("swe-rm", ours)
    models = _maybe(ask, "/v1/models", _NO_SUCH_PATH)
    try:
        first = models["data"][0]
        kind = _OWNERS.get(str(first.get("owned_by", "")).lower().replace(".", ""), "openai")
        found = There(kind, str(first["id"]), limit=_whole(first.get("max_model_len")))
    except (KeyError, IndexError, TypeError, AttributeError):
        raise VerifierError(f"{ask.where}: answers, but is no server that is known: no /v1/models") from None
    return _DETAILS[kind](ask, found, first) if kind in _DETAILS else found


def _vllm(ask: Asker, found: There, first: dict[str, Any]) -> There:
    told = _maybe(ask, "/version")
    version = told.get("version") if isinstance(told, dict) else None
    return found._replace(version=_version(version), folder=_folder(first.get("root")))


def _sglang(ask: Asker, found: There, first: dict[str, Any]) -> There:
    told = _maybe(ask, "/get_server_info") or _maybe(ask, "/server_info")  # its name of before, and of late
    told = told if isinstance(told, dict) else {}
    limit = found.limit or _whole(told.get("context_length"))
    folder = _folder(told.get("model_path") or first.get("root"))
    return found._replace(version=_version(told.get("version")), limit=limit, folder=folder)


def _llama_cpp(ask: Asker, found: There, first: dict[str, Any]) -> There:
    told = _maybe(ask, "/props")
    told = told if isinstance(told, dict) else {}
    settings = told.get("default_generation_settings")
    limit = _whole(settings.get("n_ctx")) if isinstance(settings, dict) else None
    path = told.get("model_path")
    return found._replace(
        version=_version(told.get("build_info")),
        limit=limit,
        folder=_folder(Path(path).parent if isinstance(path, str) else None),
    )


_DETAILS: dict[Kind, Callable[[Asker, There, dict[str, Any]], There]] = {
    "vllm": _vllm,
    "sglang": _sglang,
    "llama.cpp": _llama_cpp,
}


def _served(reply: Reply) -> str:
    """The verifier that a swe-rm server names, also while its line is full (503); "" of any other server.

    A proxy may answer whatever it likes to a path that it does not know: a refusal, a page.
    """
    try:
        document = orjson.loads(reply.data)
    except orjson.JSONDecodeError:
        return ""
    verifier = document.get("verifier") if isinstance(document, dict) else None
    return verifier if isinstance(verifier, str) and reply.status in (200, 503) else ""


def _maybe(ask: Asker, path: str, none: Container[int] = range(300, 500)) -> Any:
    """The document at a path; None where the answer is no JSON or its status is among `none`."""
    try:
        return ask.get(path)
    except EngineAnswerError:
        return None
    except EngineRefusedError as error:
        if error.status in none:
            return None
        raise


def _whole(value: Any) -> int | None:
    return count_of(value) or None


def _version(value: Any) -> str:
    return in_a_name(value) if isinstance(value, str) else ""


def _folder(path: Any) -> Path | None:
    try:
        return Path(path) if isinstance(path, str | Path) and Path(path).is_dir() else None
    except OSError:  # a name that is too long for this machine
        return None
