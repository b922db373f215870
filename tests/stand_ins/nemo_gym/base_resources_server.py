"""NeMo-Gym 0.4.0: nemo_gym/base_resources_server.py:75-91 and 129-160."""

from abc import abstractmethod
from typing import Any

from pydantic import BaseModel, ConfigDict


class BaseResourcesServerConfig(BaseModel):
    name: str = ""


class _Open(BaseModel):
    model_config = ConfigDict(extra="allow")


class _Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    input: str | list[dict[str, Any]]
    instructions: str | None = None


class _Response(_Open):
    output: list[_Open]


class BaseVerifyRequest(BaseModel):
    responses_create_params: _Params
    response: _Response


class BaseVerifyResponse(BaseVerifyRequest):
    reward: float


class SimpleResourcesServer(BaseModel):
    config: BaseResourcesServerConfig

    @abstractmethod
    async def verify(self, body: BaseVerifyRequest) -> BaseVerifyResponse: ...
