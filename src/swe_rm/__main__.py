"""The command line: every verb of `verbs`, exit codes, and errors as one line.

Exit codes: 0 everything was read; 2 something was refused, with a line each on stderr, and the rest is done all the
same; 1 nothing could be done.
"""

import os
import sys
from collections.abc import Sequence

import typer

from swe_rm.errors import SweRmError
from swe_rm.verbs.attack import attack
from swe_rm.verbs.audit import audit
from swe_rm.verbs.calibrate import calibrate
from swe_rm.verbs.collect import collect
from swe_rm.verbs.compare import compare
from swe_rm.verbs.doctor import doctor
from swe_rm.verbs.evaluate import evaluate
from swe_rm.verbs.experiment import experiment
from swe_rm.verbs.export import export
from swe_rm.verbs.ingest import ingest
from swe_rm.verbs.inspect_pile import inspect
from swe_rm.verbs.label import label
from swe_rm.verbs.mix import mix
from swe_rm.verbs.options import STDOUT
from swe_rm.verbs.parity import parity
from swe_rm.verbs.playground import playground
from swe_rm.verbs.progress import progress
from swe_rm.verbs.rank import rank
from swe_rm.verbs.rl import rl
from swe_rm.verbs.score import score
from swe_rm.verbs.serve import serve
from swe_rm.verbs.simulate import simulate
from swe_rm.verbs.telling import say
from swe_rm.verbs.train import train

app = typer.Typer(
    name="swe-rm",
    help="Judge coding agents' attempts at issues: score, rank, measure, train.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

VERBS = (
    rank, score, progress, evaluate, compare, parity, attack, audit, simulate, train, calibrate, ingest, mix, inspect,
    label, export, collect, serve, doctor,
)  # fmt: skip
"""In the order of --help."""

for verb in VERBS:
    app.command()(verb)
app.add_typer(playground, name="playground")
app.add_typer(rl, name="rl")
app.add_typer(experiment, name="experiment")


SPINS = "1000"
"""How often a thread of torch's looks for work before it sleeps, unless the user says otherwise (GOMP_SPINCOUNT).

OpenMP's own 300,000 are as fast on idle cores, and where another process has one of two they took a verdict of the
shipped model from 0.05 s to between 0.1 and 1 s.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code; every error a user can mend is one line on stderr."""
    os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
    try:
        return int(app(_spelled_out(sys.argv[1:] if argv is None else argv), standalone_mode=False) or 0)
    except typer.TyperException as error:
        say(f"swe-rm: {error.format_message()} (swe-rm --help shows the commands)")
    except SweRmError as error:
        say(f"swe-rm: {error}")
    except OSError as error:
        say(f"swe-rm: {error.filename or ''}: {error.strerror or error}")
    except typer.Abort:
        say("swe-rm: stopped")
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


if __name__ == "__main__":
    sys.exit(main())
