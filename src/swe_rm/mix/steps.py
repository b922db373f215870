"""The cleaning steps in their order: each names the attempts it drops, by which rule, and the number behind it."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from math import sqrt
from typing import NamedTuple

from swe_rm.inspection.continuation import continued
from swe_rm.mix.config import MixConfig, Sample
from swe_rm.mix.facts import HISTORY, ORACLE, TRIES, Facts
from swe_rm.mix.near import SLOTS, near_duplicates
from swe_rm.trajectory import Outcome, Task


class Dropped(NamedTuple):
    """Why an attempt is not in the mix."""

    step: str
    rule: str
    """What the ledger counts by, within the step."""
    detail: str
    """The evidence, the number behind it."""

    def __str__(self) -> str:
        return f"dropped by {self.step}: {self.rule}" + (f": {self.detail}" if self.detail else "")


Drops = dict[int, tuple[str, str]]
"""(rule, detail) of attempts by ordinal."""
ALL = "all"
"""Name of the one part of a mix without splits."""

Step = Callable[[Sequence[Facts], MixConfig], Drops]


def clean(table: Sequence[Facts], config: MixConfig) -> tuple[list[Facts], dict[int, Dropped]]:
    """What the steps leave, in order, and why the others go; each step sees what those before it left."""
    left, dropped = list(table), dict[int, Dropped]()
    for name, step in STEPS.items():
        drops = step(left, config)
        dropped.update((ordinal, Dropped(name, *why)) for ordinal, why in drops.items())
        left = [facts for facts in left if facts.ordinal not in drops]
    return left, dropped


# --- one attempt by itself -------------------------------------------------------------------------------------------


def infra_failures(table: Sequence[Facts], config: MixConfig) -> Drops:
    """Outcomes that are unknown because the evaluation failed."""
    if not config.drop.infra_failures:
        return {}
    return {facts.ordinal: ("the evaluation failed", "") for facts in table if facts.infra}


def unlabelled(table: Sequence[Facts], config: MixConfig) -> Drops:
    """Other outcomes that are unknown."""
    if not config.drop.unlabelled:
        return {}
    unknown = (facts for facts in table if facts.outcome is Outcome.UNKNOWN and not facts.infra)
    return {facts.ordinal: ("outcome unknown", "") for facts in unknown}


def rows(table: Sequence[Facts], config: MixConfig) -> Drops:
    """Patches alone, or attempts with a log."""
    if config.rows == "both":
        return {}
    rule = "no log" if config.rows == "log" else "has a log"
    return {facts.ordinal: (rule, "") for facts in table if facts.logged != (config.rows == "log")}


def length(table: Sequence[Facts], config: MixConfig) -> Drops:
    """What is too short or too long to be read."""
    limits = config.length
    bounds = (
        ("characters", limits.min_characters, limits.max_characters),
        ("tokens", limits.min_tokens, limits.max_tokens),
    )
    drops: Drops = {}
    for unit, least, most in bounds:
        for facts in table:
            size = facts.characters if unit == "characters" else facts.tokens
            if least is not None and size < least:
                drops.setdefault(facts.ordinal, (f"fewer {unit}", f"{size:,} < {least:,}"))
            elif most is not None and size > most:
                drops.setdefault(facts.ordinal, (f"more {unit}", f"{size:,} > {most:,}"))
    return drops


def decontaminate(table: Sequence[Facts], config: MixConfig) -> Drops:
    """Attempts at tasks of the evaluation list."""
    return {facts.ordinal: (facts.match.rule, str(facts.match)) for facts in table if facts.match}


def _suspected(kinds: Sequence[str]) -> Step:
    """Which kinds are looked for at all the facts decide: what is switched off is not among them."""

    def step(table: Sequence[Facts], config: MixConfig) -> Drops:
        found = ((facts, next((hit for hit in facts.suspicions if hit[0] in kinds), None)) for facts in table)
        return {facts.ordinal: (hit[0], f"message {hit[1]}") for facts, hit in found if hit}

    return step


def gold_equal(table: Sequence[Facts], config: MixConfig) -> Drops:
    """Patches that equal the gold patch: memorised, or the fix is obvious."""
    if not config.drop.gold_equal:
        return {}
    return {facts.ordinal: ("equals the gold patch", f"patch {facts.patch}") for facts in table if facts.gold_equal}


# --- attempts beside each other --------------------------------------------------------------------------------------


def conflicting(table: Sequence[Facts], config: MixConfig) -> Drops:
    """One task's equal patches, or equal readings, with both outcomes: all go, or those that the majority contradicts.

    Patches that differ in blanks alone are not equal and may read the same.
    """
    if not config.drop.conflicting:
        return {}
    known = [facts for facts in table if facts.outcome is not Outcome.UNKNOWN]
    patches = _groups((facts for facts in known if facts.patch), lambda facts: (facts.instance_id, facts.patch))
    readings = _groups(known, lambda facts: facts.content)
    drops: Drops = {}
    for rule, groups in (("readings that are equal disagree", readings), ("equal patches disagree", patches)):
        for group in groups.values():
            said = _contradiction(group)
            spared = said[0] if said and config.drop.conflicting == "minority" else None
            if said:
                drops |= {facts.ordinal: (rule, said[1]) for facts in group if facts.outcome is not spared}
    return drops


def _contradiction(group: Sequence[Facts]) -> tuple[Outcome | None, str] | None:
    """(the outcome most have, what is said) of attempts with both outcomes."""
    counts = Counter(facts.outcome for facts in group)
    if len(counts) < 2:
        return None
    (most, n), (_, fewer) = counts.most_common(2)
    said = ", ".join(f"{outcome} {counts[outcome]}x" for outcome in sorted(counts))
    return most if n > fewer else None, f"patch {group[0].patch or '(none)'} is {said}"


def duplicates(table: Sequence[Facts], config: MixConfig) -> Drops:
    """What a verifier reads alike; the first one stays."""
    if not config.drop.duplicates:
        return {}
    groups = _groups(table, lambda facts: facts.content)
    return {copy.ordinal: ("reads the same", f"as {first}") for first, *copies in groups.values() for copy in copies}


def continuations(table: Sequence[Facts], config: MixConfig) -> Drops:
    """Attempts that begin with another's log."""
    if not config.drop.continuations:
        return {}
    drops: Drops = {}
    logs = (facts for facts in table if facts.logged)
    for group in _groups(logs, lambda facts: facts.instance_id).values():
        for one in continued([facts.chain for facts in group if facts.chain]):
            rule = "continues another" if one.whole else "branches off another"
            detail = f"{group[one.of]}: {one.shared} messages are equal"
            drops[group[one.attempt].ordinal] = (rule, detail)
    return drops


