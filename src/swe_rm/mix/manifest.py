"""What `mix.json` says of a mix: config, inputs and their digests, the ledger, the parts and what they hold."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, NamedTuple

import swe_rm
from swe_rm.errors import RecordError
from swe_rm.mix.config import MixConfig
from swe_rm.mix.facts import Facts
from swe_rm.mix.ledger import Ledger, counted
from swe_rm.mix.sharing import Cell
from swe_rm.mix.steps import linked
from swe_rm.priors import Known, prior_auc
from swe_rm.render import template_hash
from swe_rm.sources import streams
from swe_rm.trajectory import Noun, Outcome

NAME = "mix.json"


class Input(Noun):
    """A file or folder that the mix was made of."""

    role: str
    """The key of the config that names it."""
    name: str
    sha256: str
    """Of the file; of a folder, of the names and digests of the files in it."""


class Priors(Noun):
    """What can be told of a part's outcomes without reading an attempt; null where it holds one outcome only."""

    policy_auc: float | None
    """AUC of the policy's resolve rate on the other tasks."""
    task_auc: float | None
    """AUC of the other policies' resolve rate on the task."""
    n_pairs_same_policy_task: int
    """Pairs of a resolved and an unresolved attempt of one task and one policy, of which neither tells anything."""


class Part(Noun):
    """One part of a mix: a store of attempts."""

    folder: str
    """Below the mix; `.` is the mix itself."""
    n_attempts: int
    n_tasks: int
    n_repos: int
    outcomes: dict[Outcome, int]
    contents: dict[str, dict[str, dict[Outcome, int]]]
    """Attempts by source, policy and outcome."""
    priors: Priors
    cells: tuple[Cell, ...] = ()
    """What was drawn by weight."""


class Listed(NamedTuple):
    """What is known of an evaluation list once the attempts are matched."""

    ids: frozenset[str]
    without: dict[str, int]
    """Tasks that a rule cannot recognise."""


class Overlap(Noun):
    """What is known of overlap with the evaluation list."""

    n_tasks: int
    """On the list."""
    caught: dict[str, int]
    """Attempts by the rule that recognised them."""
    unchecked: dict[str, int]
    """Attempts of which a rule says nothing: they have no commit, no issue or no patch of so many words."""
    tasks_without: dict[str, int]
    """Tasks on the list that a rule cannot recognise, because they come without what it compares."""
    kept_by_id: int
    """Attempts that were kept though their task's id is on the list; 0 unless that rule is off."""


class Between(Noun):
    """What the parts of a split have in common; no task and no issue, or no repository."""

    tasks_joined: int
    """Tasks that are in the part of another, for they share its issue."""
    shared_patches: int
    """Patches, but for blanks, that are in more than one part."""
    shared_repos: int


class MixManifest(Noun):
    """A mix as it stands in `mix.json`; equal for equal configs and inputs, whatever machine made it."""

    swe_rm_mix: Literal[1] = 1
    name: str
    digest: str
    """Of the config."""
    seed: int
    config: dict[str, Any]
    inputs: tuple[Input, ...]
    versions: dict[str, str]
    refused: int
    """Records that could not be read as attempts, so they are not among those read."""
    ledger: Ledger
    parts: dict[str, Part]
    overlap: Overlap | None
    between: Between | None
    """Where there are splits."""


def versions(config: MixConfig) -> dict[str, str]:
    """Versions of what decides the bytes."""
    found = {"swe-rm": swe_rm.__version__, "template": template_hash()}
    return found if config.drop.near_duplicates is None else found | {"rensa": version("rensa")}


def _paths(config: MixConfig) -> dict[str, Sequence[Path]]:
    """The files and folders of a config by role."""
    paths: dict[str, Sequence[Path]] = {"data": config.data, "labels": config.labels, "tasks": config.tasks}
    if config.decontaminate:
        paths["decontaminate"] = config.decontaminate.against
    if config.length.counts_tokens and config.length.vocabulary:
        paths["vocabulary"] = [config.length.vocabulary / "tokenizer.json"]
    return paths


