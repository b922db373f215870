"""SkyRL itself: the recipe's settings, its generator around an attempt, its loss; and that no failure is a reward."""

import asyncio
import json
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("skyrl", reason="SkyRL has an environment of its own: make test-bridges")
if sys.version_info < (3, 12):
    pytest.skip("SkyRL 0.3 needs Python 3.12: make test-bridges ONLY=skyrl PYTHON=python3.12", allow_module_level=True)
pytestmark = pytest.mark.bridges

from skyrl.backends.skyrl_train.utils.ppo_utils import (  # noqa: E402
    PolicyLossRegistry,
    apply_loss_reduction_to_advantages_minibatch,
    repopulate_all_registries,
)
from skyrl.train.dataset import PromptDataset  # noqa: E402
from skyrl_gym.envs.registration import registry  # noqa: E402

from swe_rm.bridges import skyrl as bridge  # noqa: E402
from swe_rm.client import Unreachable  # noqa: E402
from swe_rm.rollouts.scaffold import RolloutError  # noqa: E402
from swe_rm.rollouts.skyrl import RolloutExp, RolloutTrainConfig, configured, registered  # noqa: E402
from tests import rollouting as lamps  # noqa: E402
from tests.bridges import tiny  # noqa: E402
from tests.bridges.recipes import assert_is_gspo, launched, row  # noqa: E402
from tests.bridges.servers import Stub, free_port  # noqa: E402

SCORED = "This is try 250.\n\n"
"""What the stand-in of a server reads its score from."""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lamps.image(tmp_path_factory.mktemp("image"))


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server's, in the variable that the bridge reads."""
    with Stub() as stub:
        monkeypatch.setenv("SWE_RM_URL", stub.url)
        bridge.client.cache_clear()
        yield stub.url
    bridge.client.cache_clear()


def settings(folder: Path, *more: str) -> list[str]:
    module, name, *found = launched("skyrl", folder, *more)
    assert (module, name) == ("-m", "swe_rm.rollouts.skyrl")
    return found


def test_every_setting_of_the_recipe_is_skyrls(tmp_path: Path) -> None:
    config = configured(settings(tmp_path))
    algorithm = config.trainer.algorithm
    assert (algorithm.policy_loss_type, algorithm.loss_reduction) == ("gspo", "sequence_mean")
    assert (algorithm.eps_clip_low, algorithm.eps_clip_high, algorithm.use_kl_loss) == (3e-4, 4e-4, False)
    assert config.generator.max_input_length + config.generator.sampling_params.max_generate_length == 65536
    assert config.generator.inference_engine.engine_init_kwargs == {"max_model_len": 65536}
    assert config.environment.env_class == "swe"
    assert config.generator.rollouts["keep"] == str(tmp_path / "runs" / "skyrl" / "attempts")
    assert config.data.train_data == [str(tmp_path / "data" / "rl" / "train.jsonl")]
    assert pickle.loads(pickle.dumps(config)) == config, "Ray sends it"
    assert not config.generator.zero_reward_on_non_stop, "a reward of 0 in place of none"


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("trainer.algorithm.eps_clip_hihg=0.0004", "eps_clip_hihg"),
        ("generator.rollouts.tset_seconds=3", "tset_seconds"),
        ("trainer.algorithm.policy_loss_type=gpso", "gpso"),
        ("trainer.train_batch_size=17", "17 should be divisible"),
    ],
)
def test_what_skyrl_or_we_do_not_know_is_refused(setting: str, said: str, tmp_path: Path) -> None:
    with pytest.raises((ValueError, AssertionError), match=said):
        configured(settings(tmp_path, setting))


def generator(server: "Policy", tmp_path: Path, *more: str) -> Any:
    config: RolloutTrainConfig = configured(settings(tmp_path, *more))
    config.generator.rollouts = {key: value for key, value in lamps.SETTINGS.items() if key != "step_limit"}
    registry.pop("swe", None)
    registered()
    return RolloutExp.get_generator(None, config, server.tokenizer, server)  # type: ignore[arg-type]


class Policy:
    """SkyRL's client of an inference engine: it says what is written down, in tokens."""

    def __init__(self, *said: str) -> None:
        self.tokenizer = tiny.spelling_tokenizer()
        self.said = [f"{SCORED}{one}" for one in said]
        self.read: list[str] = []
        self.sessions: list[str] = []

    async def generate(self, asked: dict[str, Any], model: str | None = None) -> dict[str, Any]:
        self.read.append(self.tokenizer.decode(asked["prompt_token_ids"][0]))
        text = self.said[(len(self.read) - 1) % len(self.said)]
        ids = self.tokenizer.encode(text + self.tokenizer.eos_token)
        return {
            "responses": [text],
            "response_ids": [ids],
            "stop_reasons": ["stop"],
            "response_logprobs": [[-0.5] * len(ids)],
        }

    async def finish_session(self, name: str) -> None:
        self.sessions.append(name)


