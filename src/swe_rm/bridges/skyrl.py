"""SkyRL: `class LampEnv(Judged, MyEnv)` gives any text environment the score of its whole log as its last reward."""

from functools import cache
from typing import Any

from swe_rm.client import Client, attempt_of


@cache
def client() -> Client:
    """One for this process. SkyRL waits for an environment as long as it takes, in a thread of its own."""
    return Client(deadline=100)


class Judged:
    """Stands before a `BaseTextEnv`; adds P(resolved) to the reward of the step that ends an attempt.

    The environment's own reward stays, so what its tests say counts too. Its last `metadata` tells the attempt's diff
    as `model_patch`; other keys are those of `client.attempt_of`. Raises where there is no score.
    """

    def init(self, prompt: Any) -> Any:
        """See `BaseTextEnv.init`."""
        told, metadata = super().init(prompt)  # type: ignore[misc]  # the environment's own
        self._log = [*told]
        return told, metadata

    def step(self, action: str) -> Any:
        """See `BaseTextEnv.step`."""
        output = super().step(action)  # type: ignore[misc]
        self._log += [{"role": "assistant", "content": action}, *output["observations"]]
        if not output["done"]:
            return output
        (score,) = client().score([attempt_of({**output["metadata"], "messages": self._log})])
        metadata = {**output["metadata"], "swe_rm": score}
        return {**output, "reward": output["reward"] + score, "metadata": metadata}
