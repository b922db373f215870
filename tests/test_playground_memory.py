"""What commands gave: remembered is what is run, and what did not come to its end is run again."""

import hashlib
import json
import random
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_rm.errors import SweRmError
from swe_rm.playground.actions import UNDO, Options, is_refusal, options, refusal
from swe_rm.playground.checkouts import Checkouts
from swe_rm.playground.episode import Episode, episode
from swe_rm.playground.labelling import Label
from swe_rm.playground.memory import Memory, Recalling
from swe_rm.playground.sandbox import End, Limits, Ran, Sandbox, SandboxError
from swe_rm.playground.world import PlaygroundTask, read_world
from swe_rm.trajectory import Outcome

pytest.importorskip("minisweagent", reason="the extra agents is not installed")


def gave(output: str, ended: End = "", code: int = 0) -> Ran:
    return Ran(ended=ended, code=code, output=output, tests={}, seconds=0, cpu_seconds=0)


class Counting:
    """A shell that says how often it was asked."""

    def __init__(self, *answers: Ran) -> None:
        self.answers = [*answers]
        self.asked: list[str] = []

    def run(self, command: str) -> Ran:
        self.asked.append(command)
        return self.answers.pop(0) if self.answers else gave(f"{len(self.asked)}")


@pytest.fixture
def task(world: Path) -> PlaygroundTask:
    return next(iter(read_world(world).values()))


@pytest.fixture
def offered(world: Path, task: PlaygroundTask) -> Options:
    with Checkouts(world) as checkouts:
        return options(task, checkouts)


def played(made: Episode, answers: Sequence[str]) -> list[str]:
    shown = []
    for answer in answers:
        if not made.is_over:
            shown.append(made.step(answer))
    return [*shown, made.submission]


@pytest.mark.parametrize("seed", range(4))
def test_what_is_remembered_is_what_is_run(
    world: Path, task: PlaygroundTask, offered: Options, tmp_path: Path, seed: int
) -> None:
    """Four sessions in one memory, each by itself first: what is shown is the same, whatever was run before."""
    dice = random.Random(seed)
    words = [*offered.commands, "test", "undo", "search nothing", "edit 99"]
    sessions = [dice.choices(words, k=9) for _ in range(4)]
    memory = Memory(tmp_path / "commands.sqlite", Limits())
    with Checkouts(world) as checkouts, Sandbox() as sandbox:

        def shown(known: Memory | None) -> list[list[str]]:
            found = []
            for session in sessions:
                with episode(task, "anyone", offered, checkouts, sandbox, 12, known) as made:
                    found.append(played(made, session))
            return found

        anew = shown(None)
        assert shown(memory) == anew
        sandbox.close()
        assert shown(memory) == anew
        assert sandbox._process is None  # nothing ran
    memory.close()


def test_a_command_is_run_again_in_another_state_and_never_twice_in_one(
    task: PlaygroundTask, offered: Options, tmp_path: Path
) -> None:
    memory = Memory(tmp_path / "commands.sqlite", Limits())
    one, two = offered.choices[:2]
    shell = Counting()
    first = Recalling(memory, task, offered, lambda: shell)
    before = first.run("git checkout -- .")
    looks = [first.run(one.view)]
    first.run(one.make)
    looks.append(first.run(one.view))
    first.run(UNDO)
    assert first.run(one.view) == looks[0] != looks[1]
    assert (first.run(UNDO), len(shell.asked)) == (before, 5)
    other = Counting()
    second = Recalling(memory, task, offered, lambda: other)
    second.run(one.make)
    assert second.run(one.view) == looks[1]
    assert not other.asked
    second.run(two.make)
    assert other.asked == [UNDO, one.make, two.make]
    elsewhere = Recalling(memory, task.model_copy(update={"base_commit": "f" * 40}), offered, lambda: other)
    elsewhere.run(one.view)
    assert len(other.asked) == 4


def test_an_edit_that_does_not_apply_changes_nothing(task: PlaygroundTask, offered: Options, tmp_path: Path) -> None:
    one = offered.choices[0]
    shell = Counting(gave("a look"), gave("does not apply", code=1))
    recalling = Recalling(Memory(tmp_path / "commands.sqlite", Limits()), task, offered, lambda: shell)
    look = recalling.run(one.view)
    recalling.run(one.make)
    assert recalling.run(one.view) == look
    assert len(shell.asked) == 2


@pytest.mark.parametrize(
    "failed",
    [
        gave("x", "wall"),
        gave("x", "disk"),
        gave("x", "processes"),
        gave("Killed", code=137),
        gave("", code=-9),
        gave("", code=-9).model_copy(update={"code": 0, "killed": True}),
        gave("bash: fork: no", code=126),
        gave("fatal: No space left on device", code=128),
    ],
)
def test_what_came_to_no_end_of_its_own_is_run_again(task: PlaygroundTask, tmp_path: Path, failed: Ran) -> None:
    memory = Memory(tmp_path / "commands.sqlite", Limits())
    shell = Counting(failed, gave("well"))
    told = [memory.ran(task, (), "test", lambda: shell.run("test")).output for _ in range(3)]
    assert told == [failed.output, "well", "well"]


def test_an_edit_that_git_could_not_make_is_tried_again(task: PlaygroundTask, offered: Options, tmp_path: Path) -> None:
    edit = offered.choices[0].make
    memory = Memory(tmp_path / "commands.sqlite", Limits())
    shell = Counting(gave("No space left on device", code=128), gave(""))
    first, second = (Recalling(memory, task, offered, lambda: shell) for _ in range(2))
    assert (first.run(edit).code, second.run(edit).code) == (128, 0)


