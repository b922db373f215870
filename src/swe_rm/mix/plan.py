"""The plan of a mix: every attempt is read once and decided on; what is kept is written in a second pass."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from sys import intern

from swe_rm.errors import SweRmError
from swe_rm.mix import manifest
from swe_rm.mix.config import MixConfig, Sample
from swe_rm.mix.engines import Engine
from swe_rm.mix.facts import Facts, Settings
from swe_rm.mix.ledger import ledger
from swe_rm.mix.manifest import MixManifest
from swe_rm.mix.sampling import Drawn, draw
from swe_rm.mix.steps import Dropped, clean, split, switched_on
from swe_rm.mix.weights import check_patterns
from swe_rm.sources import Pile, open_pile
from swe_rm.trajectory import Labelled

Watch = Callable[[Iterable[Labelled]], Iterator[Labelled]]
"""Passes attempts through and may count them."""


@dataclass(frozen=True)
class Plan:
    """What a mix will hold, and why."""

    config: MixConfig
    pile: Pile
    parts: Mapping[str, Sequence[Facts]]
    """What is kept, by part, in the order of the draw."""
    dropped: Mapping[int, Dropped]
    """The others, by ordinal."""
    table: Sequence[Facts]
    """All that was read, by attempt_id."""
    manifest: MixManifest

    def explain(self, name: str) -> str:
        """Why one attempt was dropped or kept; `name` is its attempt_id or its instance_id/policy/attempt.

        Raises SweRmError when no attempt that was read has that name.
        """
        found = next((facts for facts in self.table if name in (facts.attempt_id, "/".join(facts.key))), None)
        if found is None:
            raise SweRmError(f"{name}: none of the {len(self.table):,} attempts read has this id or this name")
        why = self.dropped.get(found.ordinal)
        return f"{found}, {found.outcome}: {why or self._kept(found)}"

    def _kept(self, facts: Facts) -> str:
        for name, rows in self.parts.items():
            place = next((place for place, row in enumerate(rows, 1) if row.ordinal == facts.ordinal), None)
            if place:
                return (
                    f"kept as {place:,} of {len(rows):,} in {name}: {facts.characters:,} characters, no step drops it"
                )
        raise AssertionError(f"{facts} is neither kept nor dropped")


@dataclass(frozen=True)
class Gathered:
    """What was read for a mix: enough for any mix of the same clean attempts."""

    config: MixConfig
    pile: Pile
    digests: Mapping[Path, str]
    table: Sequence[Facts]
    """All that was read, by attempt_id."""
    listed: manifest.Listed | None
    """The evaluation list."""


def plan(config: MixConfig, engine: Engine, watch: Watch = iter) -> Plan:
    """Read everything and decide. Raises SweRmError where the config asks for what cannot be met."""
    return decide(gather(config, engine, watch), config)


def gather(config: MixConfig, engine: Engine, watch: Watch = iter) -> Gathered:
    """Read everything once. Raises SweRmError for what cannot be read."""
    settings, digests = Settings.of(config), manifest.digests(config)
    data = sorted(config.data, key=lambda path: (path.name, digests[path]))
    pile = open_pile(data, config.labels)
    table = _table(engine(watch(pile.attempts()), settings))
    _check_data(config, pile)
    found = settings.evaluation
    return Gathered(config, pile, digests, table, manifest.Listed(found.ids, found.without()) if found else None)


def decide(gathered: Gathered, config: MixConfig) -> Plan:
    """What a mix holds of what was gathered; the config may differ in what is done after reading.

    Raises SweRmError where it asks for what cannot be met, ValueError where it differs in what is read.
    """
    if config.reading() != gathered.config.reading():
        raise ValueError("this config reads something else than what was gathered")
    pile, table = gathered.pile, gathered.table
    left, dropped = clean(table, config)
    if not left:
        raise SweRmError(f"nothing is left of {len(table):,} attempts: {_reasons(dropped)}")
    check_patterns(config.sample, table)
    parts, apart = split(left, config)
    dropped |= apart
    described: dict[str, manifest.Part] = {}
    for name, rows in parts.items():
        if not rows:
            raise SweRmError(f"splits.parts: {name}: no attempt falls into it")
        drawn = _drawn(name, rows, config)
        if not drawn.kept:
            raise SweRmError(f"sample: nothing is left of {len(rows):,} attempts: {_reasons(drawn.dropped)}")
        dropped |= drawn.dropped
        parts[name] = drawn.kept
        described[name] = manifest.part("." if config.splits is None else name, drawn.kept, drawn.cells)
    listed = gathered.listed
    whole = MixManifest(
        name=config.name,
        digest=config.digest(),
        seed=config.seed,
        config=config.portable(),
        inputs=manifest.inputs(config, gathered.digests),
        versions=manifest.versions(config),
        refused=pile.n_refused,
        ledger=ledger(table, sum(map(len, parts.values())), dropped, switched_on(config)),
        parts=described,
        overlap=None if listed is None else manifest.overlap(table, parts, listed),
        between=manifest.between(parts) if config.splits else None,
    )
    return Plan(config, pile, parts, dropped, table, whole)


def _table(found: Iterable[Facts]) -> list[Facts]:
    """The facts by attempt_id; names that come again are one object."""
    table = [
        facts._replace(
            instance_id=intern(facts.instance_id),
            repo=intern(facts.repo),
            source=intern(facts.source),
            policy=intern(facts.policy),
            attempt=intern(facts.attempt),
        )
        for facts in found
    ]
    table.sort(key=lambda facts: facts.attempt_id)
    return table


def _drawn(part: str, rows: Sequence[Facts], config: MixConfig) -> Drawn:
    """Raises SweRmError that names the part where there are several."""
    try:
        return draw(rows, config.sample if _is_sampled(part, config) else Sample(), config.seed)
    except SweRmError as error:
        raise SweRmError(f"part {part}: {error}" if config.splits else str(error)) from None


def _is_sampled(part: str, config: MixConfig) -> bool:
    return config.splits is None or part in config.splits.drawn


def _check_data(config: MixConfig, pile: Pile) -> None:
    """Raises SweRmError when one of the paths gave no attempt: a mix must not lose a source unseen."""
    read = {folder for file in pile.files_read for folder in (file, *file.parents)}
    for path in config.data:
        if path not in read:
            refusal = next((f": {refusal}" for refusal in pile.refusals if refusal.file.startswith(str(path))), "")
            raise SweRmError(f"data: {path}: gave no attempt{refusal}")


def _reasons(dropped: Mapping[int, Dropped]) -> str:
    counts = Counter((why.step, why.rule) for why in dropped.values())
    return ", ".join(f"{step} ({rule}) {n:,}" for (step, rule), n in counts.most_common())
