"""Makes every arm of configs/mixes from labelled attempts and writes docs/mixes.svg and the table of docs/mixes.md.

python scripts/describe_mixes.py DATA_FOLDER
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from swe_rm.mix import Gathered, MixConfig, MixManifest, decide, gather
from swe_rm.mix.engines import engine
from swe_rm.trajectory import Outcome

HERE = Path(__file__).parents[1]
PAGE, PICTURE = HERE / "docs" / "mixes.md", HERE / "docs" / "mixes.svg"
BEGIN, END = "<!-- table: scripts/describe_mixes.py -->\n", "<!-- end of table -->\n"
FIVE = ("acr_lite", "moatless_lite", "lgetter_sweagent_verified", "gruckion_mini_gemini3pro", "fastxyz_noexec_verified")
ON = "AutoCodeRover*"


class Arm(NamedTuple):
    """One mix of a config's family."""

    family: str
    name: str
    overrides: tuple[str, ...]


def _sources(names: Sequence[str]) -> str:
    return "sample.sources={" + ", ".join(f"{name}: 1" for name in names) + "}"


ARMS = (
    Arm("all", "all", ()),
    *(Arm("data_scale", f"{n}", (f"sample.total={n}",)) for n in (200, 400, 800, 1600, 3200)),
    *(
        Arm("positive_ratio", name, (f"sample.positives_per_negative={ratio}",))
        for name, ratio in (("1:4", 0.25), ("1:2", 0.5), ("1:1", 1), ("2:1", 2), ("4:1", 4))
    ),
    Arm("policy_mixture", "on-policy", ('sample.policies={"' + ON + '": 1}',)),
    Arm("policy_mixture", "off-policy", ('sample.policies={"' + ON + '": 0, "*": 1}',)),
    Arm("policy_mixture", "both", ()),
    *(Arm("source_composition", f"{source} alone", (_sources([source]),)) for source in FIVE),
    *(Arm("source_composition", f"all but {out}", (_sources([s for s in FIVE if s != out]),)) for out in FIVE),
    Arm("source_composition", "all five", ()),
)


def main(folder: Path) -> None:
    """Make the arms; arms that read the same are read once."""
    pools: list[Gathered] = []
    made: list[tuple[Arm, MixManifest]] = []
    for arm in ARMS:
        config = _config(arm, folder)
        if not any(pool.config.reading() == config.reading() for pool in pools):
            pools.append(gather(config, engine("local", 1)))
        pool = next(pool for pool in pools if pool.config.reading() == config.reading())
        made.append((arm, decide(pool, config).manifest))
    page = PAGE.read_text(encoding="utf-8")
    before, after = page.split(BEGIN)[0], page.split(END)[1]
    PAGE.write_text(before + BEGIN + _table(made) + END + after, encoding="utf-8")
    _picture(made)


def _config(arm: Arm, folder: Path) -> MixConfig:
    config = MixConfig.load(HERE / "configs" / "mixes" / f"{arm.family}.yaml", arm.overrides)
    moved = {key: [str(folder / path.name) for path in getattr(config, key)] for key in ("data", "tasks")}
    listed = config.decontaminate
    against = {"against": [str(folder / path.name) for path in listed.against]} if listed else None
    return MixConfig.model_validate(config.model_dump() | moved | {"decontaminate": against})


def _table(made: Sequence[tuple[Arm, MixManifest]]) -> str:
    lines = [
        "| mix | arm | attempts | resolved | tasks | policies | same-policy pairs | policy AUC | task AUC |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for arm, manifest in made:
        part = manifest.parts["all"]
        policies = sum(map(len, part.contents.values()))
        cells = (
            arm.family, arm.name, f"{part.n_attempts:,}", f"{_resolved(manifest):.0%}", part.n_tasks, policies,
            part.priors.n_pairs_same_policy_task, _figure(part.priors.policy_auc), _figure(part.priors.task_auc),
        )  # fmt: skip
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"


def _resolved(manifest: MixManifest) -> float:
    part = manifest.parts["all"]
    return part.outcomes.get(Outcome.RESOLVED, 0) / part.n_attempts


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _picture(made: Sequence[tuple[Arm, MixManifest]]) -> None:
    """Shares of the sources in every arm, resolved ones dark, and the policy AUC beside them."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams |= {"svg.hashsalt": "swe-rm", "svg.fonttype": "none"}
    from matplotlib import pyplot

    totals: dict[str, int] = {}
    for _, manifest in made:
        for source, policies in manifest.parts["all"].contents.items():
            totals[source] = totals.get(source, 0) + sum(sum(counts.values()) for counts in policies.values())
    sources = sorted(totals, key=lambda source: -totals[source])
    palette = [*pyplot.get_cmap("tab10").colors, "black", "gold", "navy", "teal"]
    colours = dict(zip(sources, palette, strict=False))
    places, place = [], 0.0
    for number, (arm, _) in enumerate(made):
        place += 1.6 if number and arm.family != made[number - 1][0].family else 1.0
        places.append(place)
    figure, (bars, right) = pyplot.subplots(
        1, 2, figsize=(11, 9.5), sharey=True, width_ratios=[4, 1], layout="constrained"
    )
    for where, (_, manifest) in zip(places, made, strict=True):
        _bar(bars, where, manifest, sources, colours)
        right.plot(manifest.parts["all"].priors.policy_auc, where, "o", color="black")
    bars.set_yticks(places, [f"{arm.family}: {arm.name}" for arm, _ in made])
    bars.invert_yaxis()
    bars.set(xlim=(0, 1), xlabel="share of the attempts; the solid part of each source is resolved")
    right.axvline(0.5, color="grey", linewidth=0.8)
    right.set(xlim=(-0.05, 1), xlabel="AUC of the policy alone\n(0.5 and below:\nit tells nothing)")
    right.grid(axis="y", alpha=0.3)
    handles = [pyplot.Rectangle((0, 0), 1, 1, color=colours[source]) for source in sources]
    figure.legend(handles, sources, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    figure.savefig(PICTURE, metadata={"Date": None})


def _bar(axes: object, where: float, manifest: MixManifest, sources: Sequence[str], colours: dict[str, object]) -> None:
    part = manifest.parts["all"]
    left = 0.0
    for source in sources:
        for outcome, alpha in ((Outcome.RESOLVED, 1.0), (Outcome.UNRESOLVED, 0.4)):
            n = sum(counts.get(outcome, 0) for counts in part.contents.get(source, {}).values())
            axes.barh(where, n / part.n_attempts, left=left, color=colours[source], alpha=alpha, height=0.8)  # type: ignore[attr-defined]
            left += n / part.n_attempts


if __name__ == "__main__":
    main(Path(sys.argv[1]))
