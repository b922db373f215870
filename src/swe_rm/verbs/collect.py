"""`swe-rm collect`: attempts of an agent at tasks."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from swe_rm.verbs.telling import exit_code, say, say_all


def collect(
    tasks: Annotated[
        Path, typer.Argument(metavar="TASKS.jsonl", help="instance_id, problem_statement, repo_path or image.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of runs; the same command goes on.")],
    config: Annotated[Path | None, typer.Option(metavar="FILE.yaml", help="Any setting; options come first.")] = None,
    model: Annotated[str | None, typer.Option(help="As the endpoint calls it.")] = None,
    base_url: Annotated[str | None, typer.Option(metavar="URL", help="Of an OpenAI-compatible endpoint.")] = None,
    api_key_env: Annotated[str | None, typer.Option(metavar="NAME", help="Variable that holds its key.")] = None,
    environment: Annotated[
        Literal["local", "docker"] | None, typer.Option(help="local runs the model's commands here, unguarded.")
    ] = None,
    attempts: Annotated[int | None, typer.Option(metavar="N", help="At each task; 1 unless given.")] = None,
    workers: Annotated[int | None, typer.Option(metavar="N", help="Attempts at once; 1 unless given.")] = None,
    temperature: Annotated[float | None, typer.Option()] = None,
    step_limit: Annotated[int | None, typer.Option(metavar="N", help="Of one attempt; 250 unless given.")] = None,
    max_cost: Annotated[float | None, typer.Option(metavar="DOLLARS", help="Then start no more attempts.")] = None,
    max_tokens: Annotated[int | None, typer.Option(metavar="N", help="Then start no more attempts.")] = None,
    only: Annotated[list[str], typer.Option(metavar="INSTANCE", help="Only these tasks.")] = [],  # noqa: B006
) -> int:
    """Have an agent attempt tasks, with a model of your choice; run again to resume."""
    import signal

    from swe_rm.collect import collect as run
    from swe_rm.collect.assignment import CollectConfig, read_assignments
    from swe_rm.terminal import Progress

    given = {
        "model": model, "base_url": base_url, "api_key_env": api_key_env, "environment": environment,
        "attempts": attempts, "workers": workers, "temperature": temperature, "step_limit": step_limit,
        "max_cost": max_cost, "max_tokens": max_tokens,
    }  # fmt: skip
    settings = CollectConfig.load(config, {key: value for key, value in given.items() if value is not None})
    assignments = read_assignments(tasks, settings, only)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with Progress("collecting", settings.attempts * len(assignments)) as progress:
            done = run(settings, assignments, out, progress=progress.advance)
    except KeyboardInterrupt:
        say(f"{out}: stopped; attempts at work are abandoned, the same command goes on")
        raise
    say(f"{out}: {done.made} attempts made, {done.there} were there already; {done.spent} in all")
    say_all([*done.notes, *done.failed])
    if done.stopped:
        say(f"stopped: {done.stopped}; {done.left} attempts were not started")
    return exit_code(done.made + done.there, len(done.failed) + done.left)
