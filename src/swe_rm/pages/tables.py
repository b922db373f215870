"""The tables of a report's page: figures, confounds, readiness, parts of the pool, cost, wrong verdicts."""

from collections.abc import Collection, Mapping

from swe_rm.evaluate import Report
from swe_rm.figures import Metrics
from swe_rm.page import html_table, safe
from swe_rm.pages.cited import cited, counted, spanned
from swe_rm.report import ABOUT, CURVES, basis, keys, value_of
from swe_rm.report_summary import SHOWN_K
from swe_rm.slices import Slice
from swe_rm.trajectory import Outcome

MAX_PARTS = 100
"""Parts of one kind that are listed, the largest first; the JSON has all."""


def figures_table(report: Report) -> str:
    """Every headline figure with its interval and the controls beside it."""
    rows = []
    for key in keys(report):
        name, _, k = key.partition(".")
        note = (ABOUT | CURVES)[name] if k in ("", "1") else ""
        over = basis(report, key)
        label = f"<b>{key}</b>{f' ({over})' if over else ''}{f'<br><small>{note}</small>' if note else ''}"
        rows.append(
            [
                label,
                _figure(report.metrics, key),
                spanned(report.intervals.get(key), "intervals", key),
                *(_figure(control, key, "controls", name) for name, control in report.controls.items()),
            ]
        )
    headings = ["figure", "verifier", "95% interval", *(safe(name.replace("_", " ")) for name in report.controls)]
    return html_table("Figures, and beside them what knows nothing or everything", headings, rows)


def _figure(figures: Metrics, key: str, *place: str) -> str:
    return cited(value_of(figures, key), *place, *key.split("."))


CONTROLS_NOTE = """<p class="note"><b>constant</b>: 0.5 for all, so its RM@K is a random pick. <b>shortest</b>: fewest
characters. <b>policy prior</b>: the policy's resolve rate on the other tasks, knowing only whose attempt it is.
<b>task prior</b>: how the other policies fared at the task, knowing only its difficulty. <b>oracle</b>: the outcome
itself, so its RM@K is pass@K. A prior leaves the attempt's own task or policy out, which turns its order around where
that is all that varies: well below ½ in such a row it says nothing. Intervals: bootstrap by task.</p>"""

_SHARED = {
    "policy": "attempts of one policy",
    "task": "attempts at one task",
    "policy_and_task": "attempts of one policy at one task",
    "length": "attempts of like length",
}


def explained_table(report: Report) -> str:
    """What is left of the AUC where policy, task or length cannot help."""
    rows = [
        [
            _SHARED[name],
            cited(found.auc_left, "explained", name, "auc_left"),
            counted(found.n_pairs, "explained", name, "n_pairs"),
            cited(found.share, "explained", name, "share", form=".0%"),
        ]
        for name, found in report.explained.items()
    ]
    caption = "What is left of the pooled AUC when only such attempts are compared"
    return html_table(caption, ["compared are", "AUC left", "pairs", "of the AUC above ½ gone"], rows)


_READINESS = {
    "advantage_cosine": ("cosine of the advantages with the tests' own, mixed groups", "1"),
    "advantage_sign": ("advantages of the tests' sign, mixed groups", "1"),
    "batch_cosine": ("cosine over all groups at once", "1"),
    "hybrid_cosine": ("cosine of outcome + score, mixed groups", "1"),
    "failed_above_resolved": ("pairs of a group whose failed attempt scores higher", "0"),
    "top_failed": ("mixed groups whose best-scored attempt failed", "0"),
    "uniform_share": ("squared advantages in groups that tests cannot separate", "0"),
    "uniform_share_centred": ("the same without division by the spread", "0"),
    "calibration_slope": ("slope of outcome on score inside groups", "1"),
    "calibration_gap": ("distance of a group's mean score from its resolve rate", "0"),
}
"""What each figure is, and its value for the outcomes themselves."""


def readiness_table(report: Report) -> str:
    """The scores as an RL reward beside the outcomes."""
    found, groups = report.readiness, report.readiness.groups
    rows = [
        [
            f"<b>{name}</b><br><small>{about}</small>",
            cited(getattr(found, name), "readiness", name),
            spanned(found.intervals.get(name), "readiness", "intervals", name),
            ideal,
        ]
        for name, (about, ideal) in _READINESS.items()
    ]
    of = ("readiness", "groups")
    caption = "Scores as an RL reward, groups of one policy at one task"
    return (
        html_table(caption, ["figure", "value", "95% interval", "ideal"], rows)
        + f"<p>Groups with both outcomes: {counted(groups.mixed, *of, 'mixed')}; all resolved: "
        f"{counted(groups.all_resolved, *of, 'all_resolved')}; all unresolved: "
        f"{counted(groups.all_unresolved, *of, 'all_unresolved')}.</p>"
    )


def calibration_words(report: Report) -> str:
    """What of the calibration error is chance, and the parts of the Brier loss."""
    floor = cited(report.ece_noise_floor, "ece_noise_floor")
    mass = cited(report.ece_mass_noise_floor, "ece_mass_noise_floor")
    parts = (report.metrics.brier_parts or {}).items()
    told = ", ".join(f"{name.replace('_', ' ')} {cited(value, 'brier_parts', name)}" for name, value in parts)
    brier = f" Brier loss: {told}." if told else ""
    return (
        f"<p>A perfectly calibrated verifier with these scores would show an ECE of {floor} from chance alone "
        f"(equal mass {mass}).{brier}</p>"
    )


