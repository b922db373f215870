"""NeMo-Gym: a resources server whose `verify` is P(resolved); the `entrypoint` of its config is a file that runs it."""

from functools import cache
from typing import Any

from nemo_gym.base_resources_server import (
    BaseResourcesServerConfig,
    BaseVerifyRequest,
    BaseVerifyResponse,
    SimpleResourcesServer,
)

from swe_rm.client import Client, attempt_of

_TOKENS = {"prompt_token_ids", "generation_token_ids", "generation_log_probs", "routed_experts"}
"""What items carry for training, longer than all else."""


@cache
def client() -> Client:
    """One for this process. NeMo-Gym waits for a reward as long as it takes."""
    return Client(deadline=100)


class VerifyRequest(BaseVerifyRequest):
    """The body, with what the environment tells of the task and of what the agent left; its `patch` is the solution."""

    instance_id: str | None = None
    problem_statement: str | None = None
    model_patch: str | None = None


class VerifyResponse(VerifyRequest, BaseVerifyResponse):
    """The same with `reward`."""


class SweRmServer(SimpleResourcesServer):
    """Answers `/verify`; a failure is an error of the request and never a reward."""

    config: BaseResourcesServerConfig

    async def verify(self, body: VerifyRequest) -> VerifyResponse:
        """See `SimpleResourcesServer.verify`."""
        told: list[Any] = [item.model_dump(exclude_none=True, exclude=_TOKENS) for item in body.response.output]
        messages = [*_asked(body.responses_create_params), *told]
        (score,) = await client().ascore([attempt_of({**dict(body), "messages": messages})])
        return VerifyResponse(**body.model_dump(), reward=score)


def _asked(params: Any) -> list[Any]:
    """What the policy was asked, in each way that a request may say it."""
    given = params.model_dump(include={"input"}, exclude_none=True)["input"]
    prompt = [{"role": "system", "content": params.instructions}] if params.instructions else []
    return [*prompt, *([{"role": "user", "content": given}] if isinstance(given, str) else given)]