def nearly_duplicates(table: Sequence[Facts], config: MixConfig) -> Drops:
    """Attempts at tasks of one repository whose logs and patches share most of their text, and whose outcome is equal.

    Near copies with different outcomes stay: nothing teaches more. What is near a copy and not near the attempt that
    stays is compared anew with its like, so that no attempt goes without one that stands for it.
    """
    threshold = config.drop.near_duplicates
    if threshold is None:
        return {}
    slack = 2 * sqrt(threshold * (1 - threshold) / SLOTS)
    drops: Drops = {}
    left = list(table)
    while left:
        groups = [(facts.repo or facts.instance_id, facts.outcome) for facts in left]
        linked = near_duplicates([facts.sketch for facts in left], groups, threshold)
        for one in linked:
            if one.jaccard >= threshold - slack:
                detail = f"as {left[one.of]}: estimated Jaccard {one.jaccard:.2f}"
                drops[left[one.ordinal].ordinal] = ("nearly the same", detail)
        left = [left[one.ordinal] for one in linked if left[one.ordinal].ordinal not in drops]
    return drops


STEPS: Mapping[str, Step] = {
    "infra_failures": infra_failures,
    "unlabelled": unlabelled,
    "rows": rows,
    "length": length,
    "decontaminate": decontaminate,
    "oracle_feedback": _suspected(ORACLE),
    "history": _suspected(HISTORY),
    "several_tries": _suspected(TRIES),
    "gold_equal": gold_equal,
    "conflicting": conflicting,
    "duplicates": duplicates,
    "continuations": continuations,
    "near_duplicates": nearly_duplicates,
}
"""What an attempt is by itself comes before what it is beside others, so that no bad attempt is the one that stays;
labels are compared before copies go, so that a copy can contradict."""


def switched_on(config: MixConfig) -> dict[str, bool]:
    """Every step of a mix in its order, and whether the config wants it."""
    switches = {name: getattr(config.drop, name) not in (None, False) for name in type(config.drop).model_fields}
    limits = config.length.model_dump(exclude={"vocabulary"})
    switches |= {
        "rows": config.rows != "both",
        "length": any(limit is not None for limit in limits.values()),
        "decontaminate": config.decontaminate is not None,
        "split": config.splits is not None,
        "sample": config.sample != Sample(),
    }
    return {name: switches[name] for name in (*STEPS, "split", "sample")}


def split(table: Sequence[Facts], config: MixConfig) -> tuple[dict[str, list[Facts]], dict[int, Dropped]]:
    """The parts of the mix, each of whole tasks or repositories."""
    if config.splits is None:
        return {ALL: list(table)}, {}
    part_of = {fold: name for name, folds in config.splits.parts.items() for fold in folds}
    parts: dict[str, list[Facts]] = {name: [] for name in config.splits.parts}
    dropped: dict[int, Dropped] = {}
    tasks = linked(table)
    for facts in table:
        unit = tasks[facts.instance_id] if config.splits.by == "task" else facts.repo
        fold = Task(instance_id=unit).fold(config.splits.folds)
        if not unit:
            dropped[facts.ordinal] = Dropped("split", "names no repository", "")
        elif fold in part_of:
            parts[part_of[fold]].append(facts)
        else:
            dropped[facts.ordinal] = Dropped("split", "in no part", f"fold {fold} of {config.splits.folds}")
    return parts, dropped


def linked(table: Iterable[Facts]) -> dict[str, str]:
    """Each task's name for splits: the first id of those that share its issue, whatever they are called."""
    rows = list(table)
    names = {facts.instance_id: facts.instance_id for facts in rows}

    def name_of(task: str) -> str:
        while names[task] != task:
            task = names[task]
        return task

    first_with: dict[bytes, str] = {}
    for facts in rows:
        if facts.issue:
            one, other = name_of(facts.instance_id), name_of(first_with.setdefault(facts.issue, facts.instance_id))
            names[max(one, other)] = min(one, other)
    return {task: name_of(task) for task in names}


def _groups(table: Iterable[Facts], key: Callable[[Facts], Hashable]) -> dict[Hashable, list[Facts]]:
    groups: dict[Hashable, list[Facts]] = {}
    for facts in table:
        groups.setdefault(key(facts), []).append(facts)
    return groups
