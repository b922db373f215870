"""`swe-rm rl`: reinforcement learning in the playground with a verifier's scores, tests or both as the reward."""

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swe_rm.verbs.files import check_document, write_json
from swe_rm.verbs.options import JsonFile
from swe_rm.verbs.telling import console_for, say

if TYPE_CHECKING:
    from rich.table import Table

rl = typer.Typer(
    help="Reinforcement learning in the playground: a small policy, really executed attempts, any verifier as reward.",
    no_args_is_help=True,
)


@rl.callback()
def _group() -> None:
    """Keep `train` a verb of its own while it is the only one."""


@rl.command()
def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.yaml")],
    set_: Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="Change one key of the file.")] = [],  # noqa: B006
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
    write_json(json, result)
    console_for(json).print(_table(result))
    return 0


def _table(result: dict[str, Any]) -> "Table":
    """The last look beside the first, by split."""
    from rich.table import Table

    table = Table("split", "start", "final", "attempts", "edits tests", "claims falsely", "loops", "unknown")
    for split, final in result["final"].items():
        counts = [final[name] for name in ("attempts", "edits_tests", "claims_falsely", "loops", "unknown")]
        table.add_row(split, _percent(result["start"][split]["rate"]), _percent(final["rate"]), *map(str, counts))
    return table


def _percent(rate: float | None) -> str:
    return "-" if rate is None else f"{100 * rate:.1f}%"
