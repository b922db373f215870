"""ROLL of 2026-08-19: roll/models/model_providers.py, default_tokenizer_provider."""

from typing import Any


class Characters:
    """A tokenizer of characters; number 0 pads."""

    def decode(self, ids: Any, skip_special_tokens: bool) -> str:
        assert not skip_special_tokens
        return "".join(map(chr, ids.tolist()))


def default_tokenizer_provider(model_args: Any) -> Characters:
    return Characters()
