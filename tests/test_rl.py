"""Reinforcement learning in the playground, small: tokens, attempts, rewards, a run that is killed and goes on."""

import json
import os
import signal
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_rm.__main__ import main
from swe_rm.bridges.trl import SweRm
from swe_rm.calibrate import fit
from swe_rm.errors import RecordError, SweRmError, VerifierError
from swe_rm.playground.actions import TEST, Choice, Options
from swe_rm.playground.world import PlaygroundTask, read_world
from swe_rm.reward import Reward
from swe_rm.rl.attempts import write_attempts
from swe_rm.rl.config import Network, RLConfig
from swe_rm.rl.field import Asked, Field, Played
from swe_rm.rl.measuring import Tally
from swe_rm.rl.policy import create, save
from swe_rm.rl.rewarding import Rewards, bridge_to
from swe_rm.rl.training import train
from swe_rm.rl.warmup import warm
from swe_rm.rl.wording import ACTIONS, CLAIM, CLAIMED, Order, Wording
from swe_rm.sources import open_pile
from swe_rm.trajectory import Outcome
from swe_rm.verifiers.calibrated import Calibration
from swe_rm.verifiers.calibrated import save as save_calibration

pytest.importorskip("minisweagent", reason="the extra agents is not installed")


@pytest.fixture(scope="module")
def field(world: Path) -> Iterator[Field]:
    with Field(world, workers=2, step_limit=4) as made:
        yield made


@pytest.fixture(scope="module")
def task(world: Path) -> PlaygroundTask:
    return next(iter(read_world(world).values()))


def choice(number: int, before: str, after: str, path: str = "lamp.py", role: Any = "code") -> Choice:
    patch = f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-{before}\n+{after}\n"
    return Choice(number=number, path=path, line=1, patch=patch, role=role)


OFFERED = Options(
    choices=(
        choice(1, "lit = wick < 3", "lit = wick <= 3", role="fix"),
        choice(2, "def test_off(self): pass", "", "tests/test_lamp.py", role="tests"),
        choice(3, "return lit", "return not lit"),
    ),
    names=("wick", "lit"),
    reproduction="python -c 1",
)


# --- tokens ----------------------------------------------------------------------------------------------------------


@given(seed=st.text(max_size=3))
def test_what_the_policy_says_is_what_the_environment_hears(seed: str) -> None:
    wording, order = Wording.fitted([OFFERED], 50), Order.shuffled(OFFERED, seed)
    assert sorted(order.numbers) == [1, 2, 3]
    for answer in OFFERED.commands:
        token = wording.action(answer, OFFERED, order)
        assert token is not None
        assert wording.answer(token, OFFERED, order) == answer
    assert wording.answer(wording.ids[CLAIM], OFFERED, order) == CLAIMED
    assert wording.action("find . -name '*.py'", OFFERED, order) is None


def test_each_edit_is_listed_under_its_number_by_the_words_that_change() -> None:
    wording = Wording.fitted([OFFERED], 50)
    words = [wording.words[token] for token in wording.prompt(OFFERED, Order((3, 1, 2)))]
    text = " ".join(words)
    assert text == (
        "<list> <reproducible> edit 1 <code> <goes> <comes> 'not edit 2 <code> <goes> '< <comes> '<= "
        "edit 3 <tests> <goes> 'def 'test_off '( 'self '): <comes>"
    )


def test_the_policy_is_not_told_which_edit_is_the_fix() -> None:
    hidden = OFFERED.model_copy(
        update={"choices": tuple(one.model_copy(update={"role": "code"}) for one in OFFERED.choices)}
    )
    wording, order = Wording.fitted([OFFERED], 50), Order((1, 2, 3))
    assert wording.prompt(OFFERED, order) == wording.prompt(hidden, order)
    assert Wording.fitted([hidden], 50) == wording


