"""Arguments and options that several verbs share."""

from pathlib import Path
from typing import Annotated, Literal

import typer

STDOUT = Path("-")

Paths = Annotated[
    list[Path],
    typer.Argument(
        metavar="PATH...",
        help="Files or folders of attempts, in any known format.",
        readable=False,  # typer's check ends all; one path that cannot be read is one line
    ),
]
VerifierName = Annotated[
    str,
    typer.Option(
        "--verifier",
        help="default, model, features, a checkpoint folder, a verifier file (.yaml), http://HOST:PORT, "
        "recorded:FILE, mean:A,B, calibrated:DIR, a control, or module:attribute.",
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
VerifierOrDefault = Annotated[str | None, typer.Option("--verifier", help="As for rank; default where none is given.")]
Verdicts = Annotated[
    Path | None, typer.Option("--verdicts", metavar="FILE", help="Recorded verdicts, in place of a verifier.")
]
PolicyName = Annotated[
    Literal["exact", "family"], typer.Option("--policy", help="family: a policy's name without [...] at its end.")
]
