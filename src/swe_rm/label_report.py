"""What `swe-rm label` shows: outcomes by policy and by where they come from, why some are unknown, what disagrees."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from swe_rm.agreement import Agreements, Disagreement
from swe_rm.playground.labelling import BROKEN, NOT_KEPT
from swe_rm.printable import printable
from swe_rm.trajectory import Labelled, Outcome

if TYPE_CHECKING:
    from rich.console import RenderableType

SHOWN = 15
"""Lines of a part that are printed; the JSON has all."""

NOTHING_SAID = "no report or record speaks of it"
DISAGREE = "labels disagree"
BOTH_WAYS = "one file says both"
PLAYGROUND = "the playground's tests"
"""How a provenance begins that `swe-rm playground label` gives."""
_WHY = (
    (DISAGREE, r"^labels disagree"),
    (BOTH_WAYS, r"said both ways"),
    ("no patch recorded", rf"^{PLAYGROUND}: {NOT_KEPT}"),
    (BROKEN, rf"^{PLAYGROUND}: {BROKEN}"),
    ("the tests could not be run to their end", rf"^{PLAYGROUND}: "),
    ("infrastructure failure", r"infra_failure"),
    ("ambiguous failure", r"ambiguous_failure"),
    ("not run", r"incomplete_ids|no patch to test|not in the dataset|says nothing of it"),
    ("timeout", r"timeout"),
    ("the evaluation failed", r"error|no_logs|install_fail|reset_failed|exited with"),
    ("a reward between", r"neither 0 nor 1"),
)
_HARNESS = re.compile(r"(?P<name>\S+ (?:\d\S*|\(no version\))) run [\w.-]+: ")
_FILE = re.compile(r"(?P<given>given )?(?P<path>[^:]+\.(?:jsonl?|csv|tsv|txt)(?:\.gz|\.zst)?): (?P<field>.+)")


def kind(provenance: str) -> str:
    """What sort of place an outcome comes from: a task's report, a run's, results, labels given, its own record."""
    if found := _HARNESS.match(provenance):
        return found["name"]
    if provenance.startswith(f"{PLAYGROUND}: "):
        return PLAYGROUND
    found = _FILE.fullmatch(provenance)
    if found and found["given"]:
        return "labels given"
    if not found:
        return f"its own record: {provenance}" if provenance else "its own record"
    if "/" not in found["path"]:
        return "its own record"
    name = found["path"].rsplit("/", 1)[-1]
    if name.endswith("report.json"):
        return "report.json"
    return "report of a run" if "_ids" in found["field"] else name


def why(provenance: str) -> str:
    """Why an attempt's outcome is unknown, in a few words, from what its provenance says."""
    if not provenance:
        return NOTHING_SAID
    return next((words for words, pattern in _WHY if re.search(pattern, provenance)), "said to be unknown")


class LabelReport:
    """Counts labelled attempts one by one; it holds no logs."""

    def __init__(self) -> None:
        self._outcomes: Counter[Outcome] = Counter()
        self._groups: dict[tuple[str, str], Counter[Outcome]] = {}
        self._kinds: dict[str, Counter[Outcome]] = {}
        self._why: Counter[str] = Counter()
        self._conflicts: list[dict[str, str]] = []
        self._agreements = Agreements()

    def add(self, item: Labelled) -> None:
        """Count an attempt."""
        instance_id, policy, attempt = item.trajectory.key
        self._outcomes[item.outcome] += 1
        self._groups.setdefault((item.trajectory.origin.source, policy), Counter())[item.outcome] += 1
        self._agreements.add(item)
        if item.outcome is not Outcome.UNKNOWN:
            self._kinds.setdefault(kind(item.provenance), Counter())[item.outcome] += 1
            return
        reason = why(item.provenance)
        self._why[reason] += 1
        if reason in (DISAGREE, BOTH_WAYS):
            named = {"instance_id": instance_id, "policy": policy, "attempt": attempt}
            self._conflicts.append(named | {"said": item.provenance})

    @property
    def n_attempts(self) -> int:
        """Attempts counted."""
        return self._outcomes.total()

    def to_json(self) -> dict[str, Any]:
        """The document of `label --json`."""
        found = self._agreements.found()
        return {
            "labels": {"n_attempts": self.n_attempts, **_counts(self._outcomes)},
            "policies": [
                {"source": source, "policy": policy, **_counts(counted)}
                for (source, policy), counted in sorted(self._groups.items())
            ],
            "provenance": {name: _counts(counted) for name, counted in sorted(self._kinds.items())},
            "unknown": dict(self._why.most_common()),
            "conflicts": self._conflicts,
            "equal_patches": {
                "n_groups": found.n_groups,
                "disagreements": [one.model_dump() for one in telling(found.disagreements)],
            },
        }

    def parts(self) -> "Iterator[RenderableType]":
        """The tables and lists, as they are printed."""
        from rich.text import Text

        policies = {f"{policy} ({source})": counted for (source, policy), counted in self._groups.items()}
        yield _table("attempts", policies, self._outcomes)
        if self._kinds:
            yield _table("where outcomes come from", self._kinds, None)
        if self._why:
            yield Text(f"\n{self._outcomes[Outcome.UNKNOWN]} unknown", style="bold")
            yield from (Text(f"{count:>8}  {reason}") for reason, count in self._why.most_common())
        yield from _listed(
            "attempts of which two labels disagree: their outcome is unknown",
            [f"{' / '.join(_names(one))}: {one['said']}" for one in self._conflicts],
        )
        found = self._agreements.found()
        yield from _listed(
            f"equal patches at one task with both outcomes, of {found.n_groups} patches tried twice or more",
            [str(one) for one in telling(found.disagreements)],
        )


def telling(disagreements: Iterable[Disagreement]) -> list[Disagreement]:
    """Disagreements, those with the most labels on the smaller side first: one stray label tells less than five."""

    def weight(one: Disagreement) -> tuple[int, int]:
        sides = sorted((len(one.resolved), len(one.unresolved)))
        return sides[0], sides[1]

    return sorted(disagreements, key=weight, reverse=True)


def _names(one: Mapping[str, str]) -> tuple[str, str, str]:
    return one["instance_id"], one["policy"], one["attempt"]


def _counts(counted: Mapping[Outcome, int]) -> dict[str, int]:
    return {outcome.value: counted.get(outcome, 0) for outcome in Outcome}


def _table(title: str, rows: Mapping[str, Counter[Outcome]], total: Counter[Outcome] | None) -> "RenderableType":
    """Counts by outcome, the largest rows first."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", box=None, title_style="bold")
    table.add_column("")
    for outcome in Outcome:
        table.add_column(outcome.value, justify="right")
    largest = sorted(rows.items(), key=lambda row: (-row[1].total(), row[0]))
    shown = dict(largest[:SHOWN])
    if rest := largest[SHOWN:]:
        shown[f"{len(rest)} more"] = sum((counted for _, counted in rest), Counter())
    if total is not None and len(shown) > 1:
        shown["all"] = total
    for name, counted in shown.items():
        table.add_row(Text(printable(name)), *(f"{counted[outcome]:,}" for outcome in Outcome))
    return table


def _listed(title: str, lines: list[str]) -> "Iterator[RenderableType]":
    from rich.text import Text

    if lines:
        yield Text(f"\n{len(lines)} {title}", style="bold")
        yield from (Text(f"  {printable(line)}") for line in lines[:SHOWN])
        if len(lines) > SHOWN:
            yield Text(f"  and {len(lines) - SHOWN} more (--json has all)")
