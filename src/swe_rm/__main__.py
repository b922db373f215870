"""The command line: one function a verb. Everything heavy is imported inside them, so that --help is quick.

Exit codes: 0 everything was read; 2 something was refused, with a line each on stderr, and the rest is done all the
same; 1 nothing could be done.
"""

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from swe_rm.errors import SweRmError

if TYPE_CHECKING:
    from swe_rm.harness import Settings
    from swe_rm.label_table import Lean
    from swe_rm.labels import Entry
    from swe_rm.scored import Gathering, Scored
    from swe_rm.scoring import Scorer
    from swe_rm.selection import Executed, Group, Rule, Selection
    from swe_rm.sources import Pile
    from swe_rm.trajectory import Labelled
    from swe_rm.verdict import Verdict, Verifier
    from swe_rm.verifiers.recorded import Named

app = typer.Typer(
    name="swe-rm",
    help="Judge coding agents' attempts at issues: score, rank, measure, train.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

STDOUT = Path("-")

Paths = Annotated[
    list[Path], typer.Argument(metavar="PATH...", help="Files or folders of attempts, in any known format.")
]
VerifierName = Annotated[
    str,
    typer.Option(
        "--verifier",
        help="default, model, features, a checkpoint folder, recorded:FILE, mean:A,B, calibrated:DIR, "
        "a control, or module:attribute.",
    ),
]
Labels = Annotated[list[Path], typer.Option("--labels", help="Reports or tables that say which attempts resolved.")]
DType = Annotated[
    Literal["float32", "bfloat16", "float16"] | None,
    typer.Option("--dtype", help="Of a model's weights; fp32 on CPU, bf16 elsewhere unless given."),
]
DeviceMap = Annotated[
    str | None, typer.Option("--device-map", help="How transformers spreads a model over devices, e.g. auto.")
]
Experts = Annotated[
    Literal["auto", "eager", "grouped_mm", "sorted"] | None,
    typer.Option("--experts", help="How a model's experts are computed."),
]
JsonFile = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write JSON there; - is stdout.")]
OutFolder = Annotated[Path, typer.Option("--out", help="Folder to write; must not exist.")]


@app.command()
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
    _document(json)
    pile, attempts = _read(paths, labels)
    known_pile, others = _read(known, labels) if known else (None, [])
    executed = _executed(rule, tests, [*attempts, *others])
    judge = _load(verifier, [*attempts, *others], dtype=dtype, device_map=device_map, experts=experts)
    verdicts, failed = _score(attempts, judge)
    by_id = {item.trajectory.attempt_id: item for item in attempts if item.trajectory.attempt_id in verdicts}
    groups, rules = _choices(by_id, verdicts, rule or (["all"] if tests else ["score"]), executed)
    if max_wrong is not None and groups:
        min_confidence = _threshold(others, judge, groups, rules[0].name, executed, max_wrong, assurance)
    rankings = [rules[0].ranking(group) for group in groups]
    reasons = terminal.reasons([terminal.shown(r, top) for r in rankings], by_id, judge, verdicts) if why else {}
    selection = _selection(groups, rules, by_id, rule or tests)
    document = terminal.ranking_json(rankings, min_confidence, top)
    _write_json(json, document | ({"selection": selection.to_json()} if selection else {}))
    console = _console(json)
    by = "" if not rule else f", rule {rules[0].name}"
    console.print(f"ranked by {judge.name}{by}", markup=False, highlight=False, soft_wrap=True)
    for line in terminal.ranking_lines(rankings, by_id, reasons, min_confidence, top):
        console.print(line, soft_wrap=True)
    if selection:
        from swe_rm.selection_report import print_selection

        print_selection(selection, console)
    refused = sum(_complain(one) for one in (pile, known_pile) if one)
    return _code(len(verdicts), refused + failed)


@app.command()
def score(
    paths: Paths,
    out: Annotated[Path, typer.Option("--out", metavar="FILE.jsonl", help="One verdict a line.")],
    verifier: VerifierName = "default",
    resume: Annotated[bool, typer.Option("--resume", help="Continue a file that a run left unfinished.")] = False,
    engine: Annotated[Literal["local", "ray"], typer.Option(help="Where it is judged; the result is equal.")] = "local",
    workers: Annotated[int, typer.Option(min=1, help="Copies of the verifier on Ray, a GPU each if it has any.")] = 1,
    dtype: DType = None,
    device_map: DeviceMap = None,
    experts: Experts = None,
    labels: Labels = [],  # noqa: B006  # typer copies it
) -> int:
    """Write one verdict a line."""
    from swe_rm.scoring import score_to_file
    from swe_rm.sources import open_pile
    from swe_rm.terminal import Progress
    from swe_rm.verifiers import needs_pool

    _writable(out)
    if engine == "local" and workers > 1:
        raise SweRmError("--workers is for --engine ray; one process uses all cores")
    pool = _read(paths, labels)[1] if needs_pool(verifier) else None
    with _scorer(engine, workers, verifier, pool, dtype=dtype, device_map=device_map, experts=experts) as judge:
        pile = open_pile(paths, labels=labels)
        with Progress("scoring") as progress:
            tally = score_to_file(pile.attempts(), judge, out, resume=resume, progress=progress.advance)
    _say(f"{out}: {tally.scored} scored, {tally.skipped} were there already, by {judge.name}")
    failed = _lines(tally.unscored)
    return _code(tally.scored + tally.skipped, _complain(pile) + failed)


@app.command()
def evaluate(
    paths: Paths,
    verifier: Annotated[
        str | None, typer.Option("--verifier", help="As for rank; default where none is given.")
    ] = None,
    verdicts: Annotated[
        Path | None, typer.Option("--verdicts", metavar="FILE", help="Recorded verdicts, in place of a verifier.")
    ] = None,
    policy: Annotated[
        Literal["exact", "family"], typer.Option(help="family: drop a policy's trailing [configuration].")
    ] = "exact",
    k_max: Annotated[int | None, typer.Option(min=1, help="Keep only tasks with at least K attempts.")] = None,
    unscored: Annotated[
        Literal["drop", "lowest", "mean"], typer.Option(help="How attempts without a verdict count; it moves RM@K.")
    ] = "drop",
    price_per_hour: Annotated[
        float | None, typer.Option(metavar="PRICE", help="Of the machine that judges: says what verdicts cost.")
    ] = None,
    trained_on: Annotated[
        list[Path],
        typer.Option(metavar="PATH", help="What it was trained on: its checkpoint, mix, attempts, or ids in a .txt."),
    ] = [],  # noqa: B006
    resamples: Annotated[int, typer.Option(min=1, help="Draws of tasks that the intervals rest on.")] = 10_000,
    dtype: DType = None,
    device_map: DeviceMap = None,
    experts: Experts = None,
    labels: Labels = [],  # noqa: B006  # typer copies it
    json: JsonFile = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a self-contained report there.")] = None,
) -> int:
    """Measure a verifier against what the tests said, with controls beside it."""
    from swe_rm import report
    from swe_rm.evaluate import measure
    from swe_rm.terminal import Progress

    if verifier and verdicts:
        raise SweRmError("--verifier and --verdicts exclude each other")
    _page(html)
    _document(json)
    seen = _seen(trained_on, None if verdicts else verifier or "default", paths)
    failed = 0
    if verdicts:
        pile, gathered = _gathered(paths, labels)
        scored = gathered.scored(_recorded(verdicts, gathered.named))
    else:
        models = {"dtype": dtype, "device_map": device_map, "experts": experts}
        pile, scored, failed = _judged(paths, labels, verifier or "default", models)
    with Progress("measuring"):
        found = measure(
            scored, policy=policy, k_max=k_max, unscored=unscored, price_per_hour=price_per_hour, trained_on=seen,
            resamples=resamples,
        )  # fmt: skip
    if html:
        report.write_html(found, html)
    _write_json(json, report.document(found))
    report.print_report(found, _console(json))
    _lines(found.warnings)
    return _code(found.metrics.n_attempts, _complain(pile) + failed)


@app.command()
def compare(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="What evaluate --json wrote; with --attempts, what score wrote too."),
    ],
    attempts: Annotated[
        list[Path], typer.Option(metavar="PATH", help="The attempts that files of verdicts are about.")
    ] = [],  # noqa: B006
    policy: Annotated[
        Literal["exact", "family"], typer.Option(help="As for evaluate; for files of verdicts.")
    ] = "exact",
    resamples: Annotated[int, typer.Option(min=1, help="Draws of tasks that the intervals rest on.")] = 10_000,
    labels: Labels = [],  # noqa: B006  # typer copies it
    json: JsonFile = None,
) -> int:
    """Compare verifiers on the attempts they all judged, with intervals on their differences."""
    from swe_rm.compare import compare as contest
    from swe_rm.compare import entry_of, read_evaluation
    from swe_rm.comparison_report import print_comparison
    from swe_rm.terminal import Progress

    _document(json)
    refused = 0
    if attempts:
        pile, gathered = _gathered(attempts, labels, lengths=False)
        refused = _complain(pile)
    entries = []
    for file in files:
        if attempts and ".jsonl" in file.suffixes:
            entries.append(entry_of(gathered.scored(_recorded(file, gathered.named)), policy))
        else:
            entries.append(read_evaluation(file))
    with Progress("comparing"):
        found = contest(entries, resamples=resamples)
    _write_json(json, found.to_json())
    print_comparison(found, _console(json))
    return _code(len(entries), refused)


