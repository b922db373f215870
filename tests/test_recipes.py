"""The recipes for clusters, and larger runs: what needs no trainer. `tests/bridges` has the trainers load them."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from swe_rm.rl.config import RLConfig
from swe_rm.rollouts.rows import _parser
from swe_rm.rollouts.scaffold import Settings
from swe_rm.rollouts.tasks import AGENT, ENVIRONMENT
from tests.bridges.recipes import RECIPES, URL, launched

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "rl-at-scale.md").read_text(encoding="utf-8")
FILES = sorted(path.relative_to(RECIPES) for path in RECIPES.rglob("*.args"))


def told(file: Path) -> dict[str, str]:
    """The settings of a recipe's file."""
    lines = (RECIPES / file).read_text(encoding="utf-8").splitlines()
    pairs = [line.lstrip("+").partition("=")[::2] for line in lines if line and not line.startswith("#")]
    assert len(dict(pairs)) == len(pairs), "a setting stands there twice"
    assert all(name and value for name, value in pairs)
    return dict(pairs)


@pytest.mark.parametrize("file", FILES, ids=str)
def test_a_launcher_passes_its_recipes_settings_and_then_its_callers(file: Path, tmp_path: Path) -> None:
    trainer, size = file.parts[0], file.stem
    *_, last = found = launched(trainer, tmp_path, size, "trainer.seed=[1, 2]")
    assert last == "trainer.seed=[1, 2]"
    assert [one.lstrip("+").partition("=")[::2] for one in found[2 : 2 + len(told(file))]] == [*told(file).items()]
    if trainer == "verl":
        assert f"+reward.custom_reward_function.reward_kwargs.url={URL}" in found


def test_a_launcher_takes_the_first_size_where_none_is_named(tmp_path: Path) -> None:
    for trainer in ("verl", "skyrl"):
        named = launched(trainer, tmp_path, "megatron", "trainer.seed=1")
        assert launched(trainer, tmp_path, "trainer.seed=1") == named


@pytest.mark.parametrize("argument", ["megatrn", "trainer.seed"])
@pytest.mark.parametrize("trainer", ["verl", "skyrl"])
def test_a_mistyped_size_is_one_line_and_starts_no_trainer(trainer: str, argument: str, tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as failed:
        launched(trainer, tmp_path, argument, "trainer.seed=1")
    assert (failed.value.returncode, failed.value.stdout) == (1, "")
    (line,) = failed.value.stderr.splitlines()
    sizes = " ".join(file.stem for file in FILES if file.parts[0] == trainer)
    assert line.endswith(f"launch.sh: no size is called {argument}: {sizes}")
    assert not (tmp_path / "runs").exists()


def test_attempts_are_kept_below_the_folder_of_the_run(tmp_path: Path) -> None:
    launched("verl", tmp_path)
    (loop,) = yaml.safe_load((tmp_path / "runs" / "verl" / "agent.yaml").read_text(encoding="utf-8"))
    assert Settings.model_validate(loop["settings"]).keep == tmp_path / "runs" / "verl" / "attempts"
    assert f"generator.rollouts.keep='{tmp_path}/runs/skyrl/attempts'" in launched("skyrl", tmp_path)


def test_all_recipes_ask_for_the_same_algorithm() -> None:
    shared = [
        ("actor_rollout_ref.actor.clip_ratio_low", "trainer.algorithm.eps_clip_low"),
        ("actor_rollout_ref.actor.clip_ratio_high", "trainer.algorithm.eps_clip_high"),
        ("actor_rollout_ref.actor.policy_loss.loss_mode", "trainer.algorithm.policy_loss_type"),
        ("algorithm.adv_estimator", "trainer.algorithm.advantage_estimator"),
        ("actor_rollout_ref.rollout.n", "generator.n_samples_per_prompt"),
        ("actor_rollout_ref.actor.optim.lr", "trainer.policy.optimizer_config.lr"),
        ("actor_rollout_ref.model.path", "trainer.policy.model.path"),
    ]
    skyrl = told(Path("skyrl/megatron.args"))
    for size in ("megatron", "fsdp"):
        verl = told(Path(f"verl/{size}.args"))
        assert [verl[theirs] for theirs, _ in shared] == [skyrl[ours] for _, ours in shared]


def test_attempts_are_the_same_in_both() -> None:
    (loop,) = yaml.safe_load((RECIPES / "verl" / "agent.yaml").read_text(encoding="utf-8"))
    settings = Settings.model_validate(loop["settings"])
    skyrl = told(Path("skyrl/megatron.args"))
    assert (
        loop["name"] == AGENT == told(Path("verl/megatron.args"))["actor_rollout_ref.rollout.agent.default_agent_loop"]
    )
    assert skyrl["environment.env_class"] == ENVIRONMENT
    assert skyrl["generator.max_turns"] == str(settings.step_limit)
    assert skyrl["generator.sampling_params.max_generate_length"] == str(loop["turn_tokens"])
    ours = {name.partition("rollouts.")[2]: value for name, value in skyrl.items() if "generator.rollouts." in name}
    for name in ("wall_seconds", "test_seconds"):
        assert ours[name] == str(getattr(settings, name))
    assert {name: ours[f"environment.{name}"] for name in settings.environment} == {
        name: str(value) for name, value in settings.environment.items()
    }


def test_the_page_shows_commands_that_exist() -> None:
    (shown,) = re.findall(r"^python -m swe_rm\.rollouts\.rows (.+)$", PAGE, re.MULTILINE)
    asked = _parser().parse_args(shlex.split(shown, comments=True))
    assert asked.check
    for trainer in ("verl", "skyrl"):
        assert f"$PWD/{asked.out}" in (RECIPES / trainer / "launch.sh").read_text(encoding="utf-8")
    for launcher in re.findall(r"bash (configs/\S+)", PAGE):
        assert (ROOT / launcher).is_file()
    for name in ("clip_ratio_low", "loss_agg_mode", "policy_loss_type", "loss_reduction", "zero_reward_on_non_stop"):
        assert f"{name}" in PAGE


@pytest.mark.parametrize("path", sorted((ROOT / "configs" / "rl").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_playgrounds_runs_load(path: Path) -> None:
    config = RLConfig.load(path)
    assert config.out.parts[:2] == ("runs", "rl")


def test_the_run_for_a_gpu_is_larger() -> None:
    large, small = (RLConfig.load(ROOT / "configs" / "rl" / f"{name}.yaml") for name in ("gpu", "hybrid"))
    assert large.reward == small.reward == "hybrid"
    assert large.groups * large.group_size * large.batches > 10 * small.groups * small.group_size * small.batches
    assert large.network.hidden * large.network.layers > 4 * small.network.hidden * small.network.layers
