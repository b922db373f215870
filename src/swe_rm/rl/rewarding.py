"""The reward TRL asks for: scores over the bridge that every user of TRL gets, outcomes by tests, and their sum."""

import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPException
from typing import Any

from swe_rm.bridges.trl import SweRm
from swe_rm.client import ClientError
from swe_rm.errors import SweRmError, VerifierError
from swe_rm.reward import Reward, group_rewards
from swe_rm.rl.field import Played
from swe_rm.rl.measuring import Tally
from swe_rm.trajectory import Outcome

_PATIENCE = 10.0
"""Seconds in which a server says that it is there."""
_TOLD_FIRST = 2
"""Messages before the agent's own: system and task."""


class Rewards:
    """Called by TRL with a batch of attempts in groups; `note` is told what came of it.

    An attempt that could not be tested has no reward where tests are part of it, and one that a failure of ours cut off
    has none at all; TRL leaves them out.
    """

    __name__ = "reward"

    def __init__(
        self, reward: Reward, group_size: int, bridge: SweRm | None, note: Callable[[dict[str, Any]], None]
    ) -> None:
        self._reward = reward
        self._group_size = group_size
        self._bridge = bridge
        self._note = note

    def __call__(
        self, prompts: Sequence[str], completions: Sequence[str], *, played: Sequence[Played], **columns: Any
    ) -> list[float | None]:
        """The reward of each attempt. Raises SweRmError when the verifier gives no score."""
        scores = self._scores(played)
        rewards: list[float | None] = []
        uniform = 0
        for start in range(0, len(played), self._group_size):
            group = slice(start, start + self._group_size)
            given, is_uniform = self._group(played[group], scores[group])
            rewards += given
            uniform += is_uniform
        self._note(_told(played, scores, rewards, uniform, len(played) // self._group_size))
        return rewards

    def _scores(self, played: Sequence[Played]) -> list[float | None]:
        if self._bridge is None:
            return [None] * len(played)
        try:
            return self._bridge(
                [[*one.messages[:_TOLD_FIRST]] for one in played],
                [[*one.messages[_TOLD_FIRST:]] for one in played],
                model_patch=[one.patch for one in played],
                instance_id=[one.task.instance_id for one in played],
                problem_statement=[one.task.problem_statement for one in played],
            )
        except ClientError as error:
            raise SweRmError(f"the verifier gives no scores: {error}") from None

    def _group(self, played: Sequence[Played], scores: Sequence[float | None]) -> tuple[list[float | None], bool]:
        """Rewards of one task's attempts, and whether tests said the same of all."""
        needs_tests = self._reward.kind != "execution-free"
        usable = [
            place
            for place, one in enumerate(played)
            if not (one.outcome is Outcome.UNKNOWN and (needs_tests or not one.finished))
        ]
        given = group_rewards(
            [scores[place] for place in usable],
            [played[place].outcome.value for place in usable],
            [played[place].finished for place in usable],
            self._reward,
        )
        rewards: list[float | None] = [None] * len(played)
        for place, reward in zip(usable, given.rewards, strict=True):
            rewards[place] = reward
        said = {(played[place].outcome, played[place].finished) for place in usable}  # whatever the reward looks at
        return rewards, len(said) == 1


def _told(
    played: Sequence[Played],
    scores: Sequence[float | None],
    rewards: Sequence[float | None],
    uniform: int,
    groups: int,
) -> dict[str, Any]:
    known = [reward for reward in rewards if reward is not None]
    tally = Tally.of(played)
    by_outcome = {
        f"score_{outcome}": _mean([s for s, one in zip(scores, played, strict=True) if one.outcome is outcome])
        for outcome in (Outcome.RESOLVED, Outcome.UNRESOLVED)
    }
    reasons = sorted({one.why for one in played if one.outcome is Outcome.UNKNOWN})
    return {
        "reward": _mean(known), "unrewarded": len(rewards) - len(known),
        "groups": groups, "uniform_groups": uniform,
        "rate": tally.rate, **tally.model_dump(), **by_outcome,
        **({"unknown_because": reasons} if reasons else {}),
    }  # fmt: skip


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known), 6) if known else None


@contextmanager
def bridge_to(spec: str | None) -> Iterator[SweRm | None]:
    """TRL's bridge to a verifier: at its URL, or served from this process for as long as the `with` block lasts.

    None without one. Raises VerifierError for what cannot be loaded or does not answer, MissingExtraError where the
    server's packages are missing.
    """
    if spec is None:
        yield None
    elif spec.startswith(("http://", "https://")):
        _check_answers(spec)
        yield SweRm(spec)
    else:
        from swe_rm.rl.serving import served
        from swe_rm.verifiers import load_verifier

        with served(load_verifier(spec)) as url:
            yield SweRm(url)


def _check_answers(url: str) -> None:
    """Raises VerifierError where nothing listens there, before a warm-up is made and a policy looked at."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # the client uses no proxy either
    try:
        opener.open(f"{url.rstrip('/')}/healthz", timeout=_PATIENCE).close()
    except urllib.error.HTTPError:
        return  # somebody is there; what it says of attempts is seen when it is asked
    except (OSError, ValueError, HTTPException) as error:
        raise VerifierError(f"{url}: does not answer: {getattr(error, 'reason', None) or error}") from None