@app.command()
def attack(
    paths: Paths,
    verifier: VerifierName = "default",
    threshold: Annotated[float, typer.Option(min=0, max=1, metavar="P", help="Above it an attempt is accepted.")] = 0.5,
    best_of: Annotated[
        int, typer.Option(min=0, metavar="N", help="Rewritings the search tries of each attempt; 0 for no search.")
    ] = 64,
    family: Annotated[list[str], typer.Option(metavar="NAME", help="Only this way of rewriting; repeatable.")] = [],  # noqa: B006
    sample: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Only so many of the attempts, drawn by --seed.")
    ] = None,
    seed: Annotated[int, typer.Option()] = 0,
    dtype: DType = None,
    device_map: DeviceMap = None,
    experts: Experts = None,
    labels: Labels = [],  # noqa: B006  # typer copies it
    json: JsonFile = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.jsonl", help="Write the rewritten attempts, to train against.")
    ] = None,
) -> int:
    """Rewrite attempts without touching their patches, and show what that does to their scores."""
    from swe_rm.attack import attack as run
    from swe_rm.attack import drawn
    from swe_rm.attack.writing import writer
    from swe_rm.attack_report import print_attack
    from swe_rm.scoring import Unscored
    from swe_rm.terminal import Progress

    _document(json)
    if out:
        _new(out)
    pile, attempts = _read(paths, labels)
    chosen = drawn(attempts, sample, seed)
    judge = _load(verifier, attempts, dtype=dtype, device_map=device_map, experts=experts)
    failures: list[Unscored] = []
    with writer(out) as write, Progress("rewriting", len(chosen)) as progress:
        found = run(
            chosen, judge, threshold=threshold, best_of=best_of, families=family, seed=seed,
            unscored=failures.append, written=write, progress=progress.advance,
        )  # fmt: skip
    _write_json(json, found.to_json())
    print_attack(found, _console(json))
    return _code(found.n_attempts, _complain(pile) + _lines(failures))


