"""Commands that start Python and nothing else, known by their form: a fork of a Python that runs already is enough.

Starting an interpreter and loading unittest takes ten times as long as the tests of a small package. What is run,
printed and returned is the same; a test holds each form against the shell.
"""

import re
from typing import Any

_UNITTEST = re.compile(r"python3? -m unittest((?: [\w.-]+)*)( 2>&1)?(?: \| tail -n (\d+))?")
_SCRIPT = re.compile(r"python3? - <<'EOF'\n(.*\n)?EOF", re.DOTALL)


def without_a_shell(command: str) -> dict[str, Any] | None:
    """What to run of such a command: arguments of unittest or a script, and how many lines to keep of the output.

    None for every other command.
    """
    if found := _UNITTEST.fullmatch(command):
        # Only with 2>&1 does tail read what unittest prints.
        if found[3] and not found[2]:
            return None
        return {"unittest": found[1].split(), "tail": int(found[3]) if found[3] else None}
    if found := _SCRIPT.fullmatch(command):
        script = found[1] or ""
        return None if "\nEOF\n" in f"\n{script}" else {"script": script, "tail": None}
    return None


def last_lines(text: str, count: int | None) -> str:
    """The last lines of a text, as tail gives them; all of it with None."""
    if count is None:
        return text
    lines = re.findall(r"[^\n]*\n|[^\n]+$", text)
    return "".join(lines[max(0, len(lines) - count) :])