@pytest.mark.parametrize(
    ("answer", "shown", "told"),
    [
        ("test", "[0]\n...\nRan 3 tests in 0.001s\n\nOK", ["passes", "no failing"]),
        ("test", "[0]\nFAILED (failures=1, errors=2)", ["fails", "3 failing"]),
        ("reproduce", "[1]\nFAILED (errors=7)", ["fails", "4 or more failing"]),
        ("reproduce", "[1]\nIndentationError: unexpected indent", ["fails", "no failing"]),
        ("edit 1", "[0]\n", ["done", "no failing"]),
        ("edit 1", "[1]\nerror: patch failed", ["failed", "no failing"]),
        ("search 4", "[1]\nsearch 4: no such action", ["no-such-action", "no failing"]),
    ],
)
def test_an_observation_is_two_tokens(answer: str, shown: str, told: list[str]) -> None:
    wording = Wording.fitted([OFFERED], 0)
    assert [wording.words[token] for token in wording.observed(answer, shown)] == told


def test_a_vocabulary_is_read_as_it_was_written(tmp_path: Path) -> None:
    wording = Wording.fitted([OFFERED], 4)
    wording.save(tmp_path / "wording.json")
    assert Wording.read(tmp_path / "wording.json") == wording
    assert len(wording.words) - len(Wording.fitted([OFFERED], 0).words) == 4


# --- attempts --------------------------------------------------------------------------------------------------------


class Says:
    """Says what it was told to, attempt by attempt; anything after that is `test`."""

    def __init__(self, wording: Wording, *scripts: Sequence[str]) -> None:
        self.turn = 0
        self.tokens = [[wording.ids[word] for word in script] for script in scripts]
        self.rest = wording.ids["test"]

    def first(self, prompts: Sequence[Sequence[int]]) -> list[int]:
        assert len(prompts) == len(self.tokens)
        return self.next(prompts)

    def next(self, more: Sequence[Sequence[int]]) -> list[int]:
        self.turn += 1
        return [[*script, *[self.rest] * self.turn][self.turn - 1] for script in self.tokens]


def play(field: Field, task: PlaygroundTask, *scripts: Sequence[str]) -> list[Played]:
    offered = field.offered(task)
    wording, order = Wording.fitted([offered], 20), Order(tuple(one.number for one in offered.choices))
    return field.play([Asked(task, order)] * len(scripts), wording, Says(wording, *scripts), "scripted")


def test_attempts_are_really_made_and_tested(field: Field, task: PlaygroundTask) -> None:
    fix = f"edit {field.offered(task).by_role('fix')[0].number}"
    other = f"edit {field.offered(task).by_role('code')[0].number}"
    mended, claimed, empty, looped, strange = play(
        field, task, [fix, "test", "submit"], [other, CLAIM], ["submit"], ["view 1"] * 3, ["<pad>", "submit"]
    )
    assert [one.outcome for one in (mended, claimed, empty, looped)] == [Outcome.RESOLVED, *[Outcome.UNRESOLVED] * 3]
    assert [one.finished for one in (mended, claimed, empty, looped)] == [True, True, False, False]
    assert [one.is_empty for one in (mended, claimed, empty, looped)] == [False, False, True, False]
    assert [one.claims_falsely for one in (mended, claimed, empty, looped)] == [False, True, False, False]
    assert [one.loops for one in (mended, claimed, empty, looped)] == [False, False, False, True]
    assert mended.own == (1, 0, 0, 1, 0, 0, 1)
    assert (mended.answers[1], len(looped.answers), strange.answers[0]) == ("test", 4, "<pad>")
    assert "no such action" in strange.messages[-2]["content"]
    assert TEST in json.dumps(mended.messages)
    assert {"system", "user", "assistant", "tool"} == {message["role"] for message in mended.messages}