@app.command()
def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.yaml")],
    set_: Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="Change one key of the file.")] = [],  # noqa: B006
) -> int:
    """Train a verifier as the file says; run again to resume."""
    from swe_rm.parallel import is_main
    from swe_rm.recipe import TrainConfig
    from swe_rm.terminal import Progress
    from swe_rm.train import train as run

    settings = TrainConfig.load(config, set_)
    if sys.stderr.isatty() and is_main():
        with Progress("training") as progress:
            folder = run(settings, progress=progress.reach)
    else:  # the lines of the run itself say how far it is
        folder = run(settings)
    if is_main():
        typer.echo(str(folder))
    return 0


@app.command()
def calibrate(
    paths: Paths,
    method: Annotated[Literal["temperature", "platt", "beta", "isotonic"], typer.Option()],
    out: OutFolder,
    verifier: VerifierName = "default",
    verdicts: Annotated[
        Path | None,
        typer.Option("--verdicts", metavar="FILE", help="Its verdicts on these attempts, e.g. out-of-fold ones."),
    ] = None,
    labels: Labels = [],  # noqa: B006  # typer copies it
) -> int:
    """Fit a calibrator to a verifier's scores; use it as calibrated:DIR."""
    from swe_rm.verifiers import absolute_spec, calibrated

    _new(out)
    pile, attempts = _read(paths, labels)
    judge = _load(verifier, attempts)
    trajectories = [item.trajectory for item in attempts]
    answers, failed = (_recorded(verdicts, trajectories), 0) if verdicts else _score(attempts, judge)
    calibration = calibrated.fitted(absolute_spec(verifier), judge.name, method, attempts, answers)
    calibrated.save(out, calibration)
    typer.echo(
        f"{out}: {method} for {judge.name}, {calibration.calibrator.n} attempts at {calibration.n_tasks} tasks, "
        f"ECE {calibration.ece_before:.3f} before and {calibration.ece_after:.3f} after, out of fold"
    )
    return _code(calibration.calibrator.n, _complain(pile) + failed)


