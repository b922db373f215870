"""Fixtures shared by the tests: one tiny model for all of them, and attempts to feed it."""

import signal
from pathlib import Path

import pytest
from hypothesis import settings

from swe_rm.render import LengthPolicy
from swe_rm.trajectory import Labelled, Message, Origin, Outcome, Task, ToolCall, Trajectory
from swe_rm.vocabulary import Vocabulary

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # so in a shell's background job, and for what the tests start
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

TINY_POLICY = LengthPolicy(max_tokens=256, issue_cap=48, patch_cap=64, observation_cap=32)


@pytest.fixture(autouse=True, scope="session")
def _own_settings(tmp_path_factory: pytest.TempPathFactory) -> object:
    """mini-swe-agent makes a folder for the user's settings when it is imported."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MSWEA_GLOBAL_CONFIG_DIR", str(tmp_path_factory.mktemp("mini")))
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real labelled attempts; skips where it is absent."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real labelled attempts are not beside the project ({folder.name} not found)")
    return folder


def attempt(
    task: str = "acme__tool-1",
    policy: str = "careful",
    number: int = 1,
    turns: int = 3,
    patch: str = "",
    said: str = "I look.",
) -> Trajectory:
    """A small attempt; equal arguments give equal attempts."""
    statement = f"Adding fails on {task}\n>>> add(1, {number})\nTraceback (most recent call last)"
    log = [Message(role="system", content="You are an agent."), Message(role="user", content=statement)]
    for turn in range(turns):
        command = f'{{"command": "python -m pytest tests/test_{turn}.py"}}'
        log.append(Message(role="assistant", content=said, tool_calls=(ToolCall(name="bash", arguments=command),)))
        log.append(
            Message(role="tool", content=f"<returncode>{turn % 2}</returncode>\n<output>\n{turn} passed\n</output>")
        )
    log.append(Message(role="assistant", content=f"Done by {number} steps, all tests pass."))
    patch = (
        patch or f"diff --git a/tool.py b/tool.py\n--- a/tool.py\n+++ b/tool.py\n@@ -1 +1 @@\n-x = 0\n+x = {number}\n"
    )
    return Trajectory(
        task=Task(instance_id=task, repo="acme/tool", statement=statement),
        messages=tuple(log),
        patch=patch,
        origin=Origin(source="test", scaffold="test", policy=policy, attempt=str(number)),
    )


@pytest.fixture(scope="session")
def labelled_pool() -> list[Labelled]:
    """24 attempts, 6 tasks x 2 policies x 2 tries; a resolved attempt says so in its log."""
    pool = []
    for task in range(6):
        for policy in ("careful", "hasty"):
            for number in (1, 2):
                resolved = (task + number + (policy == "hasty")) % 2 == 0
                said = "The fix works and is verified." if resolved else "This error is strange and I am stuck."
                trajectory = attempt(f"acme__tool-{task}", policy, number, turns=2 + task % 3, said=said)
                outcome = Outcome.RESOLVED if resolved else Outcome.UNRESOLVED
                pool.append(Labelled(trajectory=trajectory, outcome=outcome, provenance="test"))
    return pool


@pytest.fixture(scope="session")
def data(labelled_pool: list[Labelled], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pool as a folder on disk."""
    from swe_rm import store

    folder = tmp_path_factory.mktemp("data") / "pool"
    store.write(labelled_pool, folder)
    return folder


@pytest.fixture(scope="session")
def dev(labelled_pool: list[Labelled], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same at tasks of other names and issues, as a folder on disk."""
    from swe_rm import store

    folder = tmp_path_factory.mktemp("dev") / "elsewhere"
    names = [f"{item.trajectory.task.instance_id}9" for item in labelled_pool]
    tasks = [Task(instance_id=name, statement=f"It breaks in {name}.") for name in names]
    moved = [
        item.model_copy(update={"trajectory": item.trajectory.model_copy(update={"task": task})})
        for item, task in zip(labelled_pool, tasks, strict=True)
    ]
    store.write(moved, folder)
    return folder


@pytest.fixture(scope="session")
def vocabulary(labelled_pool: list[Labelled]) -> Vocabulary:
    """A vocabulary of 400 pieces fitted on the pool."""
    from swe_rm.render import rendered_text

    return Vocabulary.train((rendered_text(item.trajectory) for item in labelled_pool), 400)


@pytest.fixture(scope="session")
def tiny_checkpoint(vocabulary: Vocabulary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder of a random two-layer MoE, the one model of the whole suite."""
    from swe_rm import model

    shape = model.Shape(hidden=32, layers=2, heads=2, kv_heads=1, head_dim=16, experts=4, expert_width=16)
    folder = tmp_path_factory.mktemp("checkpoint")
    made = model.create(shape, vocabulary, TINY_POLICY, name="tiny", seed=1)
    made.save(folder)
    return folder


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the playground: three bugs in each of two of its packages."""
    from swe_rm.playground import making

    folder = tmp_path_factory.mktemp("playground") / "world"
    config = making.MakeConfig(per_package=3, packages=("ledgerbook", "spanset"))
    making.make(config, folder)
    return folder
