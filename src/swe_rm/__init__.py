"""swe-rm: YES/NO verifiers of coding agents' attempts. The public names; importing this loads nothing heavy."""

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from swe_rm import reward as reward
    from swe_rm.compare import compare as compare
    from swe_rm.evaluate import evaluate as evaluate
    from swe_rm.scoring import score as score
    from swe_rm.sources import open_pile as open_pile
    from swe_rm.trajectory import Labelled as Labelled
    from swe_rm.trajectory import Outcome as Outcome
    from swe_rm.trajectory import Trajectory as Trajectory
    from swe_rm.verdict import Verdict as Verdict
    from swe_rm.verdict import rank as rank
    from swe_rm.verifiers import load_verifier as load_verifier

__version__ = "0.1.0"

_PUBLIC = {
    "Labelled": "swe_rm.trajectory",
    "Outcome": "swe_rm.trajectory",
    "Trajectory": "swe_rm.trajectory",
    "Verdict": "swe_rm.verdict",
    "compare": "swe_rm.compare",
    "evaluate": "swe_rm.evaluate",
    "load_verifier": "swe_rm.verifiers",
    "open_pile": "swe_rm.sources",
    "rank": "swe_rm.verdict",
    "score": "swe_rm.scoring",
}

_MODULES = ("reward",)

__all__ = ["__version__", *_MODULES, *_PUBLIC]


def __getattr__(name: str) -> Any:
    """The public object or module of that name, imported when first asked for."""
    if name in _MODULES:
        return importlib.import_module(f"swe_rm.{name}")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'swe_rm' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """The package itself, with its functions kept in front of modules of the same name (`evaluate`)."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _PUBLIC and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