@app.command()
def ingest(
    paths: Paths,
    out: OutFolder,
    labels: Labels = [],  # noqa: B006  # typer copies it
) -> int:
    """Read attempts of any format into shards of our own, with their outcomes."""
    from swe_rm import store
    from swe_rm.sources import open_pile
    from swe_rm.terminal import Progress

    pile = open_pile(paths, labels=labels)
    try:
        with Progress("reading") as progress:
            manifest = store.write(progress.over(pile.attempts()), out)
    except SweRmError:
        _complain(pile)
        raise
    typer.echo(f"{out}: {manifest.n_attempts} attempts in {len(manifest.shards)} shards")
    return _code(manifest.n_attempts, _complain(pile))


@app.command()
def mix(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.yaml")],
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Folder to write; must not exist.")] = None,
    explain: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Say why one attempt is dropped or kept: attempt_id, or task/policy/attempt."),
    ] = None,
    engine: Annotated[Literal["local", "ray"], typer.Option(help="What reads the attempts; the result is equal.")] = (
        "local"
    ),
    workers: Annotated[int, typer.Option(min=1, help="Processes that read.")] = 1,
    set_: Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="Change one key of the file.")] = [],  # noqa: B006
) -> int:
    """Make a training mix as the file says: cleaned, decontaminated, balanced, drawn, every attempt accounted for."""
    from swe_rm.mix import MixConfig, plan, write
    from swe_rm.mix.engines import engine as engine_of
    from swe_rm.mix.ledger import summary
    from swe_rm.terminal import Progress

    if out is None and explain is None:
        raise SweRmError("give --out DIR for the mix, or --explain ID")
    if out:
        _new(out)
    with Progress("reading") as progress:
        made = plan(MixConfig.load(config, set_), engine_of(engine, workers), progress.over)
    refused = _complain(made.pile)
    if explain is not None:
        typer.echo(made.explain(explain))
    if out:
        with Progress("writing") as progress:
            write(made, out, progress.over)
        for line in summary(made.manifest.ledger):
            typer.echo(line)
        n_parts = len(made.manifest.parts)
        typer.echo(f"{out}: {made.manifest.ledger.kept:,} attempts in {n_parts} part{'s' if n_parts > 1 else ''}")
    return _code(made.manifest.ledger.kept, refused)


