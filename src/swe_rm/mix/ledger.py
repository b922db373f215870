"""The ledger of a mix: what was read is what was kept and what was dropped, by step, rule and source."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from swe_rm.mix.facts import Facts
from swe_rm.mix.steps import Dropped
from swe_rm.trajectory import Noun, Outcome

K = TypeVar("K", bound=str)


class Line(Noun):
    """What one rule of one step dropped."""

    step: str
    rule: str
    n: int
    outcomes: dict[Outcome, int]
    sources: dict[str, int]


class Ledger(Noun):
    """Every attempt accounted for: `read` is `kept` plus what the lines say."""

    read: int
    kept: int
    steps: dict[str, int | None]
    """What each step dropped, in their order; null for one that is switched off."""
    lines: tuple[Line, ...]
    """The same by rule."""

    @property
    def dropped(self) -> int:
        """Attempts dropped."""
        return sum(line.n for line in self.lines)


def ledger(table: Sequence[Facts], kept: int, dropped: Mapping[int, Dropped], switches: Mapping[str, bool]) -> Ledger:
    """The account of a table of which `kept` attempts stay and the others are dropped by steps that are on."""
    groups: dict[tuple[str, str], list[Facts]] = {}
    for facts in table:
        if (why := dropped.get(facts.ordinal)) is not None:
            groups.setdefault((why.step, why.rule), []).append(facts)
    lines = [_line(step, rule, rows) for (step, rule), rows in groups.items()]
    order = list(switches)
    lines.sort(key=lambda line: (order.index(line.step), line.rule))
    steps = {step: sum(line.n for line in lines if line.step == step) if on else None for step, on in switches.items()}
    found = Ledger(read=len(table), kept=kept, steps=steps, lines=tuple(lines))
    assert found.read == found.kept + sum(n or 0 for n in steps.values())
    return found


def _line(step: str, rule: str, rows: Sequence[Facts]) -> Line:
    return Line(
        step=step,
        rule=rule,
        n=len(rows),
        outcomes=counted(row.outcome for row in rows),
        sources=counted(row.source for row in rows),
    )


def summary(found: Ledger) -> list[str]:
    """The ledger in lines for people: every step, those that are off in one line."""
    lines = []
    for step, dropped in found.steps.items():
        if dropped == 0:
            lines.append(f"{0:>9}  {step}")
        lines += [f"{line.n:>9,}  {line.step}: {line.rule}" for line in found.lines if line.step == step]
    if off := [step for step, dropped in found.steps.items() if dropped is None]:
        lines.append(f"{'off':>9}  {', '.join(off)}")
    return [f"{found.read:>9,}  read", *lines, f"{found.kept:>9,}  kept"]


def counted(names: Iterable[K]) -> dict[K, int]:
    """How many of each, by name."""
    return dict(sorted(Counter(names).items()))
