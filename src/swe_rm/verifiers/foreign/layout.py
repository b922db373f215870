"""Template files: how an attempt is laid out for somebody else's verifier, in Jinja, in a sandbox."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from swe_rm.errors import MissingExtraError, VerifierError

Template = Callable[..., str]
"""Keywords of what it may use -> text."""


def read_template(path: Path, of: str, bring: Mapping[str, str]) -> Template:
    """The template in a file; files beside it can be included.

    `of` names the verifier file in errors, `bring` says where a user gets a file that is somebody else's. Raises
    VerifierError for a file that is not there or is no template; the template itself raises it where it cannot be
    filled.
    """
    import jinja2

    environment = sandbox(jinja2.FileSystemLoader(path.parent))
    try:
        return _guarded(environment.get_template(path.name), str(path))
    except jinja2.TemplateNotFound as error:
        raise VerifierError(_missing(path.parent / (error.name or path.name), of, bring)) from None
    except (jinja2.TemplateSyntaxError, UnicodeDecodeError) as error:
        raise VerifierError(f"{path}: {' '.join(str(error).split())}") from None


def sources(path: Path) -> list[str]:
    """The text of a template and of all that it includes, each once, in the order of their names.

    Raises VerifierError where a name is worked out when the template is filled: nobody knows then what is read.
    """
    import jinja2
    import jinja2.meta

    environment = sandbox(jinja2.FileSystemLoader(path.parent))
    found: dict[str, str] = {}
    left = [path.name]
    while left:
        name = left.pop()
        try:
            found[name] = environment.loader.get_source(environment, name)[0]
            named = set(jinja2.meta.find_referenced_templates(environment.parse(found[name])))
        except jinja2.TemplateNotFound:
            continue  # a branch that may never be filled; whoever fills it is told
        except jinja2.TemplateSyntaxError as error:
            raise VerifierError(f"{path.parent / name}: {' '.join(str(error).split())}") from None
        if None in named:
            raise VerifierError(f"{path.parent / name}: includes a file by a name that is no text in quotes")
        left += [one for one in named if one is not None and one not in found]
    return [found[name] for name in sorted(found)]


def chat_template(source: str, where: str) -> Template:
    """A tokenizer's chat template. Raises VerifierError for what is none."""
    import jinja2

    try:
        return _guarded(sandbox(None).from_string(source), where)
    except jinja2.TemplateSyntaxError as error:
        raise VerifierError(f"{where}: {' '.join(str(error).split())}") from None


def check_brought(folder: Path, of: str, bring: Mapping[str, str]) -> None:
    """Raise VerifierError where a file that the user is to bring is not beside the verifier file."""
    for name in bring:
        if not (folder / name).is_file():
            raise VerifierError(_missing(folder / name, of, bring))


def sandbox(loader: Any) -> Any:
    """The environment that transformers fills chat templates in. Raises MissingExtraError without Jinja."""
    try:
        import jinja2
        import jinja2.ext
        import jinja2.sandbox
    except ImportError:
        raise MissingExtraError("jinja2", "remote") from None

    def refuse(message: str) -> str:
        raise jinja2.TemplateError(message)

    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        loader=loader,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined if loader else jinja2.Undefined,
        extensions=[jinja2.ext.loopcontrols],
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = refuse
    return environment


def _to_json(value: Any, indent: int | None = None, **_: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _guarded(template: Any, where: str) -> Template:
    import jinja2

    def fill(**given: Any) -> str:
        try:
            return str(template.render(**given))
        except jinja2.TemplateNotFound as error:
            raise VerifierError(f"{where}: the file {error} that it includes is not there") from None
        except jinja2.TemplateError as error:
            raise VerifierError(f"{where}: {' '.join(str(error).split())}") from None

    return fill


def _missing(path: Path, of: str, bring: Mapping[str, str]) -> str:
    told = f" ({bring[path.name]})" if path.name in bring else ""
    return f"{of}: {path} is not there{told}"