@app.command()
def inspect(
    paths: Paths,
    labels: Labels = [],  # noqa: B006  # typer copies it
    tasks: Annotated[
        list[Path],
        typer.Option("--tasks", metavar="FILE", help="Task rows with gold patches; those among PATH are found."),
    ] = [],  # noqa: B006
    examples: Annotated[int, typer.Option(min=0, help="Show so many examples of each finding.")] = 2,
    json: JsonFile = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a self-contained page there.")] = None,
) -> int:
    """Say what is in a pile of attempts and what is suspicious about it."""
    from swe_rm.inspection import inspect as look
    from swe_rm.inspection.findings import document
    from swe_rm.inspection.gold import read_gold, with_gold
    from swe_rm.inspection_page import write_page
    from swe_rm.inspection_report import print_inspection
    from swe_rm.sources import open_pile
    from swe_rm.terminal import Progress

    _page(html)
    _document(json)
    pile = open_pile(paths, labels=labels)
    gold = read_gold([*tasks, *with_gold(pile.side_files)])
    with Progress("inspecting") as progress:
        found = look(progress.over(pile.attempts()), gold)
    if not found.tally.n:
        return _code(0, _complain(pile))
    if html:
        write_page(found, html)
    _write_json(json, document(found))
    print_inspection(found, _console(json), examples)
    return _code(found.tally.n, _complain(pile))


@app.command()
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
    _document(json)
    _writable(out)
    if out:
        _new(out)
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
    _write_json(json, report.to_json())
    console = _console(json)
    for part in report.parts():
        console.print(part, soft_wrap=True)
    return _code(report.n_attempts, _complain(pile) + failed)


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that ingest wrote.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="One document a line; .gz or .zst compress.")],
    format: Annotated[
        Literal["attempts", "openai", "atif"], typer.Option("--format", help="Rows of ours, chat rows, or ATIF.")
    ] = "attempts",
) -> int:
    """Write ingested attempts in a format for others."""
    from swe_rm import store
    from swe_rm.export import write
    from swe_rm.terminal import Progress

    _new(out)
    with Progress("writing") as progress:
        count = write(progress.over(store.read(folder)), out, format)
    typer.echo(f"{out}: {count} attempts")
    return 0


@app.command()
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
        _say(f"{out}: stopped; attempts at work are abandoned, the same command goes on")
        raise
    _say(f"{out}: {done.made} attempts made, {done.there} were there already; {done.spent} in all")
    _lines([*done.notes, *done.failed])
    if done.stopped:
        _say(f"stopped: {done.stopped}; {done.left} attempts were not started")
    return _code(done.made + done.there, len(done.failed) + done.left)


