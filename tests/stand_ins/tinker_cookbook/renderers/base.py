"""Tinker cookbook 0.6.1: tinker_cookbook/renderers/base.py:88."""

from typing import Literal

from pydantic import BaseModel


class ToolCall(BaseModel):
    class FunctionBody(BaseModel):
        name: str
        arguments: str

    type: Literal["function"] = "function"
    id: str | None = None
    function: FunctionBody


class UnparsedToolCall(BaseModel):
    raw_text: str
    error: str