def digests(config: MixConfig) -> dict[Path, str]:
    """Digest of every file and folder of the config. Raises RecordError for one that cannot be read."""
    return {path: digest(path) for given in _paths(config).values() for path in given}


def inputs(config: MixConfig, digests: Mapping[Path, str]) -> tuple[Input, ...]:
    """Every file and folder of the config with its digest, by role and name."""
    given = [(role, path) for role, paths in _paths(config).items() for path in paths]
    found = [Input(role=role, name=path.name, sha256=digests[path]) for role, path in given]
    return tuple(sorted(found, key=lambda one: (one.role, one.name, one.sha256)))


def digest(path: Path) -> str:
    """The sha256 of a file's bytes; of a folder, of its files' names and digests, but for those in hidden folders.

    Raises RecordError.
    """
    if path.is_dir():
        found = {file.relative_to(path): file for file in sorted(path.rglob("*")) if file.is_file()}
        read = {name: file for name, file in found.items() if not any(part[0] == "." for part in name.parts[:-1])}
        whole = "".join(f"{name}\0{digest(file)}\n" for name, file in read.items())
        return hashlib.sha256(whole.encode("utf-8", "surrogateescape")).hexdigest()
    try:
        with path.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise RecordError(streams.display(path), "", error.strerror or "cannot be read") from None


def part(folder: str, rows: Sequence[Facts], cells: tuple[Cell, ...]) -> Part:
    """What a part holds."""
    policies: dict[str, dict[str, list[Outcome]]] = {}
    for row in rows:
        policies.setdefault(row.source, {}).setdefault(row.policy, []).append(row.outcome)
    return Part(
        folder=folder,
        n_attempts=len(rows),
        n_tasks=len({row.instance_id for row in rows}),
        n_repos=len({row.repo for row in rows}),
        outcomes=counted(row.outcome for row in rows),
        contents={
            source: {policy: counted(outcomes) for policy, outcomes in sorted(held.items())}
            for source, held in sorted(policies.items())
        },
        priors=_priors(rows),
        cells=cells,
    )


def _priors(rows: Sequence[Facts]) -> Priors:
    known = [
        Known(row.policy, row.instance_id, row.outcome is Outcome.RESOLVED)
        for row in rows
        if row.outcome is not Outcome.UNKNOWN
    ]
    counts = Counter(known)
    pairs = sum(n * counts[row._replace(resolved=False)] for row, n in counts.items() if row.resolved)
    return Priors(
        policy_auc=prior_auc(known, lambda rates, row: rates.policy_prior(row.policy, row.task)),
        task_auc=prior_auc(known, lambda rates, row: rates.task_prior(row.policy, row.task)),
        n_pairs_same_policy_task=pairs,
    )


def between(parts: Mapping[str, Sequence[Facts]]) -> Between:
    """What parts have in common."""
    names = linked(row for rows in parts.values() for row in rows)
    patches, repos = (Counter[str]() for _ in range(2))
    for rows in parts.values():
        patches.update({row.patch for row in rows if row.patch})
        repos.update({row.repo for row in rows if row.repo})
    return Between(
        tasks_joined=sum(task != name for task, name in names.items()),
        shared_patches=sum(n > 1 for n in patches.values()),
        shared_repos=sum(n > 1 for n in repos.values()),
    )


def overlap(table: Sequence[Facts], parts: Mapping[str, Sequence[Facts]], listed: Listed) -> Overlap:
    """What was recognised as the evaluation list's, what could not be, and what of it stayed."""
    ids = listed.ids
    return Overlap(
        n_tasks=len(ids),
        caught=counted(facts.match.rule for facts in table if facts.match),
        unchecked=counted(rule for facts in table if not facts.match for rule in facts.unchecked),
        tasks_without=listed.without,
        kept_by_id=sum(row.instance_id in ids for rows in parts.values() for row in rows),
    )