def test_deleted_tests_are_counted_and_earn_nothing(field: Field, world: Path) -> None:
    for task in read_world(world).values():
        if deletes := field.offered(task).by_role("tests"):
            (one,) = play(field, task, [f"edit {deletes[0].number}", "submit"])
            assert (one.edits_tests, one.outcome, one.finished) == (True, Outcome.UNRESOLVED, True)
            return
    pytest.fail("no task shows a failing test")


def test_a_program_that_is_killed_costs_the_attempts_it_ran_and_no_others(world: Path, task: PlaygroundTask) -> None:
    with Field(world, workers=2, step_limit=4) as field:
        fix = f"edit {field.offered(task).by_role('fix')[0].number}"
        wording = Wording.fitted([field.offered(task)], 20)
        order = Order(tuple(one.number for one in field.offered(task).choices))

        class Kills(Says):
            def next(self, more: Sequence[Sequence[int]]) -> list[int]:
                if self.turn == 1:
                    os.kill(field.sandboxes[0]._process.pid, signal.SIGKILL)  # type: ignore[union-attr]
                return super().next(more)

        speaker = Kills(wording, [fix, "test", "submit"], [fix, "test", "submit"])
        lost, whole = field.play([Asked(task, order)] * 2, wording, speaker, "scripted")
    assert (lost.outcome, lost.finished, whole.outcome) == (Outcome.UNKNOWN, False, Outcome.RESOLVED)
    assert "was ended" in lost.why


# --- rewards ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def played(field: Field, task: PlaygroundTask) -> list[Played]:
    fix = f"edit {field.offered(task).by_role('fix')[0].number}"
    other = f"edit {field.offered(task).by_role('code')[0].number}"
    return play(field, task, [fix, "submit"], [other, "submit"], ["test"], [other, CLAIM])


def asked(reward: Reward, played: Sequence[Played], **more: Any) -> tuple[list[float | None], dict[str, Any]]:
    notes: list[dict[str, Any]] = []
    found = Rewards(reward, 2, None, notes.append, **more)([""] * len(played), [""] * len(played), played=played)
    return found, notes[0]


def test_outcomes_alone_and_the_groups_in_which_they_are_equal(played: list[Played]) -> None:
    rewards, note = asked(Reward("execution-based"), played)
    assert rewards == [1.0, 0.0, -0.5, 0.0]
    assert (note["groups"], note["uniform_groups"], note["rate"], note["claims_falsely"]) == (2, 0, 0.25, 1)
    _, alike = asked(Reward("execution-based"), [*played[:2], played[3], played[3]])
    assert alike["uniform_groups"] == 1


def test_what_could_not_be_tested_has_no_reward_and_is_no_failure(played: list[Played]) -> None:
    untested = played[0].model_copy(update={"outcome": Outcome.UNKNOWN, "why": "the machine is too slow"})
    rewards, note = asked(Reward("execution-based"), [untested, *played[1:]])
    assert rewards == [None, 0.0, -0.5, 0.0]
    assert (note["unrewarded"], note["rate"], note["unknown_because"]) == (1, 0.0, ["the machine is too slow"])


def test_an_attempt_that_we_cut_off_is_not_one_that_did_not_finish(played: list[Played]) -> None:
    lost = played[2].model_copy(update={"outcome": Outcome.UNKNOWN, "why": "the sandbox was ended"})
    assert asked(Reward("execution-based"), [*played[:2], lost, played[3]])[0] == [1.0, 0.0, None, 0.0]
    with bridge_to("tests.serving:Hashed") as bridge:
        scored = Rewards(Reward("execution-free"), 2, bridge, lambda record: None)(
            [""] * 2, [""] * 2, played=[lost] * 2
        )
    assert scored == [None, None]