# --- parts of the pool -----------------------------------------------------------------------------------------------


def slice_tables(report: Report) -> str:
    """A table for each way of parting the pool, the first one open."""
    return "".join(
        f"<details{' open' if name == 'policy' else ''}><summary>By {name} ({len(parts):,})</summary>"
        f"{_slice_table(name, parts)}</details>"
        for name, parts in report.slices.items()
    )


def _slice_table(name: str, parts: Mapping[str, Slice]) -> str:
    # policies and repositories by size; quarters and thirds in the order their names give
    ordered = sorted(parts.items(), key=lambda part: (-part[1].n if name in _BY_SIZE else 0, part[0]))
    rows = [
        [
            safe(value),
            counted(part.n, "slices", name, value, "n"),
            *(cited(getattr(part, key), "slices", name, value, key) for key in _SLICE),
        ]
        for value, part in ordered[:MAX_PARTS]
    ]
    left = len(parts) - len(rows)
    more = f"<p>{left:,} smaller ones are in the JSON.</p>" if left else ""
    return html_table(f"By {name}", [name, "attempts", *_SLICE.values()], rows) + more


_BY_SIZE = frozenset({"policy", "repo", "source", "scaffold"})
_SLICE = {
    "base_rate": "base rate",
    "mean_score": "mean score",
    "auc": "AUC",
    "auc_same_policy_task": "AUC, same policy and task",
    "ece": "ECE",
}


# --- attempts without a verdict, cost --------------------------------------------------------------------------------


def unscored_table(report: Report) -> str:
    """How attempts without a verdict count, and what the other rules would give."""
    found = report.unscored
    if not found.rules:
        return f"<p>{safe(found)}.</p>"
    ks = [k for k in SHOWN_K if any(k in moved.rm_at_k for moved in found.rules.values())]
    rows = [
        [
            f"<b>{name}</b> (this report)" if name == found.rule else name,
            counted(moved.n_attempts, "unscored", "rules", name, "n_attempts"),
            cited(moved.auc_same_policy_task, "unscored", "rules", name, "auc_same_policy_task"),
            cited(moved.ece, "unscored", "rules", name, "ece"),
            *(cited(moved.rm_at_k.get(k), "unscored", "rules", name, "rm_at_k", k) for k in ks),
        ]
        for name, moved in found.rules.items()
    ]
    headings = ["rule", "attempts", "AUC, same policy and task", "ECE", *(f"RM@{k}" for k in ks)]
    return f"<p>{safe(found)}.</p>" + html_table("The same figures under the other rules", headings, rows)


def cost_table(report: Report) -> str:
    """Tokens, seconds and money."""
    cost, money = report.cost, report.money
    rows = [
        ["prompt tokens", counted(cost.prompt_tokens, "cost", "prompt_tokens")],
        ["seconds", cited(cost.seconds, "cost", "seconds", form=",.1f")],
    ]
    if money:
        rows += [[about, cited(getattr(money, name), "money", name, form=",.2f")] for name, about in _MONEY.items()]
    return html_table("What the verdicts cost; what the attempts cost is not in it", ["what", "value"], rows)


_MONEY = {
    "price_per_hour": "price of an hour",
    "per_1000_attempts": "money per 1,000 attempts",
    "total": "money in all",
    "resolved_tasks": "tasks resolved by the best-scored attempt of each",
    "gained_tasks": "of them beyond a random pick",
    "resolved_tasks_per_unit": "resolved tasks per unit of money",
    "gained_tasks_per_unit": "of them beyond a random pick",
}


# --- wrong verdicts --------------------------------------------------------------------------------------------------


def mistakes_table(report: Report, with_page: Collection[str]) -> str:
    """The most confident wrong verdicts; `with_page` are the ids of attempts that have one."""
    if not report.mistakes:
        return "<p>No verdict lies on the wrong side of one half.</p>"
    rows = []
    for outcome, heading in _WRONG.items():
        some = [(place, one) for place, one in enumerate(report.mistakes) if one.outcome is outcome]
        rows += [[heading]] if some else []
        rows += [
            [
                linked(one.attempt_id, f"{one.instance_id}: {one.policy} / {one.attempt}", with_page),
                cited(one.score, "mistakes", place, "score"),
                marked(one.outcome),
            ]
            for place, one in some
        ]
    return html_table("The most confident wrong verdicts", ["attempt", "score", "outcome"], rows)


_WRONG = {
    Outcome.UNRESOLVED: "Believed, and it did not resolve its task",
    Outcome.RESOLVED: "Not believed, and it resolved its task",
}


def linked(attempt_id: str, name: str, with_page: Collection[str]) -> str:
    """The name of an attempt, as a link where it has a page."""
    return f'<a href="#{anchor(attempt_id)}">{safe(name)}</a>' if attempt_id in with_page else safe(name)


def anchor(attempt_id: str) -> str:
    """The id of an attempt's page in the document."""
    return safe(f"attempt-{attempt_id}")


def marked(outcome: Outcome) -> str:
    """An outcome in its colour."""
    return f'<span class="{_CLASS[outcome]}">{outcome}</span>'


_CLASS = {Outcome.RESOLVED: "good", Outcome.UNRESOLVED: "bad", Outcome.UNKNOWN: "unknown"}