@app.command()
def doctor() -> int:
    """Say what is installed, what the machine has, and which verifier is shipped."""
    from swe_rm import doctor as checks

    _console(None).print(checks.table())
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code; every error a user can mend is one line on stderr."""
    try:
        return int(app(_spelled_out(sys.argv[1:] if argv is None else argv), standalone_mode=False) or 0)
    except typer.TyperException as error:
        _say(f"swe-rm: {error.format_message()} (swe-rm --help shows the commands)")
    except SweRmError as error:
        _say(f"swe-rm: {error}")
    except OSError as error:
        _say(f"swe-rm: {error.filename or ''}: {error.strerror or error}")
    except typer.Abort:
        _say("swe-rm: stopped")
    return 1


def _spelled_out(argv: Sequence[str]) -> list[str]:
    """The contract's two freedoms, spelled out: `--json` alone is stdout, `VERB PATH --labels A B` gives two files.

    Where the paths come last, as in `VERB --labels A PATH`, a `--labels` takes one file.
    """
    words: list[str] = []
    paths_first = len(argv) > 1 and not argv[1].startswith("-")
    option = ""
    for word in argv:
        if word.startswith("-") and word != str(STDOUT):
            words += [str(STDOUT)] if option == "--json" else []
            option = word
        elif option == "--labels":
            words += ["--labels"] if paths_first and words[-1] != "--labels" else []
        else:
            option = ""
        words.append(word)
    return [*words, str(STDOUT)] if option == "--json" else words


def _read(paths: Sequence[Path], labels: Sequence[Path]) -> tuple["Pile", list["Labelled"]]:
    from swe_rm.sources import open_pile
    from swe_rm.terminal import Progress

    pile = open_pile(paths, labels=labels)
    with Progress("reading") as progress:
        return pile, list(progress.over(pile.attempts()))


def _load(spec: str, pool: "Sequence[Labelled] | None", **options: str | None) -> "Verifier":
    from swe_rm.terminal import Progress
    from swe_rm.verifiers import load_verifier

    with Progress(f"loading {spec}"):
        return load_verifier(spec, pool=pool, options={k: v for k, v in options.items() if v is not None})


@contextmanager
def _scorer(
    engine: str, workers: int, spec: str, pool: "Sequence[Labelled] | None", **options: str | None
) -> Iterator["Verifier | Scorer"]:
    """The verifier in this process, or in workers on Ray."""
    if engine == "local":
        yield _load(spec, pool, **options)
        return
    from swe_rm.score_engines import on_ray
    from swe_rm.terminal import Progress

    with ExitStack() as stack:
        given = {key: value for key, value in options.items() if value is not None}
        with Progress(f"loading {spec} on Ray"):
            scorer = stack.enter_context(on_ray(spec, workers, pool=pool, options=given))
        yield scorer


def _score(attempts: Sequence["Labelled"], verifier: "Verifier") -> tuple[dict[str, "Verdict"], int]:
    """Verdicts by attempt id, and how many attempts got none; each of those is a line on stderr."""
    from swe_rm.scoring import Unscored, score
    from swe_rm.terminal import Progress

    failures: list[Unscored] = []
    with Progress("scoring", len(attempts)) as progress:
        trajectories = [item.trajectory for item in attempts]
        verdicts = score(trajectories, verifier, unscored=failures.append, progress=progress.advance)
    return verdicts, _lines(failures)


def _executed(rule: Sequence[str], tests: Sequence[Path], attempts: Sequence["Labelled"]) -> "Mapping[str, Executed]":
    """What tests said of the attempts; rules and files that cannot be used are found out before the work."""
    from swe_rm.selection import check_rules, read_tests

    check_rules(rule)
    tested = read_tests(tests, [item.trajectory for item in attempts])
    if tested.strays:
        _say(f"{tested.strays} of the test results are about attempts that are not here")
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
) -> float:
    """The threshold that known attempts at other tasks vouch for; it is told on stderr."""
    from swe_rm.abstention import choose_threshold, known_picks

    by_id = {item.trajectory.attempt_id: item for item in others}
    verdicts, _ = _score(others, judge)
    known, (first, *_) = _choices({id_: by_id[id_] for id_ in verdicts}, verdicts, [rule], executed)
    if shared := {group.instance_id for group in known} & {group.instance_id for group in groups}:
        raise SweRmError(f"--known has {len(shared)} of the tasks to rank, e.g. {min(shared)}: it must have others")
    picks = known_picks(known, first, {id_: item.outcome for id_, item in by_id.items()})
    found = choose_threshold(picks, max_wrong, assurance)
    _say(str(found))
    return found.threshold


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
    _lines(harness.overruled(attempts, labelled))
    known = sum(entry.outcome is not Outcome.UNKNOWN for entry in found.values())
    _say(f"{settings.folder}: {harness.named(settings)} tested {len(found)} attempts, {known} have an outcome")
    return labelled, _lines(failures)


def _recorded(file: Path, attempts: Sequence["Named"]) -> dict[str, "Verdict"]:
    from swe_rm.verifiers.recorded import join, read_verdicts

    return join(read_verdicts(file), attempts)


def _seen(trained_on: Sequence[Path], verifier: str | None, paths: Sequence[Path]) -> frozenset[str]:
    """Tasks the verifier is known to have been trained on; None is a file of verdicts, which has no card."""
    from swe_rm.trained_on import told_by_card, trained_tasks

    return trained_tasks(trained_on) | (frozenset() if verifier is None else told_by_card(verifier, paths))


def _gathered(paths: Sequence[Path], labels: Sequence[Path], *, lengths: bool = True) -> tuple["Pile", "Gathering"]:
    """What measuring needs of a pile's attempts; their logs do not stay in memory."""
    from swe_rm.scored import Gathering
    from swe_rm.sources import open_pile
    from swe_rm.terminal import Progress

    pile, gathered = open_pile(paths, labels=labels), Gathering(lengths=lengths)
    with Progress("reading") as progress:
        for item in progress.over(pile.attempts()):
            gathered.add(item)
    return pile, gathered


