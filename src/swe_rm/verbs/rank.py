"""`swe-rm rank`: each task's attempts, best first; by score or by a rule, with abstention."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swe_rm.errors import SweRmError
from swe_rm.verbs.files import check_document, write_json
from swe_rm.verbs.judging import load, verdicts_of
from swe_rm.verbs.options import DeviceMap, DType, Experts, JsonFile, Labels, Paths, VerifierName
from swe_rm.verbs.reading import read_attempts
from swe_rm.verbs.telling import complain, console_for, exit_code, say

if TYPE_CHECKING:
    from swe_rm.abstention import Threshold
    from swe_rm.selection import Executed, Group, Rule, Selection
    from swe_rm.trajectory import Labelled
    from swe_rm.verdict import Verdict, Verifier


def rank(
    paths: Paths,
    verifier: VerifierName = "default",
    top: Annotated[int | None, typer.Option(min=1, help="Show only the best N of each task.")] = None,
    why: Annotated[bool, typer.Option("--why", help="Say what the verifier's score is made of.")] = False,
    min_confidence: Annotated[
        float | None, typer.Option(min=0, max=1, metavar="P", help="Abstain from a task whose pick's score is below.")
    ] = None,
    max_wrong: Annotated[
        float | None,
        typer.Option(metavar="A", help="Choose that threshold so that at most A of the accepted picks are wrong."),
    ] = None,
    known: Annotated[
        list[Path], typer.Option(metavar="PATH", help="Attempts of known outcome at other tasks, to choose it on.")
    ] = [],  # noqa: B006
    assurance: Annotated[float, typer.Option(help="Probability with which --max-wrong holds.")] = 0.9,
    rule: Annotated[
        list[str],
        typer.Option(
            help="score, tests, hybrid, vote, majority, tournament, weighted:score=0.5,generated=0.5, all ... "
            "Several give a row each; the first one ranks."
        ),
    ] = [],  # noqa: B006
    tests: Annotated[
        list[Path], typer.Option(metavar="FILE", help="What tests said of the attempts: rows of counts, or reports.")
    ] = [],  # noqa: B006
    dtype: DType = None,
    device_map: DeviceMap = None,
    experts: Experts = None,
    labels: Labels = [],  # noqa: B006  # typer copies it
    json: JsonFile = None,
) -> int:
    """Rank each task's attempts, best first."""
    from swe_rm import terminal

    if (max_wrong is None) != (not known) or (known and min_confidence is not None):
        raise SweRmError("--max-wrong and --known come together, and without --min-confidence")
    for name, share in (("--max-wrong", max_wrong), ("--assurance", assurance)):
        if share is not None and not 0 < share < 1:
            raise SweRmError(f"{name} {share:g}: is not between 0 and 1")
    check_document(json)
    pile, attempts = read_attempts(paths, labels)
    known_pile, others = read_attempts(known, labels) if known else (None, [])
    executed = _executed(rule, tests, [*attempts, *others])
    judge = load(verifier, [*attempts, *others], dtype=dtype, device_map=device_map, experts=experts)
    verdicts, failed = verdicts_of(attempts, judge)
    by_id = {item.trajectory.attempt_id: item for item in attempts if item.trajectory.attempt_id in verdicts}
    groups, rules = _choices(by_id, verdicts, rule or (["all"] if tests else ["score"]), executed)
    abstention = None
    if max_wrong is not None and groups:
        abstention = _threshold(others, judge, groups, rules[0].name, executed, max_wrong, assurance)
        min_confidence = abstention.threshold
    rankings = [rules[0].ranking(group) for group in groups]
    reasons = terminal.reasons([terminal.shown(r, top) for r in rankings], by_id, judge, verdicts) if why else {}
    selection = _selection(groups, rules, by_id, rule or tests)
    document = terminal.ranking_json(rankings, min_confidence, top)
    document |= {"abstention": abstention.to_json()} if abstention else {}
    write_json(json, document | ({"selection": selection.to_json()} if selection else {}))
    console = console_for(json)
    by = "" if not rule else f", rule {rules[0].name}"
    console.print(f"ranked by {judge.name}{by}", markup=False, highlight=False, soft_wrap=True)
    for line in terminal.ranking_lines(rankings, by_id, reasons, min_confidence, top):
        console.print(line, soft_wrap=True)
    if selection:
        from swe_rm.selection_report import print_selection

        print_selection(selection, console)
    _tell_mixed(by_id.values())
    refused = sum(complain(one) for one in (pile, known_pile) if one)
    return exit_code(len(verdicts), refused + failed)


def _tell_mixed(ranked: "Iterable[Labelled]") -> None:
    """Say where attempts with a log and without one stand in one order: scores of different evidence."""
    from swe_rm.verifiers.by_log import has_log

    kinds: dict[str, set[bool]] = {}
    for item in ranked:
        kinds.setdefault(item.trajectory.task.instance_id, set()).add(has_log(item.trajectory))
    if mixed := [task for task, found in kinds.items() if len(found) > 1]:
        told = "have attempts with a log and without"
        say(f"{len(mixed)} tasks {told}, {mixed[0]} first: their scores do not compare well")


def _executed(rule: Sequence[str], tests: Sequence[Path], attempts: Sequence["Labelled"]) -> "Mapping[str, Executed]":
    """What tests said of the attempts; rules and files that cannot be used are found out before the work."""
    from swe_rm.selection import check_rules, read_tests

    check_rules(rule)
    tested = read_tests(tests, [item.trajectory for item in attempts])
    if tested.strays:
        say(f"{tested.strays} of the test results are about attempts that are not here")
    return tested.by_attempt


def _choices(
    by_id: "Mapping[str, Labelled]",
    verdicts: "Mapping[str, Verdict]",
    rule: Sequence[str],
    executed: "Mapping[str, Executed]",
) -> "tuple[list[Group], list[Rule]]":
    """The candidates of each task and the rules to choose among them by; the first rule ranks."""
    from swe_rm.selection import chosen, groups

    found = groups([item.trajectory for item in by_id.values()], verdicts, executed)
    return found, chosen(rule, found)


def _selection(
    groups: "Sequence[Group]", rules: "Sequence[Rule]", by_id: "Mapping[str, Labelled]", asked: Sequence[Any]
) -> "Selection | None":
    """What the rules' picks are worth; None where nobody asked for rules, or no outcomes are known."""
    from swe_rm.selection import expected

    return expected(groups, rules, {id_: item.outcome for id_, item in by_id.items()}) if asked else None


def _threshold(
    others: Sequence["Labelled"],
    judge: "Verifier",
    groups: "Sequence[Group]",
    rule: str,
    executed: "Mapping[str, Executed]",
    max_wrong: float,
    assurance: float,
) -> "Threshold":
    """The threshold that known attempts at other tasks vouch for; it is told on stderr."""
    from swe_rm.abstention import choose_threshold, known_picks

    by_id = {item.trajectory.attempt_id: item for item in others}
    verdicts, _ = verdicts_of(others, judge)
    known, (first, *_) = _choices({id_: by_id[id_] for id_ in verdicts}, verdicts, [rule], executed)
    if shared := {group.instance_id for group in known} & {group.instance_id for group in groups}:
        raise SweRmError(f"--known has {len(shared)} of the tasks to rank, e.g. {min(shared)}: it must have others")
    picks = known_picks(known, first, {id_: item.outcome for id_, item in by_id.items()})
    found = choose_threshold(picks, max_wrong, assurance)
    say(str(found))
    return found
