"""TRL itself, on tiny weights: what its trainers make of scores, and that no failure becomes one."""

import asyncio
import math
import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl", reason="TRL has an environment of its own: make test-bridges")
pytestmark = pytest.mark.bridges

from datasets import Dataset  # noqa: E402
from trl import GRPOConfig, GRPOTrainer  # noqa: E402

from swe_rm.bridges.trl import AsyncSweRm, SweRm  # noqa: E402
from swe_rm.client import BadAnswer, Deadline, Unreachable  # noqa: E402
from tests.bridges import tiny  # noqa: E402
from tests.bridges.documented import snippet  # noqa: E402
from tests.bridges.servers import LIES, Process, Stub, free_port, patch, real, said, wanted  # noqa: E402


def trained(folder: Path, *rewards: Any, steps: int = 2, **options: Any) -> list[dict[str, float]]:
    """The log of some steps of GSPO: two prompts a step, four completions each."""
    rows = [{"prompt": [{"role": "user", "content": f"This is try {number}"}]} for number in (100, 300) * steps]
    config = GRPOConfig(
        output_dir=str(folder),
        per_device_train_batch_size=8,
        num_generations=4,
        max_completion_length=4,
        max_steps=steps,
        logging_steps=1,
        importance_sampling_level="sequence",
        loss_type="grpo",
        use_cpu=True,
        bf16=False,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
        shuffle_dataset=False,
        **options,
    )
    trainer = GRPOTrainer(
        model=tiny.model(),
        processing_class=tiny.tokenizer(),
        reward_funcs=list(rewards),
        args=config,
        train_dataset=Dataset.from_list(rows),
    )
    trainer.train()
    return [line for line in trainer.state.log_history if "reward" in line]


def every_other(completions: list[Any], **columns: Any) -> list[float]:
    """A second function, as tests would be: the half of the attempts resolve."""
    return [float(at % 2) for at in range(len(completions))]


@pytest.mark.parametrize("kind", [SweRm, AsyncSweRm])
def test_scores_are_the_rewards_and_a_batch_is_one_request(kind: type[SweRm], stub: Stub, tmp_path: Path) -> None:
    reward = kind(stub.url)
    log = trained(tmp_path, reward)
    assert [line["rewards/swe_rm/mean"] for line in log] == pytest.approx([0.2, 0.2])
    assert [line["reward"] for line in log] == pytest.approx([0.2, 0.2])
    assert [len(rows) for rows in stub.requests] == [8, 8]
    assert reward.client.failures == {}
    for rows in stub.requests:
        assert all([message["role"] for message in row["messages"]] == ["user", "assistant"] for row in rows)
        assert len({row["instance_id"] for row in rows}) == 2, "attempts at one prompt are of one task"


def test_tests_are_a_second_function_with_its_weight(server: Process, tmp_path: Path) -> None:
    log = trained(tmp_path, SweRm(server.url), every_other, reward_weights=[0.5, 2.0])
    assert [line["reward"] for line in log] == pytest.approx([0.5 * 0.2 + 2.0 * 0.5] * 2)


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_stops_the_training(lie: str, tmp_path: Path) -> None:
    with Stub(LIES[lie]) as liar:
        reward = SweRm(liar.url, verifier="numbered@1")
        with pytest.raises(BadAnswer):
            trained(tmp_path, reward)
        assert reward.client.failures == {"BadAnswer": 8}


@pytest.mark.parametrize("kind", [SweRm, AsyncSweRm])
def test_a_dead_server_stops_the_training(kind: type[SweRm], tmp_path: Path) -> None:
    reward = kind(f"http://127.0.0.1:{free_port()}", deadline=1)
    with pytest.raises(Unreachable):
        trained(tmp_path, reward)
    assert reward.client.failures["Unreachable"] == 8


@pytest.mark.parametrize("kind", [SweRm, AsyncSweRm])
def test_a_slow_server_stops_the_training(kind: type[SweRm], tmp_path: Path) -> None:
    with Stub(seconds=2) as slow:
        reward = kind(slow.url, deadline=0.3)
        with pytest.raises(Deadline):
            trained(tmp_path, reward)
        assert reward.client.failures == {"Deadline": 8}


