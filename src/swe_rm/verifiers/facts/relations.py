"""Relations inside an attempt: how its patch, its log and its issue fit together."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import PurePosixPath

from swe_rm.dialects import Turn
from swe_rm.verifiers.facts.apart import (
    ERROR,
    FAILED,
    IDENTIFIER,
    PASSED,
    SCRIPT_RUN,
    SEEN_TEXT,
    TEST_FILE,
    TEST_RUN,
    Apart,
    acts,
    names,
    share,
    share_of,
)

_FRAME = re.compile(r'File "([^"\n]+)", line \d+, in (\w+)')
_PATH = re.compile(r"[\w./-]{0,200}\w\.py\b")
_HUNK_HEAD = re.compile(r"^@@ -(\d+)(?:,\d+)? \+\d+(?:,\d+)? @@ ?(.*)$", re.MULTILINE)
_FENCE = re.compile(r"```[^\n`]{0,80}\n(.*?)```", re.DOTALL)
_PROMPT = re.compile(r"^(?:>>>|\.\.\.|In \[\d+\]:) ?(.*)$", re.MULTILINE)
_QUOTED = re.compile(r"`([^`\n]{3,80})`|\"([^\"\n]{3,80})\"")
_EXCEPTION = re.compile(r"\b([A-Z]\w*(?:Error|Exception|Warning))\b")
_PASSED_COUNT = re.compile(r"\b(\d+) passed\b|\bRan (\d+) tests?\b")
_DOUBT = re.compile(r"\b(?:actually|wait|hmm|oops|mistake|instead|let me try|another approach|still)\b", re.IGNORECASE)
_FOUND = re.compile(r"\b(?:root cause|the (?:issue|problem|bug) is|now i (?:see|understand)|found (?:it|the))\b", re.I)
_UNDONE = re.compile(r"\bgit (?:checkout|stash|restore|reset)\b|undo_edit|revert", re.IGNORECASE)
_GUARD = re.compile(r"^\s*(?:if|elif)\b.*(?:\bis (?:not )?None\b|\bnot\b|isinstance|hasattr|\blen\()")
_SPECIAL = re.compile(r"^\s*(?:if|elif)\b.*==\s*['\"\d]")
_RETURN = re.compile(r"^\s*(?:return|yield|raise)\b")
_STRING_ONLY = re.compile(r"^\s*(?:#|['\"]|r['\"]|f['\"])|^\s*$")
_SIGNATURE = re.compile(r"^\s*(?:async )?def \w+\(.*=")
_CALL = re.compile(r"\b(\w{3,})\(")
_WORD = re.compile(r"\w+|[^\w\s]")
_INDENT = re.compile(r"^[ \t]*")
_COMPARED = 50
"""Lines of a patch, removed and added, that are compared one with another, and files of it that are looked for."""
_MOST_LINES = 400
"""Lines of a patch, of the code in an issue, and quotations in it, that are looked for elsewhere."""


def _stems(files: Sequence[str]) -> list[str]:
    return [PurePosixPath(file).stem for file in files]


def _frames(a: Apart) -> list[tuple[str, str]]:
    return _FRAME.findall(a.issue)


def _in_traceback(a: Apart) -> float:
    """1 the last frame's file, 0.5 another frame's, 0 none or no traceback: where the patch is."""
    frames = [PurePosixPath(file).name for file, _ in _frames(a)]
    patched = {PurePosixPath(file).name for file in a.files}
    if not frames:
        return 0.0
    return 1.0 if frames[-1] in patched else 0.5 if patched & set(frames) else 0.0


def _heads(a: Apart) -> list[str]:
    return [head for _, head in _HUNK_HEAD.findall(a.trajectory.patch)]


def _issue_code(a: Apart) -> list[str]:
    """Lines of code the issue shows, without blanks at their ends."""
    text = "\n".join(_FENCE.findall(a.issue)) + "\n" + "\n".join(_PROMPT.findall(a.issue))
    return [line.strip() for line in text.splitlines() if len(line.strip()) > 8][:_MOST_LINES]


def _tried(a: Apart) -> float:
    """Share of the issue's lines of code that the agent wrote in an action: it ran what the issue shows."""
    lines = set(_issue_code(a))
    written = "\n".join(action[:SEEN_TEXT] for action in a.actions)
    return share(sum(line in written for line in lines), len(lines))


def _quoted_shown(a: Apart) -> float:
    """Share of what the issue quotes that is seen after the last edit."""
    found = dict.fromkeys(first or second for first, second in _QUOTED.findall(a.issue))
    quoted = list(found)[:_MOST_LINES]
    shown = "\n".join(turn.text[:SEEN_TEXT] for turn in a.after_edit())
    return share(sum(text in shown for text in quoted), len(quoted))