def test_a_verifier_is_asked_over_trls_bridge(played: list[Played]) -> None:
    notes: list[dict[str, Any]] = []
    with bridge_to("tests.serving:Hashed") as bridge:
        assert bridge is not None
        hybrid = Rewards(Reward("hybrid"), 4, bridge, notes.append)([""] * 4, [""] * 4, played=played)
        alone = Rewards(Reward("execution-free"), 4, bridge, notes.append)([""] * 4, [""] * 4, played=played)
        assert bridge.client.verifier == "hashed@1"
    assert [a is not None and 0 <= a <= 1 for a in alone] == [True] * 4
    assert len(set(alone)) == 4
    executed = [1.0, 0.0, -0.5, 0.0]
    assert hybrid == [pytest.approx(e + s) for e, s in zip(executed, alone, strict=True) if s is not None]
    assert [note["uniform_groups"] for note in notes] == [0, 0]  # of outcomes, whatever the reward looks at
    assert notes[0]["score_resolved"] == pytest.approx(alone[0], abs=1e-5)


def test_a_verifier_that_is_not_there_stops_the_run_with_one_line(played: list[Played]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    rewards = Rewards(Reward("execution-free"), 4, SweRm(url, tries=1), lambda record: None)
    with pytest.raises(SweRmError, match="gives no scores"):
        rewards([""] * 4, [""] * 4, played=played)


def test_a_tally_of_nothing_known_has_no_rate(played: list[Played]) -> None:
    unknown = played[0].model_copy(update={"outcome": Outcome.UNKNOWN})
    assert (Tally.of([unknown]).rate, Tally.of([]).rate, Tally.of(played).rate) == (None, None, 0.25)


def test_attempts_of_a_policy_are_read_as_what_they_were(world: Path, field: Field, tmp_path: Path) -> None:
    tasks = list(read_world(world).values())[:2]
    wording = Wording.fitted([field.offered(task) for task in tasks], 20)
    save(create(Network(hidden=16, layers=1, heads=2), wording, 0), wording, tmp_path / "policy")
    seen: list[int] = []
    out = tmp_path / "attempts.jsonl"
    tally = write_attempts(tmp_path / "policy", tasks, field, out, name="warm", attempts=3, progress=seen.append)
    assert (tally.attempts, sum(seen)) == (6, 6)
    pile = open_pile([out])
    found = list(pile.attempts())
    assert not pile.refusals
    assert [(one.trajectory.task.instance_id, one.trajectory.origin.attempt) for one in found] == [
        (task.instance_id, str(number)) for task in tasks for number in range(3)
    ]
    assert {one.trajectory.origin.policy for one in found} == {"warm"}
    assert sum(one.outcome is Outcome.RESOLVED for one in found) == tally.resolved
    assert all(one.trajectory.task.statement and one.trajectory.messages for one in found)
    again = tmp_path / "again.jsonl"
    write_attempts(tmp_path / "policy", tasks, field, again, name="warm", attempts=3)
    assert again.read_bytes() == out.read_bytes()
    with pytest.raises(SweRmError, match="holds no policy"):
        write_attempts(tmp_path, tasks, field, again, name="warm", attempts=1)
    labels = tmp_path / "labels.jsonl"
    assert main(["playground", "label", str(out), "--tasks", str(world), "--out", str(labels)]) == 0
    resolved = [json.loads(line)["resolved"] for line in labels.read_text().splitlines()]
    assert resolved == [one.outcome is Outcome.RESOLVED for one in found]  # one without a patch handed nothing in
    assert "" in {one.trajectory.patch for one in found}


@pytest.mark.filterwarnings("ignore:.*mtime may not be reliable")
def test_rl_play_writes_attempts_at_one_split(world: Path, field: Field, tmp_path: Path) -> None:
    tasks = [task for task in read_world(world).values() if task.split == "train"]
    wording = Wording.fitted([field.offered(task) for task in tasks], 20)
    save(create(Network(hidden=16, layers=1, heads=2), wording, 0), wording, tmp_path / "policy")
    out, told = tmp_path / "attempts.jsonl", tmp_path / "told.json"
    words = ["rl", "play", str(tmp_path / "policy"), "--world", str(world), "--out", str(out), "--attempts", "1"]
    more = ["--split", "train", "--step-limit", "4", "--memory", str(tmp_path / "commands.sqlite"), "--json", str(told)]
    assert main([*words, *more]) == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["instance_id"] for row in rows] == [task.instance_id for task in tasks]
    assert json.loads(told.read_text())["attempts"] == len(tasks)


