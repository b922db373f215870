"""OpenHands: `Agent(llm=..., tools=..., critic=SweRmCritic())`; reads the whole log, arguments of calls included."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from openhands.sdk.critic.base import CriticBase, CriticResult
from openhands.sdk.event.base import LLMConvertibleEvent

from swe_rm.client import Client, attempt

_PLAINLY: dict[str, bool] = {
    "cache_enabled": False,
    "vision_enabled": False,
    "function_calling_enabled": True,
    "force_string_serializer": False,
    "send_reasoning_content": True,
}


@cache
def client() -> Client:
    """One for this process. OpenHands waits for a critic as long as it takes; its own gives up after 300 s."""
    return Client(deadline=100)


class SweRmCritic(CriticBase):
    """P(resolved) of the events so far; raises where there is none, which OpenHands logs as no result.

    OpenHands hands over no patch, and an attempt without one counts as not finished: a subclass that knows the
    repository passes `git_patch` on.
    """

    def evaluate(self, events: Sequence[LLMConvertibleEvent], git_patch: str | None = None) -> CriticResult:
        """See `CriticBase.evaluate`."""
        messages: list[Any] = LLMConvertibleEvent.events_to_messages(list(events))
        (score,) = client().score([attempt([one.to_chat_dict(**_PLAINLY) for one in messages], patch=git_patch)])
        return CriticResult(score=score, message=f"P(resolved) {score:.3f} ({client().verifier})")
