"""`swe-rm simulate`: what a verifier's scores would teach a policy, from logged attempts."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swe_rm.errors import SweRmError
from swe_rm.verbs.files import check_document, write_json
from swe_rm.verbs.judging import load, not_fitted_on, recorded_verdicts, verdicts_of
from swe_rm.verbs.options import (
    DeviceMap,
    DType,
    Experts,
    JsonFile,
    Labels,
    Paths,
    PolicyName,
    Verdicts,
    VerifierOrDefault,
)
from swe_rm.verbs.reading import read_attempts
from swe_rm.verbs.telling import complain, console_for, exit_code, say_all

if TYPE_CHECKING:
    from swe_rm.trajectory import Labelled
    from swe_rm.verdict import Verdict


def simulate(
    paths: Paths,
    verifier: VerifierOrDefault = None,
    verdicts: Verdicts = None,
    policy: PolicyName = "exact",
    steps: Annotated[int, typer.Option(min=1, help="Of training.")] = 500,
    seeds: Annotated[int, typer.Option(min=1, help="Policies trained; each holds out a fifth of the tasks.")] = 10,
    dtype: DType = None,
    device_map: DeviceMap = None,
    experts: Experts = None,
    labels: Labels = [],  # noqa: B006  # typer copies it
    json: JsonFile = None,
) -> int:
    """Predict what a policy trained with a verifier's scores as the reward would come to resolve."""
    import numpy as np

    from swe_rm.logged_policy import Plan
    from swe_rm.scored import Scored
    from swe_rm.simulate import simulate as simulated
    from swe_rm.simulation_report import print_simulation
    from swe_rm.terminal import Progress
    from swe_rm.trained_on import shipped_tasks
    from swe_rm.verifiers.facts import HABITS, habits

    if verifier and verdicts:
        raise SweRmError("--verifier and --verdicts exclude each other")
    check_document(json)
    pile, attempts = read_attempts(paths, labels)
    models = {"dtype": dtype, "device_map": device_map, "experts": experts}
    given, failed = _verdicts(attempts, verifier or "default", verdicts, models)
    scored = Scored.of(attempts, given, lengths=False)
    with Progress("looking at attempts", len(attempts)) as progress:
        rows = [habits(item.trajectory) for item in progress.over(attempts)]
    facts = np.array(rows, dtype=np.float64).reshape(-1, len(HABITS))
    seen = shipped_tasks(scored.verifier, set(scored.tasks))
    with Progress("simulating"):
        found = simulated(scored, facts, policy=policy, plan=Plan(steps=steps, seeds=seeds), trained_on=seen)
    write_json(json, found.to_json())
    print_simulation(found, console_for(json))
    say_all(found.warnings)
    return exit_code(found.task.n_attempts, complain(pile) + failed)


def _verdicts(
    attempts: Sequence["Labelled"], spec: str, file: Path | None, models: dict[str, str | None]
) -> tuple[dict[str, "Verdict"], int]:
    """By attempt id, and how many attempts got none from a verifier; each of those is a line on stderr."""
    if file is None:
        return verdicts_of(list(not_fitted_on(attempts, spec)), load(spec, attempts, **models))
    return recorded_verdicts(file, [item.trajectory for item in attempts]), 0