def _exceptions(turns: Sequence[Turn]) -> set[str]:
    return {name for turn in turns for name in _EXCEPTION.findall(turn.text[:SEEN_TEXT])}


def _issue_error(a: Apart, turns: Sequence[Turn]) -> float:
    """Whether an exception the issue names is seen in these turns."""
    return float(bool(set(_EXCEPTION.findall(a.issue)) & _exceptions(turns)))


def _before_edit(a: Apart) -> list[Turn]:
    first = a.edits[0] if a.edits else len(a.turns)
    return [turn for turn in a.turns[:first] if turn.kind == "observation"]


def _bad(turn: Turn) -> bool:
    return bool(turn.exit_code) or bool(ERROR.search(turn.text[-SEEN_TEXT:]))


def _turned(runs: Sequence[tuple[int, Turn]], bad: Callable[[Turn], bool]) -> float:
    """1 the first run was bad and the last is not, -1 the other way round or bad still, 0 else."""
    if not runs:
        return 0.0
    first, last = bad(runs[0][1]), bad(runs[-1][1])
    return -1.0 if last else 1.0 if first else 0.0


def _test_bad(turn: Turn) -> bool:
    return bool(FAILED.search(turn.text[-SEEN_TEXT:]))


def _after(a: Apart, runs: Sequence[tuple[int, Turn]]) -> list[Turn]:
    return [seen for i, seen in runs if i > a.last_edit]


def _passed_count(a: Apart) -> float:
    """Tests that the last test run said passed or ran."""
    if not a.tests:
        return 0.0
    found = _PASSED_COUNT.findall(a.tests[-1][1].text[-4_000:])
    return float(min(int(found[-1][0] or found[-1][1]), 100_000)) if found else 0.0


def _own_tests(a: Apart) -> float:
    """Share of the test runs that name a patched file's stem: the tests nearest to the change."""
    stems = [stem for stem in _stems(a.sources) if len(stem) > 2]
    named = [any(stem in action.text for action in a.turns[i - 1].actions for stem in stems) for i, _ in a.tests]
    return share(sum(named), len(named))


def _first_sight(a: Apart) -> float:
    """Where in the log a patched source's name is first seen or written, 0 to 1; 1 if never."""
    stems = [PurePosixPath(file).name for file in a.sources[:_COMPARED]]
    for i, turn in enumerate(a.turns):
        text = turn.text[:SEEN_TEXT] + "".join(action.text[:SEEN_TEXT] for action in turn.actions)
        if any(stem in text for stem in stems):
            return i / len(a.turns)
    return 1.0


def _edited_files(a: Apart) -> list[str]:
    found = []
    for i in a.edits:
        found += [path for action in a.turns[i].actions for path in _PATH.findall(action.text[:2_000])[:1]]
    return [PurePosixPath(path).name for path in found]


def _looked_files(a: Apart) -> set[str]:
    return {PurePosixPath(path).name for action in a.actions for path in _PATH.findall(action[:2_000])}


def _dropped_edits(a: Apart) -> float:
    """Share of the edits that were to files the patch does not have: work that was not kept."""
    edited = _edited_files(a)
    patched = {PurePosixPath(file).name for file in a.files}
    return share(sum(file not in patched for file in edited), len(edited))


def _most_edited(a: Apart) -> float:
    return float(max(Counter(_edited_files(a)).values(), default=0))


def _written(a: Apart) -> float:
    """Share of the added lines that stand in what the agent wrote."""
    return _lines_in(a, "\n".join([*a.actions, *(turn.text for turn in a.agent)]))


def _last_written(a: Apart) -> float:
    """The same, of the last edit's lines alone: how much of the patch is the last change of mind."""
    return _lines_in(a, "\n".join(action.text for action in a.turns[a.last_edit].actions) if a.edits else "")


def _lines_in(a: Apart, text: str) -> float:
    lines = [line.strip() for line in a.added if len(line.strip()) > 8][:_MOST_LINES]
    return share(sum(line in text for line in lines), len(lines))


def _likeness(a: Apart) -> float:
    """Mean over removed lines of the share of words it has in common with the added line most like it."""
    old, new = ([set(_WORD.findall(line)) for line in lines[:_COMPARED]] for lines in (a.removed, a.added))
    best = [max((share(len(words & others), len(words | others)) for others in new), default=0.0) for words in old]
    return share(sum(best), len(best))


def _new_names(a: Apart) -> float:
    """Identifiers added that stand nowhere else: not in the issue, the patch's other lines, or what was seen."""
    seen = names([turn.text[:SEEN_TEXT] for turn in a.seen])
    known = a.issue_names | names(a.removed) | names(a.context) | seen
    return share(len(a.added_names - known), len(a.added_names))


