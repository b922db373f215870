"""Rows of a policy's attempts: the file appears whole, and what was there stays until it does."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from swe_rm.__main__ import main
from swe_rm.playground.world import PlaygroundTask, read_world
from swe_rm.rl.attempts import write_attempts
from swe_rm.rl.config import Network
from swe_rm.rl.field import Field
from swe_rm.rl.policy import create, save
from swe_rm.rl.wording import Wording

pytest.importorskip("minisweagent", reason="the extra agents is not installed")

KEPT = "rows of yesterday\n"


@pytest.fixture(scope="module")
def field(world: Path) -> Iterator[Field]:
    with Field(world, workers=1, step_limit=2) as made:
        yield made


@pytest.fixture(scope="module")
def tasks(world: Path) -> list[PlaygroundTask]:
    return list(read_world(world).values())[:1]


@pytest.fixture(scope="module")
def policy(field: Field, tasks: list[PlaygroundTask], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("policy")
    wording = Wording.fitted([field.offered(task) for task in tasks], 20)
    save(create(Network(hidden=16, layers=1, heads=2), wording, 0), wording, folder)
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    file = tmp_path / "out" / "kept.jsonl"
    file.parent.mkdir()
    file.write_text(KEPT)
    return file


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("lacks", ["model.safetensors", "config.json", "wording.json"])
def test_a_policy_that_cannot_be_loaded_leaves_the_file_alone(
    lacks: str, cut: bool, world: Path, policy: Path, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoilt = tmp_path / "policy"
    spoilt.mkdir()
    for file in policy.iterdir():
        if file.name != lacks:
            (spoilt / file.name).write_bytes(file.read_bytes())
        elif cut:
            (spoilt / file.name).write_bytes(file.read_bytes()[:100])
    assert main(["rl", "play", str(spoilt), "--world", str(world), "--out", str(out)]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith(f"swe-rm: {spoilt}")
    assert "policy" in said
    assert out.read_text() == KEPT
    assert list(out.parent.iterdir()) == [out]


def test_attempts_that_are_broken_off_leave_the_file_alone(
    policy: Path, field: Field, tasks: list[PlaygroundTask], out: Path
) -> None:
    def stopped(_: int) -> None:
        assert out.read_text() == KEPT
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_attempts(policy, tasks, field, out, name="mine", attempts=2, progress=stopped)
    assert out.read_text() == KEPT
    assert list(out.parent.iterdir()) == [out]


def test_the_file_is_replaced_when_all_are_made(
    policy: Path, field: Field, tasks: list[PlaygroundTask], out: Path, tmp_path: Path
) -> None:
    link = tmp_path / "link.jsonl"
    link.symlink_to(out)
    write_attempts(policy, tasks, field, link, name="mine", attempts=2)
    assert [json.loads(line)["attempt"] for line in out.read_text().splitlines()] == [0, 1]
    assert link.is_symlink()
    assert list(out.parent.iterdir()) == [out]
    nothing = Path("/dev/null")
    write_attempts(policy, tasks, field, nothing, name="mine", attempts=1)
    assert nothing.is_char_device()
