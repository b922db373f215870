"""ms-swift 4.6.0: swift/rewards/orm.py:34 and 462."""

from typing import Any


class AsyncORM:
    def __init__(self, args: Any = None, **kwargs: Any) -> None:
        self.args = args

    async def __call__(self, **kwargs: Any) -> list[float]:
        raise NotImplementedError


orms: dict[str, type] = {}