def _judged(
    paths: Sequence[Path], labels: Sequence[Path], spec: str, models: dict[str, str | None]
) -> tuple["Pile", "Scored", int]:
    """A pile's attempts with a verifier's verdicts, and how many got none; each of those is a line on stderr.

    All logs are in memory only where the verifier must see the whole pile first.
    """
    from swe_rm.scored import judged
    from swe_rm.scoring import Unscored
    from swe_rm.sources import open_pile
    from swe_rm.terminal import Progress
    from swe_rm.verifiers import needs_pool

    pile, pool = _read(paths, labels) if needs_pool(spec) else (open_pile(paths, labels=labels), None)
    judge = _load(spec, pool, **models)
    failures: list[Unscored] = []
    with Progress("scoring") as progress:
        attempts = pile.attempts() if pool is None else pool
        scored = judged(attempts, judge, unscored=failures.append, progress=progress.advance)
    return pile, scored, _lines(failures)


def _complain(pile: "Pile") -> int:
    """Print what was refused and noticed while reading; the number of refusals."""
    _lines(pile.notes)
    refused = _lines(pile.refusals)
    if refused or pile.side_files:
        _say(
            f"{pile.n_read} attempts in {len(pile.files_read)} files; {len(pile.side_files)} side files; "
            f"{refused} refused, {len(pile.files_refused)} files whole"
        )
    return refused


def _lines(items: Iterable[Any]) -> int:
    lines = [str(item) for item in items]
    for line in lines:
        _say(line)
    return len(lines)


def _say(line: str) -> None:
    """One line on stderr, whatever hostile text a file put into it."""
    typer.echo("".join(c if c.isprintable() else " " for c in line), err=True)


def _code(done: int, refused: int) -> int:
    if not done:
        _say("swe-rm: nothing could be done")
        return 1
    return 2 if refused else 0


def _console(json: Path | None) -> Any:
    """Where tables go: not among the JSON when that goes to stdout."""
    from rich.console import Console

    return Console(stderr=json == STDOUT)


def _writable(*files: Path | None) -> None:
    """Find out before the work, not after it, that a file cannot be written."""
    for file in files:
        if file and file != STDOUT and (file.is_dir() or not file.absolute().parent.is_dir()):
            raise SweRmError(f"{file}: cannot be written: {'is a folder' if file.is_dir() else 'no such folder'}")


def _document(file: Path | None) -> None:
    """Find out that a --json file can be written and is no file of attempts the user meant to read."""
    _writable(file)
    if file != STDOUT:
        _ours(file, rb'\{\s*"(?:tasks|verifiers?|labels|n_attempts)"', "JSON")


def _page(file: Path | None) -> None:
    """The same of an --html file."""
    from swe_rm.page import HEAD

    _writable(file)
    _ours(file, re.escape(HEAD.encode()), "page")


def _ours(file: Path | None, head: bytes, what: str) -> None:
    """Raise SweRmError for a file that is there, is not empty, and does not begin as ours do."""
    if not file or not file.exists():
        return
    with file.open("rb") as stream:
        start = stream.read(_REPORT_HEAD)
    if start and not re.match(head, start):
        raise SweRmError(f"{file}: exists and is no {what} that swe-rm wrote: not overwritten")


_REPORT_HEAD = 128
"""Bytes that tell a document of ours: it begins with one of a few keys, or as every page does."""


def _new(path: Path) -> None:
    if path.exists():
        raise SweRmError(f"{path}: exists; give another --out")
    parent = path.parent
    if path.is_symlink() or not parent.is_dir() or not os.access(parent, os.W_OK):
        raise SweRmError(f"{path}: cannot be made; is {parent} a folder one can write to?")


def _write_json(file: Path | None, document: Any) -> None:
    import orjson

    if file is None:
        return
    data = orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS) + b"\n"
    if file == STDOUT:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    else:
        file.write_bytes(data)


if __name__ == "__main__":
    sys.exit(main())
