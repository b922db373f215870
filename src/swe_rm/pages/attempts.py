"""A page for one attempt: its score, what was cut, the score after its turns, its log, its patch."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from math import isnan
from typing import NamedTuple

from swe_rm.dialects import Turn, turns
from swe_rm.page import figure, html_table, safe, safe_lines
from swe_rm.pages.chosen import Choice
from swe_rm.pages.tables import anchor, marked
from swe_rm.plot import SHARES, Axes
from swe_rm.progress import Curve
from swe_rm.render import Fate, plain_issue
from swe_rm.scored import Scored
from swe_rm.trajectory import Labelled, Trajectory

ISSUE, SAID, ACTION, SEEN, PATCH = 3_000, 2_500, 2_000, 1_000, 12_000
"""Characters shown of an issue, of what an agent said, of one action, of what it saw, of a patch."""
FIRST_TURNS, LAST_TURNS = 40, 80
"""Turns shown of a longer log: its end says most of the result."""
ACTIONS = 8
"""Actions shown of one turn."""
MOVES = 5
"""Largest changes of the score that are listed."""


class Told(NamedTuple):
    """What a verdict says beside its score; None where it does not."""

    raw_score: float | None
    prompt_tokens: int | None
    truncated_tokens: int | None


def told_of(scored: Scored, ids: Iterable[str]) -> dict[str, Told]:
    """What the verdicts on these attempts say, by attempt id."""
    wanted = set(ids)
    found = {}
    for place, attempt_id in enumerate(scored.attempt_ids):
        if attempt_id in wanted:
            raw, *tokens = (
                float(column[place]) for column in (scored.raw_scores, scored.prompt_tokens, scored.truncated_tokens)
            )
            found[attempt_id] = Told(None if isnan(raw) else raw, *(None if isnan(n) else int(n) for n in tokens))
    return found


class Reader(NamedTuple):
    """What can be asked of an attempt when it is read again for its page; None where nobody can tell."""

    fates: Callable[[Trajectory], Sequence[Fate]] | None = None
    """What the verifier's length policy does with each turn."""
    curve: Callable[[Trajectory], Curve | None] | None = None
    """The score after its turns."""


def sheets(
    attempts: Iterable[Labelled], choices: Mapping[str, Choice], scored: Scored, reader: Reader
) -> dict[str, str]:
    """The pages of the chosen attempts by attempt id, best reasons first; one log is in memory at a time."""
    told = told_of(scored, choices)
    found = {}
    for item in attempts:
        id_ = item.trajectory.attempt_id
        found[id_] = sheet(item, choices[id_], told[id_], reader)
    return {id_: found[id_] for id_ in choices if id_ in found}


def bound(sheets: Mapping[str, str]) -> Iterator[str]:
    """The pages as sections of the document, each with links back and to the next."""
    back = '<a href="#report">Back to the report</a> <a href="#pages">All attempts with a page</a>'
    for id_, following in zip_longest(sheets, list(sheets)[1:]):
        on = f' <a href="#{anchor(following)}">Next attempt</a>' if following else ""
        yield (
            f'<section class="attempt" id="{anchor(id_)}" tabindex="-1" aria-labelledby="{anchor(id_)}-name">'
            f'<p class="back">{back}{on}</p>{sheets[id_]}</section>'
        )


def sheet(item: Labelled, choice: Choice, told: Told, reader: Reader) -> str:
    """The page of one attempt; whatever the log says is escaped."""
    trajectory = item.trajectory
    log = turns(trajectory)
    fates = reader.fates(trajectory) if reader.fates else []
    curve = reader.curve(trajectory) if reader.curve else None
    name = f"{choice.instance_id}: {choice.policy} / {choice.attempt}"
    issue = plain_issue(trajectory.task.statement)
    parts = [
        f'<h2 id="{anchor(choice.attempt_id)}-name">{safe(name)}</h2>',
        _facts(item, choice, told, len(log)),
        _cut(fates, told),
        _progress(curve, choice.attempt_id) if curve else "",
        f"<h3>Issue</h3><pre>{clipped(issue, ISSUE)}</pre>" if issue else "<h3>Issue</h3><p>Not shown to us.</p>",
        f"<h3>Log</h3>{_log(log, fates)}",
        f"<h3>Patch</h3>{_patch(trajectory.patch)}",
    ]
    return "".join(parts)


def _facts(item: Labelled, choice: Choice, told: Told, n_turns: int) -> str:
    trajectory = item.trajectory
    score = f"{choice.score:.3f}"
    if told.raw_score is not None and told.raw_score != choice.score:
        score += f" ({told.raw_score:.3f} before calibration)"
    facts = {"score": score, "outcome": marked(choice.outcome) + (", against the verdict" if choice.is_wrong else "")}
    if choice.rank is not None:
        facts["rank"] = f"{choice.rank} of {choice.n_candidates} at its task"
    if item.provenance:
        facts["outcome from"] = safe(item.provenance)
    ended = "the agent came to its own end" if trajectory.finished else "the agent did not finish"
    facts["end"] = ended + (f" ({safe(trajectory.exit_status[:200])})" if trajectory.exit_status else "")
    facts["source"] = safe(" / ".join(filter(None, (trajectory.origin.source, trajectory.origin.scaffold))))
    facts["log"] = f"{n_turns:,} entries, the agent's and what came of them"
    if told.prompt_tokens is not None:
        facts["verifier read"] = f"{told.prompt_tokens:,} tokens"
    return f'<dl class="facts">{"".join(f"<dt>{key}</dt><dd>{value}</dd>" for key, value in facts.items())}</dl>'


