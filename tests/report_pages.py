"""Reports made by dice, and their pages taken apart: tags, ids, figures with where they stand, text."""

import random
from collections import Counter
from collections.abc import Sequence
from html.parser import HTMLParser
from typing import Any, NamedTuple

from swe_rm.evaluate import Report, evaluate
from swe_rm.trajectory import Labelled, Message, Origin, Outcome, Task, ToolCall, Trajectory
from swe_rm.verdict import Verdict

HOSTILE = "<script>alert(1)</script>\x1b[31m\" onload='x' & [red]mill[/red]"
OUTCOMES = (Outcome.RESOLVED, Outcome.UNRESOLVED)


def report(policies: Sequence[str], n_tasks: int = 12, runs: int = 4, outcomes: Sequence[Outcome] = OUTCOMES) -> Report:
    rng = random.Random(1)
    pool, verdicts = [], []
    for task in range(n_tasks):
        for policy in policies:
            for run in range(runs):
                origin = Origin(source="made", scaffold=policy, policy=policy, attempt=str(run))
                trajectory = Trajectory(
                    task=Task(instance_id=f"{policy}-{task}", repo=policy), patch=f"+{task}", origin=origin
                )
                outcome = rng.choice(outcomes)
                score = min(1.0, max(0.0, rng.gauss(0.6 if outcome is Outcome.RESOLVED else 0.4, 0.15)))
                pool.append(Labelled(trajectory=trajectory, outcome=outcome))
                verdicts.append(
                    Verdict(attempt_id=trajectory.attempt_id, score=score, raw_score=score, verifier=f"{policy}@1")
                )
    named = [verdict.model_copy(update={"verifier": f"{policies[0]}@1"}) for verdict in verdicts]
    return evaluate(pool, named, resamples=50)


class Cited(NamedTuple):
    """One figure of a page."""

    at: str
    value: str
    shown: str


class Page(HTMLParser):
    """The tags, attributes and text of a page, and whether every tag is closed in its turn."""

    VOID = frozenset({"meta", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.cited: list[Cited] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    @property
    def ids(self) -> list[str]:
        """In the order of the document."""
        return [id_ for _, attributes in self.elements if (id_ := attributes.get("id"))]

    def named(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every such element."""
        return [attributes for name, attributes in self.elements if name == tag]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._met(tag, attrs)
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._met(tag, attrs)

    def _met(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs)
        self.tags[tag] += 1
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._open and self._open[-1] == "data":
            found = self.elements[-1][1]
            self.cited.append(Cited(found["data-at"] or "", found["value"] or "", data))


def at(document: Any, pointer: str) -> Any:
    """What stands at a place (RFC 6901) of a JSON document; None where a curve has no such K."""
    for key in pointer.split("/")[1:]:
        key = key.replace("~1", "/").replace("~0", "~")
        if isinstance(document, list):
            document = document[int(key)]
        elif document is not None:
            document = document.get(key) if key.isdigit() else document[key]
    return document


PATCH = """diff --git a/lamp.py b/lamp.py
--- a/lamp.py
+++ b/lamp.py
@@ -1,2 +1,2 @@
 def off():
-    pass
+    dim()
"""


def attempt(n_turns: int = 4, said: str = "I trim the wick.", seen: str = "1 passed", number: int = 1) -> Labelled:
    """A failed attempt at the lamp."""
    log = [Message(role="user", content="The lamp stays on after off().")]
    for turn in range(n_turns):
        call = ToolCall(name="bash", arguments='{"command": "python -m pytest -k wick"}')
        log.append(Message(role="assistant", content=f"{said} ({turn})", tool_calls=(call,)))
        log.append(Message(role="tool", content=f"<returncode>{turn % 2}</returncode>\n<output>\n{seen}\n</output>"))
    trajectory = Trajectory(
        task=Task(instance_id="tinkers__lantern-12", statement="The lamp stays on after off()."),
        messages=tuple(log),
        patch=PATCH,
        origin=Origin(source="made", scaffold="loop", policy="mill", attempt=str(number)),
    )
    return Labelled(trajectory=trajectory, outcome=Outcome.UNRESOLVED, provenance="report.json")