def generated(made: Any, record: dict[str, Any]) -> dict[str, Any]:
    """What SkyRL makes of one row."""
    told = row(record, lamps.SETTINGS)
    asked = {
        "prompts": [told["prompt"]],
        "env_classes": [told["env_class"]],
        "env_extras": [{"task": told["task"]}],
        "sampling_params": None,
        "trajectory_ids": None,
    }
    return dict(asyncio.run(made.generate(asked, disable_tqdm=True)))


@pytest.mark.parametrize(
    ("said", "reward"),
    [(lamps.SOLVED, 1.25), (lamps.FAILED, 0.25), (("I only talk.",) * 3, -0.25)],
    ids=["resolved", "unresolved", "unfinished"],
)
def test_skyrls_generator_gives_the_hybrid_reward(
    said: tuple[str, ...], reward: float, image: Path, url: str, tmp_path: Path
) -> None:
    policy = Policy(*said)
    found = generated(generator(policy, tmp_path), lamps.record(image))
    assert sum(found["rewards"][0]) == pytest.approx(reward)
    assert found["rewards"][0][-1] == pytest.approx(reward), "at the last token"
    own = [one for one, mine in zip(found["response_ids"][0], found["loss_masks"][0], strict=True) if mine]
    eos = policy.tokenizer.eos_token
    assert policy.tokenizer.decode(own) == "".join(one + eos for one in policy.said)
    assert f"{lamps.STATEMENT}" in policy.read[0]
    assert len(policy.read) == len(said)


def test_an_attempt_that_fills_the_context_ends_itself_and_is_unfinished(image: Path, url: str, tmp_path: Path) -> None:
    policy = Policy(lamps.LOOK)
    opening = len(policy.tokenizer.apply_chat_template(row(lamps.record(image), lamps.SETTINGS)["prompt"]).input_ids)
    most = opening + 1000
    made = generator(policy, tmp_path, f"generator.max_input_length={most}", f"trainer.max_prompt_length={opening}")
    found = generated(made, lamps.record(image))
    assert 1 < len(policy.read) < lamps.SETTINGS["step_limit"]
    assert sum(found["rewards"][0]) == pytest.approx(-0.25)


def test_one_that_skyrl_cuts_off_itself_is_an_error_and_no_zero(image: Path, url: str, tmp_path: Path) -> None:
    made = generator(Policy(lamps.LOOK), tmp_path)
    made.generator_cfg.max_input_length = 10
    with pytest.raises(RolloutError, match="cut off by its length"):
        generated(made, lamps.record(image))


def test_without_a_server_there_is_no_reward(image: Path, url: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("SWE_RM_URL", f"http://127.0.0.1:{free_port()}")
    bridge.client.cache_clear()
    bridge.client().deadline = 1.0
    with pytest.raises(Unreachable):
        generated(generator(Policy(*lamps.SOLVED), tmp_path), lamps.record(image))


def test_a_container_that_does_not_start_is_tried_again_and_then_an_error(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []

    def gone(task: Any, *more: Any) -> None:
        tries.append(task.instance_id)
        raise RolloutError("no machine")

    monkeypatch.setattr("swe_rm.rollouts.skyrl.Rollout", gone)
    with pytest.raises(RolloutError, match="no machine"):
        generated(generator(Policy(lamps.LOOK), tmp_path), lamps.record(tmp_path))
    assert len(tries) == 3


def test_skyrl_reads_the_rows(image: Path, tmp_path: Path) -> None:
    told = row(lamps.record(image), lamps.SETTINGS)
    (tmp_path / "rows.jsonl").write_text(json.dumps(told) + "\n")
    data = PromptDataset([str(tmp_path / "rows.jsonl")], tiny.spelling_tokenizer(), 100_000, num_workers=1)
    prompt, environment, extras, _ = data[0]
    assert (prompt, environment, extras["task"]) == (told["prompt"], "swe", told["task"])


def test_the_loss_of_the_recipe_is_gspo(tmp_path: Path) -> None:
    """Of whole sequences, each weighing the same: swe_rm.gspo's, and its gradient."""
    algorithm = configured(settings(tmp_path)).trainer.algorithm
    repopulate_all_registries()

    def theirs(new: Any, old: Any, mask: Any, advantages: Any) -> Any:
        weighed = apply_loss_reduction_to_advantages_minibatch(
            advantages[:, None].expand_as(new), mask, algorithm.loss_reduction, 1, new.shape[1]
        )
        return PolicyLossRegistry.get(algorithm.policy_loss_type)(new, old, weighed, algorithm, loss_mask=mask)[0]

    assert_is_gspo(theirs)
