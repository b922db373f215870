"""Anything that yields verdicts, one file per verifier, and `load_verifier`, which finds one by what the user wrote."""

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

from pydantic import Field, model_validator

from swe_rm.calibrate import Calibrator
from swe_rm.errors import CheckpointError, VerifierError
from swe_rm.trajectory import Labelled, Noun
from swe_rm.verdict import Verifier

SHIPPED = Path(__file__).parents[1] / "shipped"
"""Weights that come with the package; `verifiers.json` there says what the shipped names stand for."""

CONTROLS = ("constant", "shortest", "policy_prior", "task_prior", "oracle")
POOLED = CONTROLS[2:]
"""The controls that see outcomes."""
URLS = ("http", "https")
FILES = (".yaml", ".yml")
"""What a verifier file ends in."""


class Given(NamedTuple):
    """What verifiers are built from beside their names."""

    pool: Sequence[Labelled] | None
    """For controls."""
    options: Mapping[str, Any]
    """For models: keywords of `Local`."""


class Member(Noun):
    """One part of a shipped verifier."""

    folder: str
    """Beside the file."""
    calibrator: Calibrator | None = None
    """Applied before the mean is taken, so that no member outweighs the others by being bolder."""
    weight: float = Field(default=1.0, gt=0)
    """In the mean."""


class Shipped(Noun):
    """What one shipped name stands for: the weighted mean of its members, calibrated where there is a map."""

    name: str | None = None
    """name@version in every output; made of the members' names where it is not given."""
    members: tuple[Member, ...] = Field(min_length=1)
    calibrator: Calibrator | None = None
    patches: "Shipped | None" = None
    """What judges attempts without a log, under the same name."""

    @property
    def folders(self) -> list[str]:
        """Of all members, those for patches too."""
        return [*(member.folder for member in self.members), *(self.patches.folders if self.patches else ())]

    @model_validator(mode="after")
    def _named_by_its_map(self) -> "Shipped":
        if self.name and self.calibrator is None:
            raise ValueError("a name needs a calibrator: without one it is the members' mean under their names")
        if self.patches and not self.name:
            raise ValueError("a name that two verifiers answer under must be given")
        return self


def load_verifier(
    spec: str, *, pool: Sequence[Labelled] | None = None, options: Mapping[str, Any] | None = None
) -> Verifier:
    """The verifier that `spec` names: see `known_verifiers` for what there is.

    `pool` holds the labelled attempts that controls are built from; `options` are keywords of `Local` for the models in
    it (dtype, device, device_map, experts, attention, policy, row_tokens, share). Raises VerifierError for what is
    unknown or lacks its pool, MissingExtraError where packages are missing, and whatever the verifier's own file is
    refused with.
    """
    kind, _, argument = spec.partition(":")
    given = Given(pool, options or {})
    if spec in _NAMED:
        return _NAMED[spec](given)
    if kind in URLS and argument.startswith("//"):
        from swe_rm.verifiers.foreign import load_url

        return load_url(spec, given.options)
    if argument and kind in _BUILT:
        return _BUILT[kind](argument, given)
    if spec.endswith(FILES):
        from swe_rm.verifiers.foreign import load_file

        return load_file(Path(spec), given.options)
    if spec and Path(spec).is_dir():
        return _folder(Path(spec), given)
    if argument and all(part.isidentifier() for part in [*kind.split("."), *argument.split(".")]):
        return load_attribute(spec, kind, argument)
    if "/" in spec and "://" not in spec:
        raise CheckpointError(f"{spec}: no such checkpoint folder")
    raise VerifierError(f"unknown verifier {spec!r}: there is {', '.join(known_verifiers())}")


def needs_pool(spec: str) -> bool:
    """Whether the verifier, or one it is made of, must see the whole pile before it judges the first attempt.

    Controls are built from it, and recorded rows are checked against it.
    """
    from swe_rm.verifiers import calibrated

    kind, _, argument = spec.partition(":")
    if kind == "mean":
        return any(map(needs_pool, argument.split(",")))
    if kind == "recorded":
        return bool(argument)
    if spec in _NAMED:
        return spec in POOLED
    folder = Path(argument) if kind == "calibrated" else Path(spec)
    return (folder / calibrated.FILE).is_file() and needs_pool(calibrated.read(folder).verifier)


def model_folders(spec: str) -> list[Path]:
    """The checkpoints of the models that a verifier is made of, found without loading them; none where it has none."""
    from swe_rm.model import CARD_FILE
    from swe_rm.verifiers import calibrated

    kind, _, argument = spec.partition(":")
    if kind == "mean":
        return [folder for member in argument.split(",") for folder in model_folders(member)]
    folder = Path(argument) if kind == "calibrated" else Path(spec)
    if (folder / calibrated.FILE).is_file():
        return model_folders(calibrated.read(folder).verifier)
    shipped = getattr(_shipped_file(), spec).folders if spec in _SHIPPED else []
    folders = [SHIPPED / folder for folder in shipped] or [Path(spec)]
    return [folder for folder in folders if (folder / CARD_FILE).is_file()]


def files(spec: str) -> list[Path]:
    """What a verifier is read from, found without loading it; none for what comes with the package or is asked.

    Raises RecordError for a damaged calibrator, SweRmError for a verifier file that cannot be used.
    """
    from swe_rm.verifiers import calibrated

    kind, _, argument = spec.partition(":")
    if kind == "mean":
        return [file for member in argument.split(",") for file in files(member)]
    if kind == "recorded":
        return [Path(argument)]
    if spec in _NAMED:
        return []
    if spec.endswith(FILES):
        from swe_rm.verifiers.foreign.file import read_file

        found = read_file(Path(spec))
        named = [Path(spec).parent / folder for folder in found.folders]
        beside = [path for path in Path(spec).absolute().parent.iterdir() if path.suffix in found.template_endings]
        return [Path(spec), *sorted(filter(Path.is_file, beside)), *(file for one in named for file in _below(one))]
    folder = Path(argument) if kind == "calibrated" else Path(spec)
    of_another = files(calibrated.read(folder).verifier) if (folder / calibrated.FILE).is_file() else []
    return [*_below(folder), *of_another]


