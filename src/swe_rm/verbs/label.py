"""`swe-rm label`: which attempts resolved, and on whose word."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swe_rm.errors import SweRmError
from swe_rm.verbs.files import check_document, check_new, check_writable, write_json
from swe_rm.verbs.options import JsonFile, Labels, Paths
from swe_rm.verbs.telling import complain, console_for, exit_code, say, say_all

if TYPE_CHECKING:
    from swe_rm.harness import Settings
    from swe_rm.label_table import Lean
    from swe_rm.labels import Entry


def label(
    paths: Paths,
    labels: Labels = [],  # noqa: B006  # typer copies it
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.jsonl", help="Write one label a line; --labels reads it.")
    ] = None,
    json: JsonFile = None,
    harness: Annotated[
        bool, typer.Option("--harness", help="Run the SWE-bench harness on attempts without an outcome.")
    ] = False,
    everything: Annotated[bool, typer.Option("--all", help="Run it on attempts with an outcome too.")] = False,
    dataset: Annotated[
        str, typer.Option(help="A data set's name, or a file of tasks.")
    ] = "SWE-bench/SWE-bench_Verified",
    split: Annotated[str, typer.Option(help="Of the data set.")] = "test",
    run_id: Annotated[str, typer.Option(help="Containers and logs are named after it.")] = "swe-rm",
    workers: Annotated[int, typer.Option(min=1, help="Tasks tested at once.")] = 4,
    timeout: Annotated[int, typer.Option(min=1, metavar="SECONDS", help="For one task's tests.")] = 1800,
    report_dir: Annotated[Path, typer.Option(help="Where the harness's files go.")] = Path("harness"),
    harness_module: Annotated[
        str, typer.Option(metavar="MODULE", help="What is run: SWE-bench's, or one with its arguments and reports.")
    ] = "swebench.harness.run_evaluation",
) -> int:
    """Show which attempts resolved, on whose word, and where labels disagree; test the others with --harness."""
    from swe_rm import label_table
    from swe_rm.harness import Settings, require
    from swe_rm.label_report import LabelReport
    from swe_rm.sources import open_pile
    from swe_rm.terminal import Progress

    if everything and not harness:
        raise SweRmError("--all is for --harness: it tests attempts that have an outcome too")
    check_document(json)
    check_writable(out)
    if out:
        check_new(out)
    settings = Settings(
        dataset=dataset, split=split, run_id=run_id, workers=workers, timeout=timeout, folder=report_dir,
        module=harness_module,
    )  # fmt: skip
    if harness:
        require(settings)
    pile = open_pile(paths, labels=labels)
    with Progress("reading") as progress:
        attempts = [label_table.Lean.of(item) for item in progress.over(pile.attempts())]
    failed = 0
    if harness:
        attempts, failed = _tested(attempts, settings, everything)
    if out:
        label_table.write(attempts, out)
    report = LabelReport()
    for attempt in attempts:
        report.add(attempt.item)
    write_json(json, report.to_json())
    console = console_for(json)
    for part in report.parts():
        console.print(part, soft_wrap=True)
    return exit_code(report.n_attempts, complain(pile) + failed)


def _tested(attempts: list["Lean"], settings: "Settings", everything: bool) -> tuple[list["Lean"], int]:
    """The attempts as the harness labels them, and how many of its runs failed; each is a line on stderr."""
    from swe_rm import harness
    from swe_rm.terminal import Progress
    from swe_rm.trajectory import Outcome

    wanted = [one for one in attempts if everything or one.item.outcome is Outcome.UNKNOWN]
    found: dict[str, Entry] = {}
    failures: list[str] = []
    with Progress("testing", len(wanted)) as progress:
        for run in harness.evaluate(wanted, settings):
            found |= run.entries
            failures += [run.failure] if run.failure else []
            progress.advance(len(run.entries))
    ids = {one.attempt_id for one in wanted}
    labelled = [harness.decided(one, found, settings) if one.attempt_id in ids else one for one in attempts]
    say_all(harness.overruled(attempts, labelled))
    known = sum(entry.outcome is not Outcome.UNKNOWN for entry in found.values())
    say(f"{settings.folder}: {harness.named(settings)} tested {len(found)} attempts, {known} have an outcome")
    return labelled, say_all(failures)