def test_an_outcome_that_is_unknown_is_asked_again(task: PlaygroundTask, tmp_path: Path) -> None:
    memory = Memory(tmp_path / "commands.sqlite", Limits())
    outcomes = [Outcome.UNKNOWN, Outcome.RESOLVED]
    judged = [memory.judged(task, "x", lambda: Label(outcome=outcomes.pop(0), why="")).outcome for _ in range(3)]
    assert judged == [Outcome.UNKNOWN, Outcome.RESOLVED, Outcome.RESOLVED]


def test_a_remembered_edit_that_cannot_be_made_again_ends_one_attempt(
    task: PlaygroundTask, offered: Options, tmp_path: Path
) -> None:
    memory = Memory(tmp_path / "commands.sqlite", Limits())
    one = offered.choices[0]
    Recalling(memory, task, offered, Counting).run(one.make)
    broken, sound = Counting(gave("", code=0), gave("no disk", code=128)), Counting()
    shells: list[Counting] = [broken, sound]
    recalling = Recalling(memory, task, offered, lambda: shells.pop(0))
    recalling.run(one.make)
    with pytest.raises(SandboxError, match="could not be made again"):
        recalling.run(one.view)
    assert recalling.run(one.view).output
    assert sound.asked == [UNDO, one.make, one.view]


def test_a_memory_that_fails_costs_time_and_nothing_else(task: PlaygroundTask, tmp_path: Path) -> None:
    memory = Memory(tmp_path / "commands.sqlite", Limits())
    shell = Counting()
    assert memory.ran(task, (), "test", lambda: shell.run("test")).output == "1"
    memory._file.execute("PRAGMA query_only=ON")
    assert memory.ran(task, (), "view", lambda: shell.run("view")).output == "2"
    assert "cannot be written" in memory.trouble
    memory._file.execute("PRAGMA query_only=OFF")
    memory._file.execute("DROP TABLE gave")
    assert memory.ran(task, (), "test", lambda: shell.run("test")).output == "3"
    assert "no such table" in memory.trouble


@given(what=st.text() | st.lists(st.text(), max_size=3), commit=st.sampled_from(["a" * 40, "b" * 40]))
def test_a_key_is_of_all_that_decides(what: Any, commit: str) -> None:
    """The slow twin of the hash that is begun once a task."""
    task = PlaygroundTask.model_construct(
        instance_id="x", base_commit=commit, test_patch="p", fail_to_pass=("a",), pass_to_pass=("b", "c")
    )
    memory = Memory(Path(":memory:"), Limits())
    code = [commit, "p", ["a"], ["b", "c"]]
    whole = json.dumps([memory._under, code, what])
    memory._key(task.model_copy(update={"base_commit": "c" * 40}), what)
    assert memory._key(task, what) == hashlib.sha256(whole.encode()).digest()[:16]


def test_other_limits_are_another_memory(task: PlaygroundTask, tmp_path: Path) -> None:
    shell = Counting()
    for limits in (Limits(), Limits(), Limits(cpu_seconds=9)):
        memory = Memory(tmp_path / "commands.sqlite", limits)
        memory.ran(task, (), "test", lambda: shell.run("test"))
        memory.close()
    assert len(shell.asked) == 2


def test_what_is_no_action_is_refused(task: PlaygroundTask, offered: Options, tmp_path: Path) -> None:
    recalling = Recalling(Memory(tmp_path / "commands.sqlite", Limits()), task, offered, Counting)
    for command in ("rm -rf .", "echo 'x: no such action'; rm -rf .; false", "echo a; echo ': no such action'; false"):
        assert not is_refusal(command)
        with pytest.raises(ValueError, match="what this command changes"):
            recalling.run(command)
    for words in ("edit 99", "it's; rm -rf .", "$(id)", ""):
        assert is_refusal(refusal(words))
        recalling.run(refusal(words))


def test_a_file_that_is_no_memory_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "commands.sqlite"
    file.write_text("x" * 4096)
    with pytest.raises(SweRmError, match="no memory of commands"):
        Memory(file, Limits())


@pytest.mark.parametrize("cut_off", ["wall", "disk"])
def test_what_a_command_that_was_cut_off_left_behind_is_never_seen_again(
    task: PlaygroundTask, offered: Options, tmp_path: Path, cut_off: str
) -> None:
    one = offered.choices[0]
    begun: list[Counting] = []

    def begin() -> Counting:
        begun.append(Counting(gave("half of it", cut_off)) if not begun else Counting())
        return begun[-1]

    memory = Memory(tmp_path / "commands.sqlite", Limits())
    recalling = Recalling(memory, task, offered, begin)
    recalling.run(one.make)  # it may have written anything
    recalling.run(one.view)
    assert [len(shell.asked) for shell in begun] == [1, 1]
    assert begun[1].asked == [one.view]
    other = Counting()
    Recalling(memory, task, offered, lambda: other).run(one.view)
    assert not other.asked  # known, and from a checkout as it is at first


def test_a_value_that_is_damaged_is_run_again_and_told(task: PlaygroundTask, tmp_path: Path) -> None:
    memory = Memory(tmp_path / "commands.sqlite", Limits())
    memory.ran(task, (), "test", lambda: gave("well"))
    with sqlite3.connect(tmp_path / "commands.sqlite") as file:
        file.execute("UPDATE gave SET value = 'x'")
    file.close()
    assert memory.ran(task, (), "test", lambda: gave("again")).output == "again"
    assert memory.trouble.startswith("cannot be read: ")
    memory.close()
