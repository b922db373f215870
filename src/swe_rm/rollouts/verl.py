"""verl's agent loop around an attempt: token ids go to the policy's server, its text to mini-swe-agent.

`actor_rollout_ref.rollout.agent.agent_loop_config_path` names a file such as configs/recipes/verl/agent.yaml, whose
`_target_` is the class here. What `swe_rm.bridges.verl` reads for the reward is left in `extra_fields`.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from uuid import uuid4

from omegaconf import DictConfig, OmegaConf
from verl.experimental.agent_loop.agent_loop import AgentLoopBase, AgentLoopOutput
from verl.utils.profiler import simple_timer

from swe_rm.rollouts.attempt import Rollout
from swe_rm.rollouts.scaffold import RolloutError, Settings
from swe_rm.rollouts.tasks import RolloutTask

T = TypeVar("T")
TRIES = 3
"""Attempts that fail for reasons of ours are made again; after that verl leaves this one out of its group."""
_LOG = logging.getLogger(__name__)


class MiniSweAgentLoop(AgentLoopBase):
    """One attempt at a row's task; `settings` are `scaffold.Settings`, `turn_tokens` the most of one answer."""

    def __init__(self, *args: Any, settings: Mapping[str, Any] | None = None, turn_tokens: int = 4096, **kwargs: Any):
        super().__init__(*args, **kwargs)
        plain = OmegaConf.to_container(settings) if isinstance(settings, DictConfig) else settings
        self._settings = Settings.model_validate(plain or {})
        self._turn_tokens = turn_tokens

    async def run(self, sampling_params: dict[str, Any], **row: Any) -> AgentLoopOutput:
        """See `AgentLoopBase`. Raises RolloutError after three tries."""
        task = RolloutTask.model_validate_json(row["task"])
        opening = [dict(message) for message in row["raw_prompt"]]
        for number in range(1, TRIES + 1):
            try:
                return await self._attempt(task, opening, sampling_params)
            except RolloutError as error:
                if number == TRIES:
                    raise
                _LOG.warning("%s: made again (%d of %d): %s", task.instance_id, number + 1, TRIES, error)
        raise AssertionError("the last try raises")

    async def _attempt(
        self, task: RolloutTask, opening: list[dict[str, Any]], sampling_params: dict[str, Any]
    ) -> AgentLoopOutput:
        metrics: dict[str, float] = {}
        rollout = await self._apart(lambda: Rollout(task, opening, self._settings))
        try:
            played = _Played(self, await self.ct_build_initial_tokens(opening), sampling_params, metrics)
            while not rollout.is_over:
                await self._turn(rollout, played)
            with simple_timer("tool_calls", metrics):
                told = await self._apart(rollout.told)
        finally:
            await self._apart(rollout.close)
        return played.output(told)

    async def _turn(self, rollout: Rollout, played: "_Played") -> None:
        room = self.rollout_config.response_length - len(played.mask)
        if room <= 0:
            rollout.end("ContextFull")
            return
        before = rollout.chat
        said = await played.say(min(room, self._turn_tokens))
        with simple_timer("tool_calls", played.metrics):
            seen = await self._apart(lambda: rollout.step(said))
        if seen is not None:
            await played.read([*before, {"role": "assistant", "content": said}], rollout.chat)

    async def _apart(self, work: Callable[[], T]) -> T:
        """In a thread: commands and tests take seconds."""
        return await self.loop.run_in_executor(None, work)  # type: ignore[no-any-return]  # asyncio's, by verl's Any


class _Played:
    """The tokens of an attempt: what the policy said (1 in the mask) and what it read (0)."""

    def __init__(
        self, loop: MiniSweAgentLoop, prompt: list[int], sampling_params: dict[str, Any], metrics: dict[str, float]
    ) -> None:
        self._loop = loop
        self._ids = prompt
        self._sampling = sampling_params
        self._name = uuid4().hex
        self._logprobs: list[float] | None = [] if sampling_params.get("logprobs") else None
        self._experts: Any = None
        self._steps: dict[str, Any] = {}
        self._turns = 1
        self.mask: list[int] = []
        self.metrics = metrics

    async def say(self, most: int) -> str:
        """The policy's next answer."""
        with simple_timer("generate_sequences", self.metrics):
            output = await self._loop.server_manager.generate(
                request_id=self._name,
                prompt_ids=self._ids,
                sampling_params={**self._sampling, "max_tokens": most},
            )
        merged, self.mask, self._logprobs = await self._loop.ct_merge_assistant_token(
            self._ids, output.token_ids, self.mask, self._logprobs, assistant_logprobs=output.log_probs
        )
        self._ids = merged.token_ids
        self._experts = output.routed_experts if output.routed_experts is not None else self._experts
        first = self._steps.get("min_global_steps", output.extra_fields.get("min_global_steps"))
        self._steps = {**output.extra_fields, "min_global_steps": first}
        self._turns += 1
        return str(self._loop.tokenizer.decode(output.token_ids, skip_special_tokens=True))

    async def read(self, before: list[dict[str, Any]], after: list[dict[str, Any]]) -> None:
        """What came of it."""
        merged, self.mask, self._logprobs = await self._loop.ct_merge_context_msg(
            before, after, self._ids, self.mask, self._logprobs
        )
        self._ids = merged.token_ids
        self._turns += 1

    def output(self, told: dict[str, Any]) -> AgentLoopOutput:
        """As verl takes it. An observation that passes the response's length is cut: nobody said a word after it."""
        most = self._loop.rollout_config.response_length
        begin = len(self._ids) - len(self.mask)
        return AgentLoopOutput(
            prompt_ids=self._ids[:begin],
            response_ids=self._ids[begin : begin + most],
            response_mask=self.mask[:most],
            response_logprobs=self._logprobs[:most] if self._logprobs else None,
            routed_experts=None if self._experts is None else self._experts[: begin + most],
            num_turns=self._turns,
            metrics=self.metrics,
            extra_fields={**self._steps, **told, "turn_scores": [], "tool_rewards": []},
        )
