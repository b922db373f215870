"""Verifiers and attempts that the server's tests share."""

import json
import threading
import time
from collections.abc import Sequence
from typing import Any

from swe_rm.errors import VerifierError
from swe_rm.trajectory import Message, Origin, Task, Trajectory
from swe_rm.verdict import PartlyScoredError, Verdict

PATCH = "diff --git a/lamp.py b/lamp.py\n+lit = False\n"


def lamp(number: int = 1, task: int = 1, said: str = "I trim the wick.", policy: str = "mill") -> Trajectory:
    """A small attempt; equal arguments give equal attempts."""
    messages = (Message(role="user", content="The lamp hums."), Message(role="assistant", content=said))
    return Trajectory(
        task=Task(instance_id=f"tinkers__lantern-{task}", repo="tinkers/lantern", statement="The lamp hums."),
        messages=messages,
        patch=PATCH,
        origin=Origin(source="attempts", policy=policy, attempt=str(number)),
    )


def row(number: int = 1, task: int = 1, said: str = "I trim the wick.") -> dict[str, Any]:
    """The same as a row."""
    messages = [{"role": "user", "content": "The lamp hums."}, {"role": "assistant", "content": said}]
    key = {"source": "attempts", "instance_id": f"tinkers__lantern-{task}", "policy": "mill", "run": str(number)}
    return {**key, "problem_statement": "The lamp hums.", "messages": messages, "patch": PATCH}


def jsonl(*rows: Any) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in rows)


def share(trajectory: Trajectory) -> float:
    """A score made of the content, unlike that of any other content."""
    return int(trajectory.content_hash[:8], 16) / 0xFFFFFFFF


def verdict(trajectory: Trajectory, name: str) -> Verdict:
    score = share(trajectory)
    return Verdict(attempt_id=trajectory.attempt_id, score=score, raw_score=score, prompt_tokens=9, verifier=name)


class Hashed:
    """Scores by content hash, and notes what it was asked, in which batches; it can be held up."""

    name = "hashed@1"

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.batches: list[list[str]] = []
        self.free = threading.Event()
        self.free.set()

    def __call__(self, trajectories: Sequence[Trajectory], /) -> list[Verdict]:
        self.batches.append([trajectory.attempt_id for trajectory in trajectories])
        assert self.free.wait(30)
        time.sleep(self.seconds)
        for trajectory in trajectories:
            said = trajectory.messages[-1].content if trajectory.messages else ""
            if "NaN" in said:
                raise VerifierError("the logits are NaN")
            if "fault" in said:
                raise TypeError("a fault of the verifier's own")
        return [verdict(trajectory, self.name) for trajectory in reversed(trajectories)]


class Down:
    """An engine that is down until somebody mends it, and each call takes its while to find out."""

    name = "down@1"

    def __init__(self) -> None:
        self.is_down = True
        self.calls = 0

    def __call__(self, trajectories: Sequence[Trajectory], /) -> list[Verdict]:
        self.calls += 1
        if self.is_down:
            raise VerifierError("http://engine: nobody answers")
        return [verdict(trajectory, self.name) for trajectory in trajectories]


class Partly:
    """Knows which attempts it fails on."""

    name = "partly@1"

    def __call__(self, trajectories: Sequence[Trajectory], /) -> list[Verdict]:
        good = [t for t in trajectories if "NaN" not in t.messages[-1].content]
        reasons = {t.attempt_id: "too long" for t in trajectories if t not in good}
        verdicts = [verdict(t, self.name) for t in good]
        if reasons:
            raise PartlyScoredError(self, verdicts, reasons)
        return verdicts


class Slow(Hashed):
    """Takes its time for each batch."""

    def __init__(self) -> None:
        super().__init__(seconds=0.3)


class Hung(Hashed):
    """Never comes back."""

    def __call__(self, trajectories: Sequence[Trajectory], /) -> list[Verdict]:
        threading.Event().wait()
        raise AssertionError


class Cyrillic(Hashed):
    """Has a name that is no header."""

    name = "\u0444\u0438\u0442\u0438\u043b\u044c@1"


class Company(Hashed):
    """Gives each attempt its share among those it is shown with."""

    name = "company@1"
    judges_together = True

    def __call__(self, trajectories: Sequence[Trajectory], /) -> list[Verdict]:
        each = 1 / len(trajectories)
        return [verdict(one, self.name).model_copy(update={"score": each, "raw_score": each}) for one in trajectories]
