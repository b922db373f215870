"""SkyRL 0.3.0: skyrl-gym/skyrl_gym/envs/base_text_env.py:17-77."""

from typing import Any


class BaseTextEnv:
    def __init__(self) -> None:
        self.turns, self.max_turns = 0, 1

    def step(self, action: str) -> Any:
        raise NotImplementedError

    def init(self, prompt: list[dict[str, str]]) -> tuple[list[dict[str, str]], dict[str, Any]]:
        return prompt, {}
