"""A verifier that is not asked again and again while it answers nobody."""

import time
from collections.abc import Sequence

from swe_rm.errors import VerifierError
from swe_rm.trajectory import Trajectory
from swe_rm.verdict import PartlyScoredError, Verdict, Verifier, judges_together

MOST_FAILURES = 16
"""In a row. One bad attempt among 64 fails seven times while it is looked for by halves."""


class Patient:
    """One batch's view of a verifier: `scoring` asks for ever smaller parts of what failed, this says when to stop.

    Where an engine is down each of 127 calls for a batch of 64 would wait for it in turn.
    """

    def __init__(self, verifier: Verifier, seconds: float) -> None:
        """After that many seconds of nothing but failures no more is asked."""
        self._verifier = verifier
        self._until = time.monotonic() + seconds
        self._failures = 0
        self._last = ""

    @property
    def name(self) -> str:
        """The verifier's."""
        return self._verifier.name

    @property
    def judges_together(self) -> bool:
        """The verifier's."""
        return judges_together(self._verifier)

    def __call__(self, trajectories: Sequence[Trajectory], /) -> list[Verdict]:
        """The verifier's verdicts. Raises what it raises, and the last failure again once there were too many."""
        if self._failures >= MOST_FAILURES or (self._failures and time.monotonic() > self._until):
            raise VerifierError(self._last)
        try:
            found = self._verifier(trajectories)
        except PartlyScoredError as error:
            if error.verifier is not self._verifier:
                self._count(error)
                raise
            self._failures = 0
            raise PartlyScoredError(self, error.verdicts, error.reasons) from None
        except VerifierError as error:
            self._count(error)
            raise
        self._failures = 0
        return found

    def _count(self, error: VerifierError) -> None:
        self._failures += 1
        self._last = str(error)
