"""The report of an experiment as Markdown, and its figures as a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from swe_rm.errors import MissingExtraError
from swe_rm.experiment.definition import Axis, Claim
from swe_rm.experiment.findings import ArmFound, Findings
from swe_rm.experiment.measures import FIGURES
from swe_rm.figures import LOWER_IS_BETTER
from swe_rm.spread import Figure

_DRAWN = ("auc", "auc_within_policy", "auc_same_policy_task", "ece", "gain_at_k")
"""Figures with a panel of their own; the last panel is RM@K over K."""
_COLUMNS = 3
_KS = (1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 24, 32)
"""Columns of RM@K; the curves have every K."""
_NOTHING = {"auc": 0.5, "auc_within_policy": 0.5, "auc_same_policy_task": 0.5, "gain_at_k": 0.0}
"""What a figure is by chance."""
_ROW = 0.22
"""Inches of an arm where arms are rows."""
_FEW = 7
"""Arms whose curves over K can be told apart."""


def markdown(found: Findings) -> str:
    """The whole report."""
    sections = [
        f"# {found.title}\n\n{found.question}",
        _setup(found),
        _figures(found),
        _differences(found),
        _curves(found),
        _claims(found),
        _published(found),
        _settings(found),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _setup(found: Findings) -> str:
    n_seeds = {len(arm.seeds) for arm in found.arms}
    seeds = "/".join(map(str, sorted(n_seeds)))
    dropped = ", ".join(f"{n:,} {step}" for step, n in found.dropped.items()) or "none"
    refused = f", {found.refused:,} records could not be read" if found.refused else ""
    random, oracle = _plain(found.random_at_k), _plain(found.pass_at_k)
    lines = [
        f"Profile {found.profile}, {len(found.arms)} arms, {seeds} seeds each, digest `{found.digest}`. "
        f"Arms differ from `{found.control}` in {', '.join(f'`{key}`' for key in found.varies)} alone.",
        f"Read {found.read:,} attempts{refused}; left out by the control's mix: {dropped}. "
        f"Of {found.held:,} at tasks that no arm trained on, measured on {_of_held(found)}, "
        f"{found.base_rate:.1%} resolved.",
        f"K is {found.k}, the widest that half of these tasks have: "
        f"RM@K is over the {found.n_tasks_at_k:,} tasks with that many (random pick {random}, oracle {oracle}). "
        "In brackets 95% over seeds and tasks.",
        f"Pairs of one policy and task: {found.n_pairs_same_policy_task:,}; upsets: {found.n_pairs_upset:,}. Where "
        "these are few their figures say little. Policies are taken by their whole names.",
        *([f"All arms, by --set: {_listed(found.changes)}."] if found.changes else []),
        *(f"Left out: {line}." for line in found.missing),
    ]
    return "\n\n".join(lines)


def _of_held(found: Findings) -> str:
    """How many of the attempts held out are measured on, and by which keys they were chosen."""
    keys = ("judged", "judged_per_task", "judged_most")
    chosen = {key: found.of_all[key] for key in keys if found.of_all.get(key) not in (None, "*")}
    by = f" ({_listed(chosen)})" if chosen else ""
    return f"{found.n_attempts:,} at {found.n_tasks:,} tasks{by}"


def _listed(keys: Mapping[str, Any]) -> str:
    return "; ".join(f"`{key}`: {value}" for key, value in keys.items())


def _figures(found: Findings) -> str:
    head = ["arm", "attempts", "resolved", "minutes", *FIGURES.values()]
    rows = [
        [
            f"**{arm.name}**" if arm.name == found.control else arm.name,
            f"{arm.drawn:,}",
            f"{arm.resolved_share:.0%}",
            f"{arm.minutes:.1f}",
            *(_cell(arm.metrics[name], arm.intervals[name]) for name in FIGURES),
        ]
        for arm in found.arms
    ]
    return f"## Figures\n\n{_table(head, rows)}"


def _differences(found: Findings) -> str:
    arms = [arm for arm in found.arms if arm.differences]
    if not arms:
        return ""
    rows = [[arm.name, *(_difference(arm.differences.get(name)) for name in FIGURES)] for arm in arms]
    n = sum(len({(one.value, one.interval) for one in arm.differences.values()} - {(None, None)}) for arm in arms)
    said = (
        f"Seed by seed. **Bold**: the interval leaves 0 out, as one in 20 of these {n} (equal ones counted once) would "
        "by chance alone."
    )
    return f"## Differences from {found.control}\n\n{_table(['arm', *FIGURES.values()], rows)}\n\n{said}"


def _curves(found: Findings) -> str:
    shown = [*(k for k in _KS if k < found.k), found.k]
    rows = [[arm.name, *(_plain(arm.rm_at_k[k].value) for k in shown)] for arm in found.arms]
    return f"## RM@K, every K over the same {found.n_tasks_at_k:,} tasks\n\n{_table(['arm', *map(str, shown)], rows)}"


def _claims(found: Findings) -> str:
    rows = [
        [
            one.claim.text,
            one.claim.source,
            f"{FIGURES.get(one.claim.figure, one.claim.figure)}: {_compared(one.claim)}",
            "-" if one.difference is None else _cell(one.difference.value, one.difference.interval, "+"),
            f"**{one.standing}**",
        ]
        for one in found.claims
    ]
    return f"## What was expected\n\n{_table(['expected', 'by', 'figure', 'found', ''], rows)}" if rows else ""


def _compared(claim: Claim) -> str:
    return f"{claim.negative}, below 0" if claim.negative else f"{claim.better} - {claim.than}"


def _published(found: Findings) -> str:
    mine = {arm.name: arm for arm in found.arms}
    rows = [
        [
            one.arm,
            FIGURES.get(one.figure, one.figure),
            f"{one.value:g}",
            _ours(found, mine[one.arm], one.figure) if one.arm in mine else "-",
            one.source,
        ]
        for one in found.published
    ]
    return (
        f"## The paper's figures beside ours\n\n{_table(['arm', 'figure', 'paper', 'here', 'source'], rows)}"
        if rows
        else ""
    )


def _ours(found: Findings, arm: ArmFound, figure: str) -> str:
    """An arm's own figure; one over K with what it stands on: the paper's pool resolves otherwise."""
    if not figure.startswith("rm_at_k."):
        return _cell(arm.metrics[figure], arm.intervals[figure])
    at = figure.removeprefix("rm_at_k.")
    k = found.k if at == "widest" else int(at)
    if k not in arm.rm_at_k:
        return f"not measured, K is {found.k} at most"
    value = arm.rm_at_k[k]
    return f"{_cell(value.value, value.interval)}, K = {k}, random pick {_plain(found.random_at_k)}"


def _settings(found: Findings) -> str:
    rows = [[name, _listed(keys)] for name, keys in found.settings.items() if keys]
    inputs = "\n".join(f"- `{name}` sha256 {digest[:16]}" for name, digest in found.inputs.items())
    made = ", ".join(f"{name} {version}" for name, version in found.versions.items())
    return (
        f"## What arms change\n\n{_table(['arm', 'changes'], rows)}\n\nAll else is in the JSON, under `of_all`.\n\n"
        f"## Inputs\n\n{inputs}\n\n## Made with\n\ncommit {found.commit or 'unknown'}, "
        f"code `{found.code or 'unknown'}`{f', {made}' if made else ''}"
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def _plain(value: float | None, sign: str = "") -> str:
    return "-" if value is None else f"{value:{sign}.3f}"


def _cell(value: float | None, bounds: tuple[float, float] | None, sign: str = "") -> str:
    told = "" if bounds is None else f" [{bounds[0]:{sign}.3f}, {bounds[1]:{sign}.3f}]"
    return f"{_plain(value, sign)}{told}"


def _difference(figure: Figure | None) -> str:
    if figure is None:
        return "-"
    told = _cell(figure.value, figure.interval, "+")
    shown = figure.interval is not None and not figure.interval[0] <= 0 <= figure.interval[1]
    return f"**{told}**" if shown else told


def draw(found: Findings, file: Path) -> None:
    """The figures of every arm with their intervals, and RM@K over K. Raises MissingExtraError without matplotlib."""
    try:
        import matplotlib
    except ImportError:
        raise MissingExtraError("matplotlib", "eval") from None
    matplotlib.use("svg")
    matplotlib.rcParams |= {"svg.hashsalt": "swe-rm", "svg.fonttype": "none", "font.size": 10}
    from matplotlib import pyplot

    height = 3.2 if found.axis else max(3.2, 1 + _ROW * len(found.arms))
    figure, panels = pyplot.subplots(2, _COLUMNS, figsize=(4.2 * _COLUMNS, 2 * height), layout="constrained")
    for place, (panel, name) in enumerate(zip(panels.flat, _DRAWN, strict=False)):
        if found.axis:
            _draw_along(panel, found, name, found.axis)
        else:
            _draw_beside(panel, found, name, named=place % _COLUMNS == 0)
        less = " (less is better)" if name in LOWER_IS_BETTER else ""
        panel.set(title=f"{FIGURES[name].replace('@K', f'@{found.k}')}{less}")
        panel.grid(alpha=0.3)
    _draw_curves(panels.flat[-1], found)
    figure.suptitle(found.title)
    figure.savefig(file, metadata={"Date": None})
    pyplot.close(figure)


def _draw_along(panel: Any, found: Findings, name: str, axis: Axis) -> None:
    """A figure over the factor, where that is a number."""
    arms = sorted((arm for arm in found.arms if arm.metrics[name] is not None), key=lambda arm: axis.at[arm.name])
    xs, ys = [axis.at[arm.name] for arm in arms], [arm.metrics[name] for arm in arms]
    errors = [[_reach(arm, name, side) for arm in arms] for side in (0, 1)]
    panel.errorbar(xs, ys, yerr=errors, fmt="o-", capsize=2)
    if name in _NOTHING:
        panel.plot(xs, [_NOTHING[name]] * len(xs), color="grey", linestyle=":", linewidth=1)
    if axis.logarithmic:
        panel.set_xscale("log", base=2)
    panel.set_xticks(xs, [f"{x:g}" for x in xs])
    panel.minorticks_off()
    panel.set(xlabel=axis.title)


def _draw_beside(panel: Any, found: Findings, name: str, *, named: bool) -> None:
    """A figure of arms that have no order, a row each, in the same rows in every panel."""
    rows = [(row, arm) for row, arm in enumerate(found.arms) if arm.metrics[name] is not None]
    errors = [[_reach(arm, name, side) for _, arm in rows] for side in (0, 1)]
    panel.errorbar([arm.metrics[name] for _, arm in rows], [row for row, _ in rows], xerr=errors, fmt="o", capsize=2)
    if name in _NOTHING:
        ends = -0.5, len(found.arms) - 0.5
        panel.plot([_NOTHING[name]] * 2, ends, color="grey", linestyle=":", linewidth=1)
    panel.set_yticks(range(len(found.arms)), [arm.name if named else "" for arm in found.arms])
    panel.set_ylim(len(found.arms) - 0.5, -0.5)


def _reach(arm: ArmFound, name: str, side: int) -> float:
    value, bounds = arm.metrics[name], arm.intervals[name]
    return 0.0 if bounds is None or value is None else abs(bounds[side] - value)


def _named_curves(found: Findings) -> set[str]:
    """All arms where they are few; of many the control and those that end best and worst."""
    if len(found.arms) <= _FEW:
        return {arm.name for arm in found.arms}
    ends = sorted(found.arms, key=lambda arm: arm.rm_at_k[found.k].value or 0.0)
    return {found.control, ends[0].name, ends[-1].name}


def _draw_curves(panel: Any, found: Findings) -> None:
    """RM@K over K, and what a random pick has, at any K the same."""
    from matplotlib.ticker import MaxNLocator

    named = _named_curves(found)
    for arm in found.arms:
        ks = sorted(arm.rm_at_k)
        told = {"label": arm.name} if arm.name in named else {"color": "lightgrey", "linewidth": 1, "zorder": 1}
        panel.plot(ks, [arm.rm_at_k[k].value for k in ks], **told)
    if found.random_at_k is not None:
        panel.plot([1, found.k], [found.random_at_k] * 2, color="grey", linestyle=":", label="random pick")
    panel.set(title="RM@K" if len(found.arms) <= _FEW else f"RM@K, {len(found.arms)} arms", xlabel="K")
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    panel.grid(alpha=0.3)
    panel.legend(fontsize=9, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