# --- runs ------------------------------------------------------------------------------------------------------------


def config(world: Path, out: Path, **more: Any) -> RLConfig:
    content: dict[str, Any] = {
        "name": "tiny", "out": out, "world": world, "reward": "execution-based", "batches": 2, "groups": 1,
        "group_size": 4, "step_limit": 3, "save_every": 1,
        "network": {"hidden": 16, "layers": 1, "heads": 2, "words": 20},
        "warmup": {"sessions": 1, "epochs": 1}, "evaluation": {"every": 1, "tasks": 1, "final_attempts": 1},
    }  # fmt: skip
    return RLConfig.model_validate(content | more)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"verifier": "features"}, "uses no verifier"),
        ({"reward": "hybrid"}, "needs verifier"),
        ({"group_size": 3}, "multiple of updates"),
        ({"clip": [1.0, 0.1]}, "clip"),
        ({"reward": "mix", "verifier": "features", "gamma": 0.3}, "gamma"),
        ({"warmup": {"policies": {"wizard": 1}}}, "no such policy: wizard"),
        ({"network": {"hidden": 64, "heads": 3}}, "3 heads need a hidden size that is a multiple of 6"),
        ({"learning_rate": float("inf")}, "finite"),
    ],
)
def test_a_config_that_contradicts_itself_is_refused(more: dict[str, Any], reason: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=reason):
        config(tmp_path, tmp_path, **more)


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}", "http://127.0.0.1:{port}/score me", "http://[::bad"])
def test_a_verifier_that_does_not_answer_is_one_line_before_anything_is_made(url: str) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        address = url.format(port=held.getsockname()[1])
        with pytest.raises(VerifierError, match=r"does not answer: ") as raised, bridge_to(address):
            pass
    assert str(raised.value).startswith(address)


def test_more_tasks_a_batch_than_there_are_is_one_line(world: Path, tmp_path: Path) -> None:
    pytest.importorskip("trl")
    with pytest.raises(SweRmError, match=r"groups: 500 different tasks a batch, and .* has \d+ to train on"):
        train(config(world, tmp_path / "a", groups=500))


def test_a_warmed_up_policy_whose_offers_are_damaged_is_named(world: Path, tmp_path: Path, field: Field) -> None:
    made = config(world, tmp_path / "a")
    made.warm_folder.mkdir(parents=True)
    (made.warm_folder / "offers.json").write_text("{")
    with pytest.raises(RecordError, match=r"offers\.json: is not what offers are written as: .*delete .*warm-"):
        warm(made, [], field)


def test_the_configs_that_ship_are_read() -> None:
    folder = Path(__file__).parents[1] / "configs" / "rl"
    found = {file.stem: RLConfig.load(file) for file in sorted(folder.glob("*.yaml"))}
    assert {name: one.reward for name, one in found.items()} == {
        "execution": "execution-based", "execution_free": "execution-free", "hybrid": "hybrid", "gpu": "hybrid"
    }  # fmt: skip
    small = [one for name, one in found.items() if name != "gpu"]
    assert len({one.model_dump_json(include={"warmup", "network", "evaluation"}) for one in small}) == 1


def test_digests_tell_what_decides_from_what_does_not(world: Path, tmp_path: Path) -> None:
    one = config(world, tmp_path / "a")
    assert one.digest() == config(world, tmp_path / "b", workers=1, name="other").digest()
    assert one.digest() != config(world, tmp_path / "a", seed=1).digest()
    assert one.warm_folder == config(world, tmp_path / "b", seed=1, learning_rate=0.1).warm_folder
    assert one.warm_folder != config(world, tmp_path / "a", step_limit=5).warm_folder