@pytest.mark.parametrize("kind", [SweRm, AsyncSweRm])
def test_none_is_no_reward_to_trl(kind: type[SweRm], tmp_path: Path) -> None:
    """With `or_none` TRL goes on, and what it could not score moves nothing: it is not 0."""
    with Stub(LIES["NaN"]) as liar:
        reward = kind(liar.url, or_none=True)
        log = trained(tmp_path, reward)
        assert [line["reward"] for line in log] == [None, None], "TRL's word for a mean of nothing"
        assert [float(line["grad_norm"]) for line in log] == [0, 0]
        assert reward.client.failures == {"BadAnswer": 16}


def test_beside_another_function_trl_counts_none_as_nothing_which_is_why_raising_is_the_rule(tmp_path: Path) -> None:
    with Stub(LIES["NaN"]) as liar:
        log = trained(tmp_path, SweRm(liar.url, or_none=True), every_other)
    assert [line["reward"] for line in log] == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize("kind", [SweRm, AsyncSweRm])
def test_a_server_begun_anew_during_the_run_costs_time_alone(kind: type[SweRm], tmp_path: Path) -> None:
    with real() as process:
        reward = kind(process.url)
        first = threading.Event()

        def after_the_first(completions: list[Any], **columns: Any) -> list[float]:
            if not first.is_set():
                first.set()
                process.kill()
                threading.Thread(target=later).start()
            return [0.0] * len(completions)

        def later() -> None:
            time.sleep(0.5)
            process.start()

        log = trained(tmp_path, after_the_first, reward, steps=3)
        assert [line["rewards/swe_rm/mean"] for line in log] == pytest.approx([0.2] * 3)
        assert set(reward.client.failures) == {"retry"}


def columns(numbers: list[int]) -> dict[str, Any]:
    """What TRL hands over: whole chats, and the columns of the data set, the solution among them."""
    logs = [said(number, task=number) for number in numbers]
    return {
        "prompts": [log[:2] for log in logs],
        "completions": [log[2:] for log in logs],
        "completion_ids": [[1]] * len(logs),
        "instance_id": [f"tinkers__lantern-{number}" for number in numbers],
        "problem_statement": ["The lamp hums."] * len(logs),
        "patch": ["the solution"] * len(logs),
        "model_patch": [patch(number) for number in numbers],
        "trainer_state": None,
    }


def test_the_chat_and_the_attempts_own_patch_are_what_is_judged(stub: Stub) -> None:
    SweRm(stub.url)(**columns([3, 4]))
    (rows,) = stub.requests
    assert [row["messages"] for row in rows] == [said(3, 3), said(4, 4)]
    assert [row["patch"] for row in rows] == [patch(3), patch(4)]
    assert "the solution" not in str(rows)


def test_texts_without_roles_are_a_chat_of_two(stub: Stub) -> None:
    assert SweRm(stub.url)(["The lamp hums."], ["This is try 8"]) == [0.008]
    assert [message["role"] for message in stub.requests[0][0]["messages"]] == ["user", "assistant"]


def test_a_thousand_calls_at_once_on_a_loop(server: Process) -> None:
    reward = AsyncSweRm(server.url)

    async def everyone() -> list[Any]:
        return await asyncio.gather(*(reward(**columns([number, 1000 - number])) for number in range(1000)))

    assert asyncio.run(everyone()) == [[wanted(number), wanted(1000 - number)] for number in range(1000)]
    assert set(reward.client.failures) <= {"retry"}


def test_a_thousand_calls_through_a_crash_are_neither_lost_nor_swapped() -> None:
    with real() as process:
        reward = AsyncSweRm(process.url)
        answered = 0

        async def one(number: int) -> Any:
            nonlocal answered
            found = await reward(**columns([number, 1000 - number]))
            answered += 1
            return found

        async def everyone() -> list[Any]:
            asking = asyncio.gather(*map(one, range(1000)))
            while answered < 200:
                await asyncio.sleep(0.001)
            process.kill()
            await asyncio.to_thread(process.start)
            return await asking

        assert asyncio.run(everyone()) == [[wanted(number), wanted(1000 - number)] for number in range(1000)]
        assert set(reward.client.failures) == {"retry"}


def test_a_thousand_calls_at_once_from_threads(server: Process) -> None:
    reward = SweRm(server.url)
    ready = threading.Barrier(1000)

    def one(number: int) -> Any:
        ready.wait()
        return reward(**columns([number, 1000 - number]))

    with ThreadPoolExecutor(1000) as pool:
        found = list(pool.map(one, range(1000)))
    assert found == [[wanted(number), wanted(1000 - number)] for number in range(1000)]
    assert set(reward.client.failures) <= {"retry"}


