"""`swe-rm rl`: reinforcement learning in the playground with a verifier's scores, tests or both as the reward."""

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from swe_rm.verbs.files import check_document, check_page, check_writable, write_json
from swe_rm.verbs.options import JsonFile
from swe_rm.verbs.telling import console_for, exit_code, say, say_all

if TYPE_CHECKING:
    from rich.table import Table

rl = typer.Typer(
    help="Reinforcement learning in the playground: a small policy, really executed attempts, any verifier as reward.",
    no_args_is_help=True,
)


Set = Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="Change one key of the file.")]


@rl.command()
def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.yaml")],
    set_: Set = [],  # noqa: B006  # typer copies it
    json: JsonFile = None,
) -> int:
    """Train a policy with TRL's GRPOTrainer as the file says, and measure it by tests; run again to resume."""
    from swe_rm.rl.config import RLConfig
    from swe_rm.rl.training import train as run

    check_document(json)
    settings = RLConfig.load(config, set_)
    # Ended in order, so that scratch folders and the programs that watch over attempts go with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    result = run(settings, say)
    write_json(json, {"digest": settings.digest(), **result})
    console_for(json).print(_table(result))
    return 0


@rl.command()
def play(
    policy: Annotated[Path, typer.Argument(metavar="DIR", help="OUT/policy of `rl train`, or a `warm-...` beside it.")],
    world: Annotated[Path, typer.Option(metavar="DIR", help="What `playground make` wrote.")],
    out: Annotated[Path, typer.Option(metavar="FILE.jsonl", help="An attempt a line, with its outcome.")],
    name: Annotated[str, typer.Option(metavar="NAME", help="Of the policy, in the rows.")] = "policy",
    split: Annotated[
        Literal["train", "held_out_tasks", "held_out_packages"] | None,
        typer.Option(help="Only tasks of this one; those of both held-out splits unless given."),
    ] = None,
    attempts: Annotated[int, typer.Option(metavar="N", min=1, help="At each task.")] = 4,
    step_limit: Annotated[int, typer.Option(metavar="N", min=1, help="Of one attempt.")] = 24,
    seed: Annotated[int, typer.Option(help="Of what the policy says.")] = 0,
    memory: Annotated[
        Path | None, typer.Option(metavar="FILE", help="`commands.sqlite` of runs: what it knows is not run again.")
    ] = None,
    workers: Annotated[int, typer.Option(metavar="N", min=1, help="At work at once.")] = 1,
    json: JsonFile = None,
) -> int:
    """Have a policy attempt tasks, test each attempt, and write rows that a verifier can learn from or judge."""
    from swe_rm.playground.world import read_world
    from swe_rm.rl.attempts import write_attempts
    from swe_rm.rl.field import Field
    from swe_rm.terminal import Progress

    check_document(json)
    check_writable(out)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    tasks = [
        task for task in read_world(world).values() if task.split == split or (split is None and task.split != "train")
    ]
    with (
        Field(world, workers, step_limit, memory) as field,
        Progress("playing", attempts * len(tasks)) as progress,
    ):
        tally = write_attempts(
            policy, tasks, field, out, name=name, attempts=attempts, seed=seed, progress=progress.advance
        )
    write_json(json, tally.model_dump())
    say(f"{out}: {tally.attempts} attempts, {tally.resolved} resolved, {tally.unknown} unknown")
    return exit_code(tally.attempts, tally.unknown)


@rl.command()
def arms(
    plan: Annotated[Path, typer.Argument(metavar="PLAN.yaml")],
    set_: Set = [],  # noqa: B006
    json: JsonFile = None,
) -> int:
    """Train every arm of a plan with every seed, several runs at once; run again for what is not finished."""
    from swe_rm.rl.arms import row, run_all
    from swe_rm.rl.plan import Plan

    check_document(json)
    settings = Plan.load(plan, set_)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the runs are ended too
    found = run_all(settings, say)
    write_json(json, {"arms": list(settings.arms), "runs": [row(ran) for ran in found]})
    failed = sum(ran.result is None for ran in found)
    say(f"{len(found) - failed} of {len(found)} runs are finished, {failed} failed")
    return exit_code(len(found) - failed, failed)


@rl.command()
def report(
    runs: Annotated[Path, typer.Argument(metavar="OUT|PLAN.yaml", help="A folder of finished runs, or a plan.")],
    arm: Annotated[
        list[str], typer.Option(metavar="NAME", help="Only this one; may be repeated, and sets the order.")
    ] = [],  # noqa: B006
    evaluated: Annotated[
        list[Path],
        typer.Option(metavar="FILE", help="What evaluate --json wrote of a verifier on logged attempts."),
    ] = [],  # noqa: B006
    prediction: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What scripts/predict_order.py --json wrote beforehand.")
    ] = None,
    json: JsonFile = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a self-contained report there.")] = None,
    svg: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw the learning curves there.")] = None,
) -> int:
    """Tell what arms came to: rates with intervals over seeds and tasks, habits, paired differences, curves."""
    from swe_rm.rl import report_text
    from swe_rm.rl.curves import draw
    from swe_rm.rl.foretold import foretold
    from swe_rm.rl.outcome import outcome
    from swe_rm.rl.quality import judged
    from swe_rm.rl.report_page import write_outcome
    from swe_rm.rl.runs import read_runs

    check_document(json)
    check_page(html, json)
    check_writable(svg)
    found = outcome(read_runs(runs).only(arm))
    rows, pairs = judged(evaluated, found) if evaluated else ([], [])
    told = foretold(prediction, found) if prediction else []
    more = {
        "verifiers": [row.model_dump(mode="json") for row in rows],
        "pairs": [pair.model_dump(mode="json") | {"equivalent_at": pair.equivalent_at} for pair in pairs],
        "foretold": [one.model_dump(mode="json") for one in told],
    }
    write_json(json, found.to_json() | more)
    if html:
        write_outcome(found, html, rows, pairs, told)
    if svg:
        draw(found, svg)
    console = console_for(json)
    report_text.print_outcome(found, console)
    if rows:
        report_text.print_quality(rows, pairs, console)
    if told:
        report_text.print_foretold(told, console)
    return exit_code(len(found.arms), say_all(found.left_out))


def _table(result: dict[str, Any]) -> "Table":
    """The rate of the last look beside that of the first, and what else the last counted, by split."""
    from rich.table import Table

    from swe_rm.rl.measuring import percent

    counted = ("attempts", "unfinished", "empty", "edits_tests", "claims_falsely", "loops", "unknown")
    start, final = result["start"], result["final"]
    table = Table("", *final)
    for name, look in (("start", start), ("final", final)):
        table.add_row(name, *(percent(look[split]["rate"]) for split in final))
    for name in counted:
        table.add_row(name.replace("_", " "), *(str(seen[name]) for seen in final.values()))
    return table
