"""`swe-rm experiment`: controlled experiments on how to train a verifier, on anybody's attempts."""

import signal
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from swe_rm.errors import SweRmError
from swe_rm.verbs.files import check_document, check_writable, write_json
from swe_rm.verbs.options import JsonFile, Labels
from swe_rm.verbs.telling import console_for, exit_code, say

experiment = typer.Typer(
    help="Controlled experiments: one factor of training a verifier varies, and nothing else.", no_args_is_help=True
)

Profiles = Literal["cpu", "gpu", "30b-a3b"]
"""`definition.Profile` said again, for that module is too heavy for --help; a test holds them together."""
Name = Annotated[str, typer.Argument(metavar="NAME", help="One of `experiment list`, or a file NAME.yaml.")]
Out = Annotated[Path, typer.Option(metavar="DIR", help="Folder of all runs; cells that are equal are run once.")]


@experiment.command("list")
def list_(json: JsonFile = None) -> int:
    """List what there is: the question, what varies, how many arms."""
    from rich.table import Column, Table

    from swe_rm.experiment.definition import known, load

    check_document(json)
    found = [load(name) for name in known()]
    write_json(json, {"experiments": [one.model_dump(mode="json") for one in found]})
    table = Table(Column("name", no_wrap=True), "arms", "question", show_lines=True)
    for one in found:
        arms = str(len(one.arms)) + (f" + by {one.per_value.of}" if one.per_value else "")
        told = f"{one.question}\nVaries: {', '.join(one.varies)}. Pool: {one.pool}."
        table.add_row(one.name, arms, told)
    console_for(json).print(table)
    return 0


@experiment.command()
def show(
    name: Name,
    profile: Annotated[
        Profiles | None, typer.Option(help="Show every arm's whole settings in it in place of the definition.")
    ] = None,
) -> int:
    """Print a definition as YAML, to be changed and run as a file, or the whole settings of its arms."""
    import yaml

    from swe_rm.experiment.definition import experiment as made
    from swe_rm.experiment.definition import load

    definition = load(name)
    content = definition.model_dump(mode="json", exclude_unset=True)
    if profile is not None:
        settings = made(definition, profile).settings
        content = {arm: setting.model_dump(mode="json") for arm, setting in settings.items()}
    sys.stdout.write(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120))
    return 0


@experiment.command()
def run(
    name: Name,
    data: Annotated[
        list[Path], typer.Option(metavar="PATH", help="Labelled attempts, in any format; may be repeated.")
    ],
    out: Out = Path("runs/experiments"),
    labels: Labels = [],  # noqa: B006  # typer copies it
    tasks: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Rows of the tasks (file or folder), for attempts without an issue."),
    ] = None,
    evaluation: Annotated[
        list[Path], typer.Option(metavar="PATH", help="Tasks that must not be trained on; nothing there is measured.")
    ] = [],  # noqa: B006
    profile: Annotated[Profiles, typer.Option(help="Sizes for two cores, one GPU, or a node of them.")] = "cpu",
    set_: Annotated[
        list[str], typer.Option("--set", metavar="KEY=VALUE", help="Change one key of all arms, as train.epochs=2.")
    ] = [],  # noqa: B006
    parallel: Annotated[int, typer.Option(metavar="N", min=1, help="Cells at once, each a process.")] = 2,
    threads: Annotated[int, typer.Option(metavar="N", min=1, help="Of each process's arithmetic.")] = 1,
    json: JsonFile = None,
) -> int:
    """Run every arm with every seed, several at once; run again for what is not finished."""
    from swe_rm.config_file import parsed
    from swe_rm.experiment.definition import load
    from swe_rm.experiment.running import read_planned
    from swe_rm.experiment.running import run as run_all
    from swe_rm.experiment.setting import Files
    from swe_rm.terminal import Progress

    check_document(json)
    definition = load(name)
    if profile == "30b-a3b":
        raise SweRmError(
            "30b-a3b is settings alone, for a cell is one process: train with those that "
            f"swe-rm experiment show {name} --profile 30b-a3b prints, as docs/train-30b-a3b.md does"
        )
    files = Files(data=tuple(data), labels=tuple(labels), tasks=(tasks,) if tasks else (), evaluation=tuple(evaluation))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the cells are ended too

    def watched(items: Iterable[Any]) -> Iterator[Any]:
        with Progress("reading") as progress:
            yield from progress.over(items)

    try:
        found = run_all(
            definition, profile, files, out, changes=dict(map(parsed, set_)), parallel=parallel, threads=threads,
            say=say, watch=watched,
        )  # fmt: skip
    except KeyboardInterrupt:
        say("swe-rm: stopped; the same command goes on with what is not finished")
        raise
    rows = [{"cell": done.job.name, "out": str(done.job.out), "reason": done.reason or None} for done in found]
    write_json(json, {"cells": rows})
    failed = sum(done.result is None for done in found)
    say(f"{len(found) - failed} of {len(found)} cells are finished, {failed} failed")
    return exit_code(len(found) - failed, failed + read_planned(out / definition.name).refused)


@experiment.command()
def report(
    name: Name,
    out: Out = Path("runs/experiments"),
    reports: Annotated[Path, typer.Option(metavar="DIR", help="Gets NAME.md, NAME.json and NAME.svg.")] = Path(
        "experiments/reports"
    ),
) -> int:
    """Tell what the finished cells found: figures over seeds and tasks, differences from the control, claims."""
    from swe_rm.experiment.definition import load
    from swe_rm.experiment.findings import findings
    from swe_rm.experiment.report import draw, markdown

    definition = load(name)
    reports.mkdir(parents=True, exist_ok=True)
    files = {ending: reports / f"{definition.name}.{ending}" for ending in ("md", "json", "svg")}
    for file in files.values():
        check_writable(file)
    found = findings(out, definition)
    files["md"].write_text(markdown(found), encoding="utf-8")
    files["json"].write_text(found.model_dump_json(indent=1) + "\n", encoding="utf-8")
    draw(found, files["svg"])
    for line in found.missing:
        say(line)
    say(f"{files['md']}: {len(found.arms)} arms, {found.n_attempts:,} attempts at {found.n_tasks:,} tasks")
    return exit_code(len(found.arms), len(found.missing))
