"""What docs/plug-into-your-trainer.md shows runs: the snippets of trainers that are not beside us, on stand-ins.

Those of TRL, verl, verifiers, Inspect and mini-swe-agent run in `tests/bridges`.
"""

import asyncio
import re
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("fastapi", reason="no FastAPI: pip install 'swe-rm[serve]'")

from tests.bridging import TOKEN, Seeing, recorded, running

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "plug-into-your-trainer.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
CODE = {name: re.findall(r"```python\n(.*?)```", text, re.DOTALL) for name, text in SECTIONS.items()}
NAMED = {(module, name) for module, name in re.findall(r"swe_rm\.bridges\.(\w+)(?:[.:](\w+))?", PAGE)}
REAL = ("inspect_ai", "mini_swe_agent", "trl", "verifiers", "verl", "verl_manager")
"""Importable only where their trainer is."""


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, str(Path(__file__).parent / "stand_ins")])


def shown(section: str, **names: Any) -> dict[str, Any]:
    """What the one snippet of a section leaves behind, given the names it does not make itself."""
    (code,) = CODE[section]
    exec(compile(code, section, "exec"), names)
    return names


class Base:
    """What stands for a reader's own class."""


def test_the_template() -> None:
    left = shown("The template")
    told: list[Any] = []

    class Told:
        async def ascore(self, rows: list[Any]) -> list[float]:
            told.extend(rows)
            return [0.5] * len(rows)

    left["client"] = Told
    sample = recorded("slime")["call"]["samples"][0]["metadata"]
    assert asyncio.run(left["reward"]([sample])) == [0.5]
    assert told[0]["patch"] == sample["model_patch"]


def test_skyrl() -> None:
    left = shown("SkyRL", MyEnv=Base)
    assert left["JudgedEnv"].__mro__[1:3] == (left["Judged"], Base)


def test_openrlhf() -> None:
    from openrlhf.utils.agent import AgentInstanceBase

    left = shown("OpenRLHF", MyAgent=AgentInstanceBase)
    assert issubclass(left["AgentExecutor"]().agent_instance_cls, left["Judged"])
    assert callable(left["reward_func"])


def test_nemo_gym() -> None:
    assert shown("NeMo-Gym", __name__="app")["SweRmServer"].verify


def test_nemo_rl() -> None:
    pytest.importorskip("ray")
    shown("NeMo-RL")
    from nemo_rl.environments.utils import ENV_REGISTRY

    module, _, name = ENV_REGISTRY["swe_rm"]["actor_class_fqn"].rpartition(".")
    assert hasattr(getattr(import_module(module), name), "options")  # what NeMo-RL makes an actor with


def test_areal() -> None:
    workflow = shown("AReaL", gconfig=None, tokenizer=None)["workflow"]
    from swe_rm.bridges import areal

    assert (workflow.reward_fn, workflow.async_reward_fn) == (areal.reward_fn, areal.areward_fn)


def test_ms_swift() -> None:
    left = shown("ms-swift")
    from swift.rewards.orm import orms

    assert orms["swe_rm"] is left["SweRm"]


def test_tinker() -> None:
    left = shown("Tinker", MyGroupBuilder=Base)
    assert left["JudgedGroup"].compute_group_rewards is left["Judged"].compute_group_rewards


def test_openhands(monkeypatch: pytest.MonkeyPatch) -> None:
    left = shown("OpenHands", diff_of=lambda folder: f"diff --git of {folder}")
    with running(Seeing()) as served:
        monkeypatch.setenv("SWE_RM_URL", served.url)
        monkeypatch.setenv("SWE_RM_TOKEN", TOKEN)
        import_module("swe_rm.bridges.openhands").client.cache_clear()
        left["LampCritic"]().evaluate(events=[])
        (seen,) = served.verifier.seen
    assert seen.patch == "diff --git of /workspace/lamp"


def test_moatless() -> None:
    assert shown("Moatless")["SweRmValue"].get_reward


def test_what_else_is_named_is_there() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("ray")
    named = {pair for pair in NAMED if pair[0] not in REAL}
    assert {"slime", "rllm", "roll", "harbor", "trae", "nemo_rl", "ms_swift"} <= {module for module, _ in named}
    for module, name in sorted(named):
        found = import_module(f"swe_rm.bridges.{module}")
        assert not name or hasattr(found, name), (module, name)


def test_modules_that_are_programs_say_how_they_are_called() -> None:
    for name in ("harbor", "trae"):
        assert f"python -m swe_rm.bridges.{name} " in PAGE
        assert f"python -m swe_rm.bridges.{name} " in str(import_module(f"swe_rm.bridges.{name}").__doc__)


def test_settings_are_written_as_their_formats_ask() -> None:
    settings = [*map(tomllib.loads, re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL))]
    settings += [*map(yaml.safe_load, re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))]
    assert len(settings) == 3
    assert all(isinstance(one, dict) for one in settings)


def test_every_bridge_has_its_ten_lines() -> None:
    bridges = {path.stem for path in (ROOT / "src" / "swe_rm" / "bridges").glob("[!_]*.py")}
    assert bridges - {"verifiers", "inspect_ai"} <= {module for module, _ in NAMED}
    trainers = list(SECTIONS)[list(SECTIONS).index("TRL") : list(SECTIONS).index("What was checked against what")]
    assert len(trainers) == len(bridges) - 1 + 1  # verl has two modules, SWE-agent a file of settings
    for name in trainers:
        assert len([line for line in SECTIONS[name].splitlines() if line.strip()]) <= 18, name