def _calls_seen(a: Apart) -> float:
    """Share of the functions called in added lines whose name is seen in the log or the patch's other lines."""
    known = _called([*a.removed, *a.context, *(turn.text[:SEEN_TEXT] for turn in a.seen)])
    return _overlap(_called(a.added), known)


def _called(texts: Iterable[str]) -> frozenset[str]:
    return frozenset(name for text in texts for name in _CALL.findall(text))


def _depth(lines: Sequence[str]) -> float:
    """Mean indentation, in spaces."""
    full = [line for line in lines if line.strip()]
    return share(sum(len(_INDENT.findall(line)[0].expandtabs(4)) for line in full), len(full))


def _spread(a: Apart) -> float:
    """How far apart in a file the hunks are, lines from the first to the last, largest over files."""
    most = 0
    for part in a.trajectory.patch.split("\ndiff --git ")[:50]:
        starts = [int(start) for start, _ in _HUNK_HEAD.findall(part)]
        most = max(most, max(starts, default=0) - min(starts, default=0))
    return float(most)


def _late_errors(a: Apart) -> float:
    """Share of the observations in the last third of the log that show an error."""
    late = a.seen[-(len(a.seen) // 3 + 1) :]
    return share(sum(_bad(turn) for turn in late), len(late))


def _stuck(a: Apart) -> float:
    """Longest run of observations with an error, one after another."""
    most = now = 0
    for turn in a.seen:
        now = now + 1 if _bad(turn) else 0
        most = max(most, now)
    return float(most)


def _edit_test_edit(a: Apart) -> float:
    """Test or script runs with an edit right after what they showed: rounds of trying."""
    runs = {i for i, _ in (*a.tests, *a.scripts)}
    return float(sum(any(first < i < second for i in runs) for first, second in pairwise(a.edits)))


def _only_text(a: Apart) -> float:
    """Share of the lines changed that are comments, strings or blank."""
    return share_of([*a.added, *a.removed], _STRING_ONLY)


def _said(a: Apart, pattern: re.Pattern[str]) -> float:
    return share(sum(len(pattern.findall(turn.text)) for turn in a.agent), len(a.agent))


def _overlap(left: frozenset[str], right: frozenset[str]) -> float:
    return share(len(left & right), len(left))


def _issue_named_in(a: Apart, texts: Sequence[str]) -> float:
    """Of the issue's identifiers with a capital or an underscore inside, the share that stands there."""
    told = frozenset(name for name in IDENTIFIER.findall(a.issue) if "_" in name or not name[1:].islower())
    return _overlap(told, names(texts))


RELATIONS: dict[str, tuple[str, Callable[[Apart], float]]] = {
    "patch_in_traceback": ("the patch is where the issue's traceback ends: 1, passes: 0.5, else 0", _in_traceback),
    "frame_in_hunk": (
        "functions of the issue's traceback that hunks name, share",
        lambda a: _overlap(frozenset(name for _, name in _frames(a)), frozenset(_WORD.findall("\n".join(_heads(a))))),
    ),
    "issue_paths": ("paths of Python files in the issue", lambda a: len(set(_PATH.findall(a.issue)))),
    "issue_path_patched": (
        "share of the files the issue names by path that the patch touches",
        lambda a: _overlap(
            frozenset(PurePosixPath(p).name for p in _PATH.findall(a.issue)),
            frozenset(PurePosixPath(p).name for p in a.files),
        ),
    ),
    "issue_names_in_context": (
        "telling identifiers of the issue in lines around the change, share",
        lambda a: _issue_named_in(a, [*a.context, *_heads(a)]),
    ),
    "issue_names_in_change": (
        "telling identifiers of the issue in lines changed, share",
        lambda a: _issue_named_in(a, [*a.added, *a.removed]),
    ),
    "issue_names_in_tests": (
        "telling identifiers of the issue in what the agent ran, share",
        lambda a: _issue_named_in(a, [x.text for i, _ in (*a.tests, *a.scripts) for x in a.turns[i - 1].actions]),
    ),
    "removed_in_issue": (
        "identifiers of removed lines that the issue names, share",
        lambda a: _overlap(names(a.removed), a.issue_names),
    ),
    "heads_in_issue": (
        "identifiers of hunk heads that the issue names, share",
        lambda a: _overlap(names(_heads(a)), a.issue_names),
    ),
    "issue_code_tried": ("share of the issue's code lines that the agent ran or wrote", _tried),
    "issue_code_lines": ("code lines in the issue", lambda a: len(_issue_code(a))),
    "quoted_shown": ("share of what the issue quotes that is seen after the last edit", _quoted_shown),
    "issue_error_before": (
        "an exception of the issue is seen before the first edit",
        lambda a: _issue_error(a, _before_edit(a)),
    ),
    "issue_error_after": (
        "an exception of the issue is seen after the last edit",
        lambda a: _issue_error(a, a.after_edit()),
    ),
    "scripts_turned": (
        "script runs: 1 only the first shows an error, -1 the last does",
        lambda a: _turned(a.scripts, _bad),
    ),
    "tests_turned": (
        "test runs: 1 only the first failed, -1 the last did",
        lambda a: _turned(a.tests, _test_bad),
    ),
    "scripts_after_edit": ("script runs after the last edit", lambda a: len(_after(a, a.scripts))),
    "script_errors_after_edit": (
        "share of script runs after the last edit with an error",
        lambda a: share(sum(map(_bad, _after(a, a.scripts))), len(_after(a, a.scripts))),
    ),
    "test_passes_after_edit": (
        "share of test runs after the last edit that show passes and no failure",
        lambda a: share(
            sum(bool(PASSED.search(t.text)) and not _test_bad(t) for t in _after(a, a.tests)), len(_after(a, a.tests))
        ),
    ),
    "passed_tests": ("tests the last test run says passed", _passed_count),
    "own_tests": ("share of test runs that name a patched file", _own_tests),
    "first_sight": ("where in the log a patched file first appears, 0 to 1", _first_sight),
    "files_looked": ("Python files named in actions", lambda a: len(_looked_files(a))),
    "patched_of_looked": (
        "share of those that the patch touches",
        lambda a: _overlap(frozenset(_looked_files(a)), frozenset(PurePosixPath(p).name for p in a.files)),
    ),
    "dropped_edits": ("share of edits to files that the patch does not have", _dropped_edits),
    "most_edited": ("edits to the file edited most", _most_edited),
    "undone": ("actions that undo work", lambda a: sum(bool(_UNDONE.search(x[:400])) for x in a.actions)),
    "written": ("share of added lines that the agent is seen to write", _written),
    "last_written": ("share of added lines that the last edit wrote", _last_written),
    "rounds": ("edits after a run that came after an edit", _edit_test_edit),
    "late_errors": ("share of errors in the last third of the log", _late_errors),
    "stuck": ("longest run of errors", _stuck),
    "doubts": ("words of doubt for each agent turn", lambda a: _said(a, _DOUBT)),
    "findings": ("words of having found the cause for each agent turn", lambda a: _said(a, _FOUND)),
    "final_in_issue": (
        "identifiers of the last words that the issue names, share",
        lambda a: _overlap(names([a.final]), a.issue_names),
    ),
    "final_in_patch": (
        "identifiers added that the last words name, share",
        lambda a: _overlap(a.added_names, names([a.final])),
    ),
    "likeness": ("how like an added line removed ones are, mean of the best", _likeness),
    "new_names": ("share of identifiers added that stand nowhere else", _new_names),
    "calls_seen": ("share of functions called in added lines that were seen", _calls_seen),
    "indentation": ("mean indentation of added lines", lambda a: _depth(a.added)),
    "hunk_spread": ("lines from a file's first hunk to its last", _spread),
    "lines_of_removed": (
        "removed lines for each line changed",
        lambda a: share(len(a.removed), len(a.added) + len(a.removed)),
    ),
    "guards": ("share of added lines that guard", lambda a: share_of(a.added, _GUARD)),
    "special_cases": ("added conditions on one value", lambda a: sum(bool(_SPECIAL.search(x)) for x in a.added)),
    "returns": ("share of added lines that return or raise", lambda a: share_of(a.added, _RETURN)),
    "signatures": ("signatures with defaults added", lambda a: sum(bool(_SIGNATURE.search(x)) for x in a.added)),
    "only_text": ("share of changed lines that are comments, strings or blank", _only_text),
    "long_lines": ("longest added line", lambda a: max(map(len, a.added), default=0)),
    "path_depth": (
        "folders above the patched source, largest",
        lambda a: max((file.count("/") for file in a.sources), default=0),
    ),
    "test_edits": (
        "edits to test files",
        lambda a: sum(bool(TEST_FILE.search(file)) for file in _edited_files(a)),
    ),
    "runs_of_turns": (
        "share of agent turns that run something",
        lambda a: share(sum(acts(t, TEST_RUN) or acts(t, SCRIPT_RUN) for t in a.agent), len(a.agent)),
    ),
}
"""name -> (what it says, how it is computed). Order is the order of the columns, after the habits'."""
