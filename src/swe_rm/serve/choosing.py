"""Submissions out of a text, as SWE-agent's templates write them: one after a log, or several to choose from."""

import re

from swe_rm.serve.failures import RequestError
from swe_rm.serve.plain_text import POLICY, SOURCE
from swe_rm.serve.received import Attempt, check_tokens
from swe_rm.serve.settings import Settings
from swe_rm.sources import naming
from swe_rm.sources.reader import attempt

CHOOSER = "swe-rm-choose"
"""The model's name in requests that ask which submission is best."""

_ONE = "\n<submission>\n"
_OPENING = re.compile(r"^<submission (\d{1,4})>$", re.MULTILINE)
_CLOSING = "</submission>"
_DIFF = re.compile(r"^(?:diff --git |--- )", re.MULTILINE)


def parted(text: str) -> tuple[str, str]:
    """(text, diff): what stands before the last line `<submission>`, and what stands from there to `</submission>`.

    No diff where the text does not end so. A line of a diff begins with another character, so the last such line is
    not the agent's.
    """
    before, opening, after = text.rstrip().rpartition(_ONE)
    if not opening or not after.endswith(_CLOSING):
        return text, ""
    patch = after.removesuffix(_CLOSING).strip()
    return before, patch + "\n" if _DIFF.search(patch) else ""


def read_submissions(text: str, name: str, settings: Settings) -> dict[int, Attempt]:
    """The submissions of a text by number, each an attempt of which nothing but the patch is known.

    The text is the issue, then for each submission a line `<submission N>` (N from 0), what was submitted, and a line
    `</submission>`. What is no diff is left out: SWE-agent writes a sentence where nothing fit to judge was submitted.
    Raises RequestError where there is none to choose from, or where the numbers are not 0, 1, 2 ... each once: a
    submission that holds such lines itself is not let pass for another one.
    """
    opened = list(_OPENING.finditer(text))
    if [one[1] for one in opened] != [str(number) for number in range(len(opened))] or not opened:
        raise RequestError("unreadable", f"{name}: lines <submission N> with N = 0, 1, 2 ..., each once, are asked for")
    statement = text[: opened[0].start()].strip()
    if not statement:
        raise RequestError("unreadable", f"{name}: no issue before the first submission")
    ends = [*(one.start() for one in opened[1:]), len(text)]
    written = [text[one.end() : end].strip() for one, end in zip(opened, ends, strict=True)]
    found = {
        number: _attempt(statement, number, body.removesuffix(_CLOSING).strip() + "\n", settings)
        for number, body in enumerate(written)
        if body.endswith(_CLOSING) and _DIFF.search(body)
    }
    if not found:
        raise RequestError("unreadable", f"{name}: no submission is a diff")
    return found


def _attempt(statement: str, number: int, patch: str, settings: Settings) -> Attempt:
    found = attempt(
        source=SOURCE,
        scaffold="",
        policy=POLICY,
        attempt=str(number),
        instance_id=naming.task_of_issue(statement),
        messages=(),
        patch=patch,
        statement=statement,
    ).trajectory
    check_tokens(found, settings)
    return Attempt(found)