def group(*numbers: int) -> Any:
    """A group as the rollout worker of AsyncGRPOTrainer makes it."""
    from trl.experimental.async_grpo.async_rollout_worker import RolloutGroup, TrainingSequence

    given = columns([*numbers])
    beside = {key: given[key] for key in ("instance_id", "problem_statement", "patch")}
    row = {"input_ids": [1, 2], "completion_mask": [0, 1], "old_log_probs": [0.0, 0.0]}
    sequences = [[TrainingSequence(rollout_id=at, **row)] for at in range(len(numbers))]
    return RolloutGroup(
        prompts=given["prompts"],
        reward_kwargs=beside,
        completions=given["completions"],
        completions_ids=[[2]] * len(numbers),
        completions_sequences=sequences,
        tool_call_counts=[0] * len(numbers),
        tool_failure_counts=[0] * len(numbers),
        model_version=0,
        group_id=0,
        env_rewards=[],
        rollout_rewards=[],
    )


def worker(*rewards: Any) -> Any:
    """The loop of AsyncGRPOTrainer's child process with what scoring needs; the rest wants a vLLM server."""
    from accelerate import PartialState
    from trl.experimental.async_grpo.async_rollout_worker import _AsyncRolloutLoop

    PartialState()  # its log wants one
    found = object.__new__(_AsyncRolloutLoop)
    found.__dict__ |= {
        "reward_funcs": list(rewards),
        "reward_func_names": ["swe_rm"] * len(rewards),
        "_env_reward_types": [],
    }
    return found


@pytest.mark.parametrize("kind", [SweRm, AsyncSweRm])
def test_async_grpo_scores_a_group_in_one_request(kind: type[SweRm], stub: Stub) -> None:
    reward = pickle.loads(pickle.dumps(kind(stub.url)))
    samples = asyncio.run(worker(reward)._score_group(group(100, 200, 300, 400)))
    assert [sample.metrics["reward"] for sample in samples] == [0.1, 0.2, 0.3, 0.4]
    assert [len(rows) for rows in stub.requests] == [4]


@pytest.mark.parametrize("kind", [SweRm, AsyncSweRm])
def test_async_grpo_gets_an_error_or_leaves_the_group_out(kind: type[SweRm]) -> None:
    with Stub(LIES["above one"]) as liar:
        with pytest.raises(BadAnswer):
            asyncio.run(worker(kind(liar.url))._score_group(group(100, 200)))
        samples = asyncio.run(worker(kind(liar.url, or_none=True))._score_group(group(100, 200)))
        assert [sample.advantage for sample in samples] == [0, 0]
        assert all(math.isnan(sample.metrics["reward"]) for sample in samples)


def in_a_child(reward: SweRm, given: dict[str, Any]) -> Any:
    """As AsyncGRPOTrainer's spawned process calls it."""
    found = reward(**given)
    return asyncio.run(found) if asyncio.iscoroutine(found) else found


@pytest.mark.parametrize("kind", [SweRm, AsyncSweRm])
def test_it_goes_into_a_spawned_process(kind: type[SweRm], stub: Stub) -> None:
    with get_context("spawn").Pool(1) as pool:
        assert pool.apply(in_a_child, (kind(stub.url), columns([5, 6]))) == [0.005, 0.006]


def test_trl_tells_the_two_apart() -> None:
    from trl.trainer.utils import get_callable_name, is_async_callable

    url = "http://127.0.0.1:1"
    assert not is_async_callable(SweRm(url))
    assert is_async_callable(AsyncSweRm(url))
    assert get_callable_name(SweRm(url)) == "swe_rm"


def test_the_documented_lines_make_a_trainer_that_trains(
    server: Process, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.model().save_pretrained(tmp_path / "model")
    tiny.tokenizer().save_pretrained(tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    rows = [{"prompt": [{"role": "user", "content": "This is try 100"}]}] * 8
    names: dict[str, Any] = {"url": server.url, "model": str(tmp_path / "model"), "tests_pass": every_other}
    names["tasks"] = Dataset.from_list(rows)
    here = 'GRPOConfig("run", use_cpu=True, bf16=False, report_to=[], '  # this machine has no GPU
    exec(snippet("TRL", "python").replace('GRPOConfig("run", ', here), names)
    trainer = names["trainer"]
    trainer.args.max_completion_length = trainer.max_completion_length = 4
    trainer.args.max_steps = 1
    assert trainer.args.importance_sampling_level == "sequence"
    trainer.train()
    assert trainer.reward_func_names == ["swe_rm", "every_other"]