def _cut(fates: Sequence[Fate], told: Told) -> str:
    """What the model did not read, turn by turn where its length policy is known."""
    lines = []
    if told.truncated_tokens:
        lines.append(f"{told.truncated_tokens:,} tokens were cut for the model.")
    elif told.truncated_tokens == 0:
        lines.append("Nothing was cut.")
    for fate, said in (("gone", "left out whole"), ("shortened", "shortened")):
        numbers = [number for number, found in enumerate(fates, 1) if found == fate]
        if numbers:
            lines.append(f"{_plural(len(numbers))} {said}: {_runs(numbers)}.")
    if not lines:
        lines.append("The verdict does not say what was cut.")
    return f"<h3>What was cut</h3><p>{' '.join(lines)}</p>"


def _plural(n: int) -> str:
    return "1 entry of the log was" if n == 1 else f"{n:,} entries of the log were"


def _runs(numbers: Sequence[int]) -> str:
    """Ascending numbers with what follows each other as one: 3, 5-9."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def _progress(curve: Curve, name: str) -> str:
    title = "Score after each turn"
    axes = Axes(title, (1, max(2, curve.n_turns)), (0, 1), "turns of the agent", "score")
    every = max(1, curve.n_turns // 6)
    axes.ticks({float(turn): str(turn) for turn in range(1, curve.n_turns + 1, every)}, SHARES)
    axes.line([(float(turn), score) for turn, score in curve.points], "verifier")
    for turn, score in curve.points:
        axes.dot(float(turn), score, "verifier", f"after turn {turn}: {score:.3f}")
    moves = "".join(f"<li>{safe(move)}</li>" for move in curve.moved(MOVES))
    rows = [[f"{step.turn}", f"{step.score:.3f}", f'<td class="text">{safe(step.did)}</td>'] for step in curve.steps]
    return figure(
        title,
        axes.svg(f"From {curve.points[0][1]:.3f} after turn {curve.points[0][0]} to {curve.points[-1][1]:.3f}.", name),
        about="Before the last turn the patch is not known and the attempt counts as unfinished.",
        numbers=html_table(title, ["turn", "score", "what the agent did"], rows),
    ) + (f"<p>Where it moved most:</p><ul>{moves}</ul>" if moves else "")


# --- log and patch ---------------------------------------------------------------------------------------------------


def clipped(text: str, most: int) -> str:
    """Untrusted text with its middle left out where it is longer than `most` characters, and a word about it."""
    if len(text) <= most:
        return safe_lines(text)
    head, tail = 2 * most // 3, most // 3
    left = f'<span class="clipped">[{len(text) - head - tail:,} characters are not shown on this page]</span>'
    return f"{safe_lines(text[:head])}\n{left}\n{safe_lines(text[-tail:])}"


def _log(log: Sequence[Turn], fates: Sequence[Fate]) -> str:
    if not log:
        return "<p>There is none: only the patch is known.</p>"
    numbered = list(enumerate(log, 1))
    left = len(numbered) - FIRST_TURNS - LAST_TURNS
    if left <= 0:
        items = [_turn(number, turn, fates) for number, turn in numbered]
    else:
        first, last = numbered[:FIRST_TURNS], numbered[-LAST_TURNS:]
        note = f'<li class="turn clipped">{_plural(left)} left out of this page here.</li>'
        items = [*(_turn(*one, fates) for one in first), note, *(_turn(*one, fates) for one in last)]
    return f'<ol class="turns">{"".join(items)}</ol>'


_WHO = {"agent": "the agent", "observation": "what it saw", "user": "the user"}
_FATE = {"whole": "", "shortened": ", shortened for the model", "gone": ", not read by the model"}


def _turn(number: int, turn: Turn, fates: Sequence[Fate]) -> str:
    fate: Fate = fates[number - 1] if fates else "whole"
    code = "" if turn.exit_code is None else f", exit {turn.exit_code}"
    parts = [f"<h4>{number} {_WHO[turn.kind]}{code}{_FATE[fate]}</h4>"]
    if turn.kind == "agent":
        parts += [f"<pre>{clipped(turn.text, SAID)}</pre>"] if turn.text else []
        parts += [f'<pre class="action">{clipped(action.text, ACTION)}</pre>' for action in turn.actions[:ACTIONS]]
        if (left := len(turn.actions) - ACTIONS) > 0:
            parts.append(f'<p class="clipped">{left:,} more actions are not shown on this page.</p>')
    else:
        parts.append(f'<pre class="seen">{clipped(turn.text, SEEN) or "(nothing)"}</pre>')
    return f'<li class="turn {turn.kind} {fate}">{"".join(parts)}</li>'


def _patch(patch: str) -> str:
    """A diff with its added and removed lines marked as such."""
    if not patch.strip():
        return "<p>There is none.</p>"
    shown = patch if len(patch) <= PATCH else patch[: patch.rfind("\n", 0, PATCH) + 1 or PATCH]
    left = len(patch) - len(shown)
    note = f'<p class="clipped">{left:,} more characters are not shown on this page.</p>' if left else ""
    return f'<pre class="diff">{"".join(map(_diff_line, shown.rstrip().split(_NEWLINE)))}</pre>{note}'


_NEWLINE = "\n"
_HEADS = ("diff ", "index ", "--- ", "+++ ", "@@")


def _diff_line(line: str) -> str:
    text = safe(line.expandtabs(4)) or " "
    if line.startswith(_HEADS):
        return f"<b>{text}</b>"
    if line.startswith("+"):
        return f"<ins>{text}</ins>"
    return f"<del>{text}</del>" if line.startswith("-") else f"{text}{_NEWLINE}"