def _below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def calibrated_on(spec: str) -> frozenset[str]:
    """Tasks that a calibrator in the verifier was fitted on; what comes with the package is not looked into."""
    from swe_rm.verifiers.calibrated import FILE, read

    kind, _, argument = spec.partition(":")
    if spec in _NAMED:
        return frozenset()
    if kind == "mean":
        return frozenset().union(*map(calibrated_on, argument.split(",")))
    folder = Path(argument if kind == "calibrated" else spec)
    if not (folder / FILE).is_file():
        return frozenset()
    calibration = read(folder)
    return frozenset(calibration.tasks) | calibrated_on(calibration.verifier)


def absolute_spec(spec: str) -> str:
    """The same verifier, named so that it is found from any working directory."""
    kind, _, argument = spec.partition(":")
    if spec in _NAMED:
        return spec
    if kind == "mean":
        return f"mean:{','.join(absolute_spec(member) for member in argument.split(','))}"
    if argument and kind in _BUILT:
        return f"{kind}:{Path(argument).absolute()}"
    return str(Path(spec).absolute()) if Path(spec).is_dir() or spec.endswith(FILES) else spec


def known_verifiers() -> list[str]:
    """Every form a verifier can be named in."""
    forms = [*(f"{kind}:..." for kind in _BUILT), "module:attribute"]
    return [*_NAMED, "a checkpoint folder", "a verifier file (.yaml)", "http(s)://...", *forms]


class ShippedFile(Noun):
    """`verifiers.json`: the names that come with the package."""

    default: Shipped
    model: Shipped
    features: Shipped


def _shipped(name: str) -> Callable[[Given], Verifier]:
    return lambda given: _built(getattr(_shipped_file(), name), given)


def _built(shipped: Shipped, given: Given) -> Verifier:
    from swe_rm.verifiers.by_log import ByLog
    from swe_rm.verifiers.calibrated import Calibrated
    from swe_rm.verifiers.combined import Mean

    members = [_member(member, given) for member in shipped.members]
    weights = [member.weight for member in shipped.members]
    verifier: Verifier = Mean(members, weights) if len(members) > 1 else members[0]
    if shipped.calibrator is not None:
        verifier = Calibrated(verifier, shipped.calibrator, shipped.name)
    return verifier if shipped.patches is None else ByLog(verifier, _built(shipped.patches, given))


def _member(member: Member, given: Given) -> Verifier:
    from swe_rm.verifiers.calibrated import Calibrated

    verifier = _folder(SHIPPED / member.folder, given)
    return verifier if member.calibrator is None else Calibrated(verifier, member.calibrator)


def _shipped_file() -> ShippedFile:
    from swe_rm.verifiers.arrays import read_card

    return read_card(SHIPPED / "verifiers.json", ShippedFile)


def _control(name: str) -> Callable[[Given], Verifier]:
    def build(given: Given) -> Verifier:
        from swe_rm.verifiers.controls import controls

        if given.pool is None and name in POOLED:
            raise VerifierError(f"the control {name} is built from labelled attempts, and none are given here")
        return controls(given.pool or ())[name]

    return build


def _folder(folder: Path, given: Given) -> Verifier:
    """A folder by what it holds: a calibrator, a cheap baseline's arrays, or else a model checkpoint."""
    from swe_rm.verifiers import calibrated, features, words
    from swe_rm.verifiers.local import Local

    if (folder / calibrated.FILE).is_file():
        return _calibrated(str(folder), given)
    if (folder / features.FILE).is_file():
        return features.Features.load(folder)
    if (folder / words.FILE).is_file():
        return words.Words.load(folder)
    return Local(folder, **given.options)


def _recorded(argument: str, given: Given) -> Verifier:
    from swe_rm.verifiers.recorded import Recorded

    verifier = Recorded(argument)
    if given.pool is not None:
        verifier.check([item.trajectory for item in given.pool])
    return verifier


def _mean(argument: str, given: Given) -> Verifier:
    from swe_rm.verifiers.combined import Mean

    return Mean([load_verifier(member, **given._asdict()) for member in argument.split(",")])


def _calibrated(argument: str, given: Given) -> Verifier:
    from swe_rm.verifiers.calibrated import load

    return load(Path(argument), lambda spec: load_verifier(spec, **given._asdict()))


def load_attribute(spec: str, module: str, attribute: str) -> Verifier:
    """An object of the user's own: a verifier, or a class that gives one without arguments. Raises VerifierError."""
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        found: Any = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, SyntaxError) as error:
        raise VerifierError(f"{spec}: {error}") from None
    try:
        verifier = found() if isinstance(found, type) else found
    except TypeError as error:
        raise VerifierError(f"{spec}: {error}") from None
    if not (callable(verifier) and isinstance(getattr(verifier, "name", None), str)):
        raise VerifierError(f"{spec}: not a verifier: it has no name, or cannot be called")
    return cast(Verifier, verifier)


_SHIPPED = tuple(ShippedFile.model_fields)
_NAMED: dict[str, Callable[[Given], Verifier]] = {
    **{name: _shipped(name) for name in _SHIPPED},
    **{name: _control(name) for name in CONTROLS},
}
_BUILT: dict[str, Callable[[str, Given], Verifier]] = {
    "recorded": _recorded,
    "mean": _mean,
    "calibrated": _calibrated,
}
