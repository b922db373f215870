"""One verifier's evaluation as `compare` takes it: from a document of `evaluate`, a report, or verdicts at hand."""

from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import orjson
from pydantic import ValidationError

from swe_rm.errors import RecordError
from swe_rm.evaluate import Report
from swe_rm.figures import Measured, Metrics, pool_of
from swe_rm.scored import Scored
from swe_rm.sources.streams import File, lines
from swe_rm.trajectory import Noun
from swe_rm.unscored import Unscored, UnscoredRule, counted, filled
from swe_rm.verifiers.controls import PolicyName


class Entry(NamedTuple):
    """One verifier's evaluation, as `compare` takes it."""

    name: str
    figures: dict[str, Any]
    """Of the contract's keys, on its own pool."""
    measured: Measured | None
    """Its attempts; without them it can only be shown, not compared."""
    unscored: Unscored | None
    """How attempts without a verdict count in it; None where it does not say."""
    headline: str = ""
    """What its own report says of the verifier's fitness; empty where there is none."""
    beats_chance: bool = True
    """Whether that report shows the headline to be above chance; True where there is none."""


def is_evaluation(path: Path) -> bool:
    """Whether a file is a document of `evaluate`, by its first line, rather than rows of verdicts.

    Raises RecordError for a file that cannot be read.
    """
    first = next((line.strip() for _, line in lines(File(path)) if line.strip()), b"")
    try:
        row = orjson.loads(first)
    except orjson.JSONDecodeError:
        return first == b"{"
    return isinstance(row, dict) and row.keys() >= _KEYS


def read_evaluation(path: Path) -> Entry:
    """What `swe-rm evaluate --json` wrote. Raises RecordError for anything else."""
    try:
        document = orjson.loads(path.read_bytes())
    except OSError as error:
        raise RecordError(str(path), "", error.strerror or "cannot be read") from None
    except orjson.JSONDecodeError:
        raise RecordError(str(path), "", "not a JSON document of swe-rm evaluate") from None
    if not isinstance(document, dict) or not document.keys() >= _KEYS:
        raise RecordError(str(path), "", "not a JSON document of swe-rm evaluate")
    return Entry(
        str(document.get("verifier") or path.stem),
        _plain(document),
        _part(path, document, "measured", Measured),
        _part(path, document, "unscored", Unscored),
        str(document.get("headline") or ""),
        document.get("beats_chance") is not False,
    )


_KEYS = {"n_attempts", "rm_at_k"}
"""What every document of `evaluate` has, and no row of verdicts."""
_PLAIN = {*Metrics.model_fields, "intervals", "ece_noise_floor"}


def _plain(document: dict[str, Any]) -> dict[str, Any]:
    """The figures of a document, without what is long."""
    return {key: value for key, value in document.items() if key in _PLAIN}


_Part = TypeVar("_Part", bound=Noun)


def _part(path: Path, document: dict[str, Any], key: str, kind: type[_Part]) -> _Part | None:
    if document.get(key) is None:
        return None
    try:
        return kind.model_validate_json(orjson.dumps(document[key]))
    except ValidationError as error:
        first = error.errors()[0]
        raise RecordError(str(path), ".".join(map(str, (key, *first["loc"]))), first["msg"]) from None


def entry_of(scored: Scored, policy: PolicyName, unscored: UnscoredRule = "drop") -> Entry:
    """The entry of attempts and verdicts at hand; `unscored` says how attempts without a verdict count."""
    given = scored.in_order()
    with_scores = filled(given, unscored)
    kept = with_scores.measurable()
    pool = pool_of(kept, policy)
    told = counted(given, with_scores, unscored, policy, None)
    return Entry(str(scored.verifier), {}, Measured.of(kept, pool, kept.scores, policy), told)


def entry_of_report(report: Report) -> Entry:
    """The entry of what `evaluate` gave."""
    name, figures = str(report.metrics.verifier), _plain(report.to_json())
    return Entry(name, figures, report.measured, report.unscored, report.headline, report.beats_chance)
