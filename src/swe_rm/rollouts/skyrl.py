"""`python -m swe_rm.rollouts.skyrl KEY=VALUE...`: SkyRL's own training, with attempts of mini-swe-agent.

The environment gives what the tests say, and `swe_rm.bridges.skyrl` adds P(resolved): together the published hybrid.
Keys are SkyRL's, and `generator.rollouts.KEY`, which are those of `rollouts.Settings` (`step_limit` is
`generator.max_turns`).
"""

import logging
import os
import sys
from dataclasses import dataclass, field
from typing import Any

import ray
from skyrl.backends.skyrl_train.inference_servers.utils import resolve_policy_model_name
from skyrl.train.config import GeneratorConfig, SkyRLTrainConfig
from skyrl.train.entrypoints.main_base import BasePPOExp
from skyrl.train.generators.skyrl_gym_generator import SkyRLGymGenerator
from skyrl.train.utils import validate_cfg
from skyrl.train.utils.utils import initialize_ray
from skyrl_gym.envs import register
from skyrl_gym.envs.base_text_env import BaseTextEnv

from swe_rm.bridges.skyrl import Judged
from swe_rm.reward import Reward
from swe_rm.rollouts.attempt import Rollout
from swe_rm.rollouts.scaffold import RolloutError, Settings
from swe_rm.rollouts.tasks import ENVIRONMENT, RolloutTask

TRIES = 3
"""Attempts that fail for reasons of ours are made again; after that training ends, and resumes from its checkpoint."""
SPARE = 64
"""Tokens: chat templates join messages a little differently than SkyRL joins token ids."""
TOLD = ("SWE_RM_URL", "SWE_RM_TOKEN", "SWE_RM_VERIFIER")
"""Variables of the bridge that go to the machine on which attempts are made."""
_LOG = logging.getLogger(__name__)
_TESTS = Reward("execution-based")


@dataclass
class RolloutGeneratorConfig(GeneratorConfig):
    """SkyRL's own and what is said of attempts."""

    rollouts: dict[str, Any] = field(default_factory=dict)


@dataclass
class RolloutTrainConfig(SkyRLTrainConfig):
    """SkyRL's own with that generator."""

    generator: RolloutGeneratorConfig = field(default_factory=RolloutGeneratorConfig)


class TestedEnv(BaseTextEnv):
    """An attempt at a row's task; at its end 1 if resolved, -0.5 if not finished, 0 otherwise."""

    def __init__(self, env_config: Any = None, extras: dict[str, Any] | None = None) -> None:
        super().__init__()
        told = extras or {}
        self._task = RolloutTask.model_validate_json(told["task"])
        self._settings = Settings(**{**told.get("rollouts", {}), "step_limit": told["max_turns"]})
        self._fits = told["fits"]
        self._rollout: Rollout | None = None

    def init(self, prompt: list[dict[str, str]]) -> tuple[list[dict[str, str]], dict[str, Any]]:
        """See `BaseTextEnv`."""
        self._rollout = Rollout(self._task, prompt, self._settings)
        return prompt, {}

    def step(self, action: str) -> dict[str, Any]:
        """See `BaseTextEnv`."""
        if self._rollout is None:
            raise ValueError("init comes first")
        seen = self._rollout.step(action)
        if seen is not None and not self._fits(self._rollout.chat):
            self._rollout.end("ContextFull")
        if not self._rollout.is_over:
            return {"observations": [{"role": "user", "content": seen}], "reward": 0.0, "done": False, "metadata": {}}
        try:
            told = self._rollout.told()
        except RolloutError:
            self._rollout.close()  # SkyRL closes no environment whose step has failed
            raise
        reward = _TESTS(None, told["resolved"], finished=told["finished"])
        return {"observations": [], "reward": reward, "done": True, "metadata": told}

    def get_metrics(self) -> dict[str, Any]:
        """See `BaseTextEnv`: SkyRL logs the mean over a batch."""
        over = self._rollout
        return {} if over is None else {"finished": float(over.is_finished), "turns": float(len(over.chat) // 2 - 1)}

    def close(self) -> None:
        """See `BaseTextEnv`. Raises RolloutError for an attempt that SkyRL cut off: it would get 0, a reward."""
        if self._rollout is None:
            return
        self._rollout.close()
        if not self._rollout.is_over:
            raise RolloutError(f"{self._task.instance_id}: cut off by its length before its environment could end it")


class SweEnv(Judged, TestedEnv):
    """The same and P(resolved): the published hybrid reward."""


class RolloutGenerator(SkyRLGymGenerator):
    """SkyRL's own; it tells environments how long a chat may get, and makes an attempt again that failed for us."""

    async def agent_loop(self, *args: Any, **kwargs: Any) -> Any:
        """See `SkyRLGymGenerator`. Raises RolloutError after three tries."""
        for number in range(1, TRIES + 1):
            try:
                return await super().agent_loop(*args, **kwargs)
            except RolloutError as error:
                if number == TRIES:
                    raise
                _LOG.warning("made again (%d of %d): %s", number + 1, TRIES, error)
        raise AssertionError("the last try raises")

    def _setup_env_extras(
        self, _env_class: str, env_extras: dict[str, Any], _sampling_params: Any, _trajectory_id: Any
    ) -> dict[str, Any]:
        return {**env_extras, "rollouts": self.generator_cfg.rollouts, "fits": self._fits}

    def _fits(self, chat: list[dict[str, str]]) -> bool:
        """Whether SkyRL will ask for another answer after this chat."""
        ids = self.tokenizer.apply_chat_template(
            chat,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=False,
            **self.generator_cfg.chat_template_kwargs,
        )
        return bool(len(ids) + SPARE <= self.generator_cfg.max_input_length)


class RolloutExp(BasePPOExp):
    """SkyRL's own with that generator."""

    def get_generator(self, cfg: Any, tokenizer: Any, inference_engine_client: Any) -> RolloutGenerator:
        """See `BasePPOExp`."""
        return RolloutGenerator(
            generator_cfg=cfg.generator,
            skyrl_gym_cfg=cfg.environment.skyrl_gym,
            inference_engine_client=inference_engine_client,
            tokenizer=tokenizer,
            policy_model_name=resolve_policy_model_name(cfg),
        )


def configured(arguments: list[str]) -> RolloutTrainConfig:
    """SkyRL's config of these keys. Raises ValueError and AssertionError for what it or `Settings` does not know."""
    config: RolloutTrainConfig = RolloutTrainConfig.from_cli_overrides(arguments)
    validate_cfg(config)
    Settings(**{**config.generator.rollouts, "step_limit": config.generator.max_turns})
    return config


def registered() -> None:
    """Have SkyRL know the environment, in the process where attempts are made."""
    register(id=ENVIRONMENT, entry_point=SweEnv)


def trained(config: RolloutTrainConfig) -> None:
    """The training itself, in a process of Ray's."""
    registered()
    RolloutExp(config).run()


def main() -> None:
    """As `skyrl.train.entrypoints.main_base` does, with our parts."""
    config = configured(sys.argv[1:])
    initialize_ray(config)
    variables = {name: os.environ[name] for name in TOLD if name in os.environ}
    task = ray.remote(num_cpus=1)(trained).options(runtime_env={"env_vars": variables})
    ray.get(task.remote(config))


if __name__ == "__main__":
    from swe_rm.rollouts import skyrl  # Ray's processes find classes by their module's name, which is not __main__

    skyrl.main()