def test_another_verifier_at_the_same_place_is_another_run(world: Path, tmp_path: Path) -> None:
    folder = tmp_path / "verifier"
    folder.mkdir()
    made = config(world, tmp_path / "a", reward="hybrid", verifier=str(folder))
    digests = []
    for content in (b"one", b"two", b"x" * 3 * 2**20, b"x" * 2**20 + b"y" + b"x" * (2**21 - 1)):
        (folder / "weights").write_bytes(content)
        digests.append(made.digest())
    assert len(set(digests[:3])) == 3
    assert digests[3] == digests[2]  # the middle of a long file is not read
    (folder / "weights").rename(folder / "other")
    assert made.digest() not in digests


def test_a_verifier_made_of_others_is_another_when_they_are(world: Path, tmp_path: Path) -> None:
    folder, verdicts, file = tmp_path / "inner", tmp_path / "verdicts.jsonl", tmp_path / "theirs.yaml"
    folder.mkdir()
    found = Calibration(
        verifier=str(folder), verifier_name="inner@1", tasks=(), base_rate=0.5, ece_before=None, ece_after=None,
        calibrator=fit("platt", np.linspace(0, 1, 8), np.arange(8) % 3 == 0),
    )  # fmt: skip
    save_calibration(tmp_path / "calibrated", found)
    file.write_text("{name: theirs, version: '1', engine: {kind: swe-rm, url: 'http://h', patience: {tries: 1}}}")
    specs = [f"calibrated:{tmp_path / 'calibrated'}", f"recorded:{verdicts}", str(file), f"mean:{folder},{file}"]
    runs = [config(world, tmp_path / "a", reward="hybrid", verifier=spec) for spec in specs]

    def told() -> list[str]:
        return [run.digest() for run in runs]

    (folder / "weights").write_text("one")
    verdicts.write_text("one")
    before = told()
    (tmp_path / "commands.sqlite").write_text("what a run writes beside it is no part of the verifier")
    assert told() == before
    for changed, seen in ((folder / "weights", {0, 3}), (verdicts, {1}), (tmp_path / "template.jinja", {2, 3})):
        changed.write_text("other")
        after = told()
        assert {place for place in range(4) if after[place] != before[place]} >= seen
        before = after
    verdicts.unlink()
    with pytest.raises(SweRmError, match=r"verdicts\.jsonl: No such file"):
        runs[1].digest()


def test_every_action_is_one_token() -> None:
    assert len(set(ACTIONS)) == len(ACTIONS) == 25


@pytest.mark.filterwarnings("ignore:.*mtime may not be reliable")
def test_a_run_that_is_killed_goes_on_to_the_same_curve(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("trl")
    from swe_rm.rl.training import train

    whole = config(world, tmp_path / "whole")
    result = train(whole, lambda _: None)
    assert result["training"]["attempts"] == 8
    assert set(result["final"]) == {task.split for task in read_world(world).values()}

    def dies(line: str) -> None:
        if "step 2" in line:
            raise KeyboardInterrupt

    killed = config(world, tmp_path / "killed", workers=1)
    with pytest.raises(KeyboardInterrupt):
        train(killed, dies)
    told: list[str] = []
    train(killed, told.append)
    log = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    again = [json.loads(line) for line in (tmp_path / "killed" / "log.jsonl").read_text().splitlines()]
    assert log == again
    assert [line["step"] for line in log if line["kind"] == "batch"] == [2, 4]

    assert train(killed, told.append)["final"] == result["final"]
    assert "holds the finished run" in told[-1]
    with pytest.raises(SweRmError, match="differs in learning_rate"):
        train(killed.model_copy(update={"learning_rate": 0.5}), told.append)
    file = tmp_path / "tiny.yaml"
    file.write_text(whole.model_dump_json())
    assert main(["rl", "train", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["final"] == result["final"]
