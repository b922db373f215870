"""ms-swift: a plugin file that imports this module, and `--reward_funcs swe_rm`; a batch is one request.

Not by this file's own path: ms-swift would take its folder for one of packages, and find this one named as others are.
"""

from functools import cache
from typing import Any

from swift.rewards.orm import AsyncORM, orms

from swe_rm.client import Client, attempt


@cache
def client() -> Client:
    """One for this process. ms-swift waits for a reward as long as it takes."""
    return Client(deadline=100)


class SweRm(AsyncORM):
    """P(resolved) of each whole chat; raises where there is none.

    ms-swift would take None as a reward that does not apply, and sums rewards without those: where no other reward
    applies the sum is 0. Tests are a second function with a weight of its own (`--reward_weights`).
    """

    async def __call__(self, completions: list[str], **kwargs: Any) -> list[float]:
        """See `AsyncORM`. Beside the chats: `model_patch` (the attempt's), `instance_id`, `problem_statement`."""
        nothing = [None] * len(completions)
        names = ("messages", "model_patch", "instance_id", "problem_statement")
        rows = zip(*(kwargs.get(name) or nothing for name in names), strict=True)
        return await client().ascore(
            [attempt(chat, patch=patch, instance_id=task, statement=issue) for chat, patch, task, issue in rows]
        )


orms["swe_rm"] = SweRm
