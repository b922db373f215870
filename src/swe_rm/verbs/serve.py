"""`swe-rm serve`: a verifier over HTTP, in the protocols of its callers."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from swe_rm.errors import SweRmError
from swe_rm.verbs.judging import load
from swe_rm.verbs.options import DeviceMap, DType, Experts, VerifierName
from swe_rm.verbs.telling import say


def serve(
    verifier: VerifierName = "default",
    host: Annotated[str, typer.Option(help="Where to listen; any but this machine's own needs tokens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Bearer tokens, one a line; else those in SWE_RM_TOKENS.")
    ] = None,
    cache: Annotated[Path | None, typer.Option(metavar="FILE", help="Keep verdicts in this SQLite file.")] = None,
    deadline: Annotated[float, typer.Option(min=0.001, help="Seconds within which a request is answered.")] = 300,
    max_waiting: Annotated[int, typer.Option(min=1, help="Attempts that may wait; more are sent away (429).")] = 2048,
    max_body: Annotated[int, typer.Option(min=1024, help="Bytes of a request.")] = 64 << 20,
    max_held: Annotated[int, typer.Option(min=1024, help="Bytes of all requests under way.")] = 512 << 20,
    max_tokens: Annotated[int, typer.Option(min=1, help="Tokens of an attempt, about.")] = 1_000_000,
    batch_tokens: Annotated[int, typer.Option(min=1, help="Tokens judged at once, about.")] = 16_384,
    batch_attempts: Annotated[int, typer.Option(min=1, help="Attempts judged at once.")] = 64,
    ageing: Annotated[float, typer.Option(min=0, help="How far short attempts overtake long ones; 0: not.")] = 20,
    engine: Annotated[Literal["local", "ray"], typer.Option(help="Where it is judged.")] = "local",
    workers: Annotated[int, typer.Option(min=1, help="Copies of the verifier on Ray, a GPU each if it has any.")] = 1,
    dtype: DType = None,
    device_map: DeviceMap = None,
    experts: Experts = None,
) -> int:
    """Answer over HTTP until SIGTERM: score, rank, and the bodies of trainers and agents."""
    from swe_rm.serve import check_installed

    check_installed()
    from swe_rm.serve.bearer import check_address, read_bearers
    from swe_rm.serve.running import run
    from swe_rm.serve.settings import Settings
    from swe_rm.verdict import judges_together, reads_origin

    if engine == "local" and workers > 1:
        raise SweRmError("--workers is for --engine ray; one process uses all cores")
    bearers = read_bearers(token_file)
    check_address(host, bearers)
    settings = Settings(
        host=host, port=port, cache=cache, deadline=deadline, max_waiting=max_waiting, max_body=max_body,
        max_held=max_held, max_tokens=max_tokens, batch_tokens=batch_tokens, batch_attempts=batch_attempts,
        ageing=ageing,
    )  # fmt: skip
    if engine == "ray":
        from swe_rm.serve.on_ray import run as run_on_ray

        given = {"dtype": dtype, "device_map": device_map, "experts": experts}
        options = {key: value for key, value in given.items() if value is not None}
        run_on_ray(verifier, settings, bearers, workers=workers, options=options)
    else:
        judge = load(verifier, None, dtype=dtype, device_map=device_map, experts=experts)
        if cache and judges_together(judge):
            say(f"{judge.name} compares the attempts of a request: verdicts are not kept")
        elif cache and reads_origin(judge):
            say(f"{judge.name} tells attempts of equal content apart: verdicts are not kept")
        run(judge, settings, bearers)
    return 0
