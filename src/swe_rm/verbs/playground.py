"""`swe-rm playground`: a small world of bugs, attempts at them, and outcomes by running tests."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from swe_rm.errors import SweRmError
from swe_rm.verbs.files import check_new
from swe_rm.verbs.options import Paths
from swe_rm.verbs.telling import complain, console_for, exit_code, say, say_all

if TYPE_CHECKING:
    from swe_rm.label_table import Lean
    from swe_rm.playground.rollouts import RolledOut, RolloutConfig
    from swe_rm.playground.world import PlaygroundTask

playground = typer.Typer(
    help="A small but real world: make tasks of bugs in small packages, roll out attempts, label them by their tests.",
    no_args_is_help=True,
)

Workers = Annotated[int, typer.Option(min=1, metavar="N", help="At work at once.")]
Packages = Annotated[list[str], typer.Option("--package", help="Only this one; may be given again.")]
World = Annotated[Path, typer.Argument(metavar="DIR", help="What `playground make` wrote.")]


@playground.command()
def make(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to write; must not exist.")],
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 0,
    per_package: Annotated[int, typer.Option(min=1, metavar="N", help="Tasks of each package, at most.")] = 55,
    package: Packages = [],  # noqa: B006  # typer copies it
    workers: Workers = 1,
) -> int:
    """Put bugs into small packages and keep those that tests see, as tasks in SWE-bench's shape."""
    from swe_rm.playground import making, world
    from swe_rm.terminal import Progress

    check_new(out)
    config = making.MakeConfig(seed=seed, per_package=per_package, packages=tuple(package))
    packages = len(package) or len(world.shipped_packages())
    with Progress("making tasks", per_package * packages) as progress:
        made = making.make(config, out, workers, progress.advance)
    say(f"{out}: {made.kept} tasks ({_counted(made.splits.items())}); dropped bugs: {_counted(made.dropped.items())}")
    return exit_code(made.kept, 0)


@playground.command()
def rollout(
    world: World,
    out: Annotated[Path, typer.Option("--out", metavar="RUNS", help="Folder of runs; the same command goes on.")],
    attempts: Annotated[int, typer.Option(min=1, metavar="N", help="Of each policy at each task.")] = 4,
    policy: Annotated[
        list[str], typer.Option(help="careful, hasty, liar, test-editor, looper; all of them unless given.")
    ] = [],  # noqa: B006
    split: Annotated[
        Literal["train", "held_out_tasks", "held_out_packages"] | None, typer.Option(help="Only tasks of this one.")
    ] = None,
    package: Packages = [],  # noqa: B006
    tasks: Annotated[int | None, typer.Option(min=1, metavar="N", help="Of each package, the first ones.")] = None,
    seed: Annotated[int, typer.Option(help="Of the policies' choices.")] = 0,
    step_limit: Annotated[int, typer.Option(min=1, metavar="N", help="Of one attempt.")] = 20,
    workers: Workers = 1,
) -> int:
    """Have scripted policies attempt tasks through mini-swe-agent, and label each attempt by running its tests."""
    from swe_rm.playground.policies import POLICIES
    from swe_rm.playground.rollouts import RolloutConfig, jobs, roll_out
    from swe_rm.playground.world import chosen, read_world
    from swe_rm.terminal import Progress

    if unknown := [name for name in policy if name not in POLICIES]:
        raise SweRmError(f"no such policy: {', '.join(unknown)}; there are {', '.join(POLICIES)}")
    wanted = chosen(read_world(world), split, package, tasks)
    if not wanted:
        raise SweRmError(f"{world}: holds no such task")
    config = RolloutConfig(
        policies=tuple(policy) or tuple(POLICIES), attempts=attempts, seed=seed, step_limit=step_limit
    )
    if workers > 1:
        say(f"starting {workers} workers; each loads mini-swe-agent first, which takes some seconds")
    with Progress("rolling out", len(jobs(wanted, config))) as progress:
        done = roll_out(wanted, world, out, config, workers, progress.advance)
    _show(done, config)
    say(f"{out}: {done.made} attempts made, {done.there} were there already")
    return exit_code(done.made + done.there, say_all([*done.failed, *done.broken]))


@playground.command()
def label(
    paths: Paths,
    tasks: Annotated[Path, typer.Option("--tasks", metavar="DIR", help="What `playground make` wrote.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="A label a line, for --labels; must not exist.")],
    workers: Workers = 1,
) -> int:
    """Run the tests of attempts at the playground's tasks, whoever made them and in any known format."""
    from swe_rm import label_table
    from swe_rm.label_report import LabelReport
    from swe_rm.playground.world import read_world
    from swe_rm.sources import open_pile

    check_new(out)
    world = read_world(tasks)
    pile = open_pile(paths)
    attempts = [label_table.Lean.of(item) for item in pile.attempts()]
    known: list[label_table.Lean] = []
    strange: list[label_table.Lean] = []
    for one in attempts:
        (known if one.item.trajectory.task.instance_id in world else strange).append(one)
    labelled = _labelled(known, world, tasks, workers)
    label_table.write(labelled, out)
    report = LabelReport()
    for one in labelled:
        report.add(one.item)
    for part in report.parts():
        console_for(None).print(part, soft_wrap=True)
    refused = say_all(f"{' / '.join(one.item.trajectory.key)}: its task is not in {tasks}" for one in strange)
    return exit_code(len(labelled), complain(pile) + refused + say_all(_broken(labelled, tasks)))


def _labelled(
    attempts: "list[Lean]", world: "Mapping[str, PlaygroundTask]", folder: Path, workers: int
) -> "list[Lean]":
    """The attempts with what their tests say."""
    from swe_rm.label_report import PLAYGROUND
    from swe_rm.playground.labelling import label_all
    from swe_rm.sources.formats import HANDED_IN
    from swe_rm.terminal import Progress

    found = [one.item.trajectory for one in attempts]
    patches = [
        (world[one.task.instance_id], one.patch if one.patch or one.origin.source in HANDED_IN else None)
        for one in found
    ]
    with Progress("testing", len({(task.instance_id, patch) for task, patch in patches})) as progress:
        tested = label_all(patches, folder, None, workers, progress.advance)
    return [one.labelled(said.outcome, f"{PLAYGROUND}: {said.why}") for one, said in zip(attempts, tested, strict=True)]


def _broken(labelled: "list[Lean]", folder: Path) -> list[str]:
    """A line for each task that no patch can resolve."""
    from swe_rm.label_report import PLAYGROUND
    from swe_rm.playground.labelling import BROKEN
    from swe_rm.playground.world import TASKS

    said = [(one.item.trajectory.task.instance_id, one.item.provenance) for one in labelled]
    found = {name: why.removeprefix(f"{PLAYGROUND}: ") for name, why in said if f": {BROKEN}: " in why}
    return [f"{folder / TASKS}: {name}: {why}" for name, why in found.items()]


def _counted(counts: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts) or "none"


def _show(done: "RolledOut", config: "RolloutConfig") -> None:
    """What became of each policy's attempts."""
    from rich.table import Table

    from swe_rm.trajectory import Outcome

    table = Table("policy", *map(str, Outcome))
    for policy in config.policies:
        counts = done.outcomes.get(policy, {})
        table.add_row(policy, *(str(counts.get(outcome, 0)) for outcome in Outcome))
    if done.outcomes:
        console_for(None).print(table)
