"""Two verifiers as one: attempts with a log go to the first, those of which there is a patch alone to the second."""

from collections.abc import Sequence

from swe_rm.trajectory import Trajectory
from swe_rm.verdict import Verdict, Verifier, by_id, close, following, judges_together, reads_origin, spent


class ByLog:
    """Answers under the first one's name, whoever judged; a log is what an agent said or did, no demonstration.

    What is fitted on logs takes an empty one for the log of a very short attempt: the verifiers that ship then picked
    worse than chance among patches (experiments/LOG.md).
    """

    def __init__(self, logs: Verifier, patches: Verifier) -> None:
        self._logs = logs
        self._patches = patches

    @property
    def name(self) -> str:
        """Of the verifier of logs."""
        return self._logs.name

    def __call__(self, trajectories: Sequence[Trajectory], /) -> list[Verdict]:
        """One verdict for each trajectory; a verifier that gets none is not asked. Raises whatever either raises."""
        parts = [(self._logs, [*filter(has_log, trajectories)])]
        parts.append((self._patches, [t for t in trajectories if not has_log(t)]))
        found: dict[str, Verdict] = {}
        for verifier, part in parts:
            found |= by_id(part, verifier(part)) if part else {}
        return [found[t.attempt_id].model_copy(update={"verifier": self.name}) for t in trajectories]

    @property
    def judges_together(self) -> bool:
        """Whether a score depends on what else is judged in the same call: where either's does."""
        return judges_together(self._logs) or judges_together(self._patches)

    @property
    def reads_origin(self) -> bool:
        """Whether a score depends on whose attempt it is: where either's does."""
        return reads_origin(self._logs) or reads_origin(self._patches)

    @property
    def spent(self) -> str | None:
        """What either has asked of an engine so far."""
        told = [str(found) for verifier in (self._logs, self._patches) if (found := spent(verifier)) is not None]
        return "; ".join(told) or None

    def close(self) -> None:
        """Close both."""
        close(self._logs)
        close(self._patches)

    def following(self) -> "ByLog":
        """The same, of verifiers that follow one attempt as it grows."""
        return ByLog(following(self._logs), following(self._patches))

    def explain(self, trajectory: Trajectory) -> list[str]:
        """What the one that judges the attempt says about its score, where it says anything."""
        reasons = getattr(self._logs if has_log(trajectory) else self._patches, "explain", None)
        return reasons(trajectory) if reasons else []


def has_log(trajectory: Trajectory) -> bool:
    """Whether an agent said or did something that is kept, or may still: what has just begun has no patch either."""
    said = any(message.role == "assistant" and not message.demo for message in trajectory.messages)
    return said or not trajectory.patch
