"""The engine: each gets its own verdicts, whatever others do; the line is bounded, and left by who hangs up."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from swe_rm.errors import VerifierError
from swe_rm.serve.cache import Cache
from swe_rm.serve.engine import Engine
from swe_rm.serve.failures import RequestError
from swe_rm.serve.patient import MOST_FAILURES, Patient
from swe_rm.serve.settings import Settings
from swe_rm.verdict import Verifier
from tests.serving import Down, Hashed, Partly, lamp, share


def run(
    verifier: Verifier, test: Callable[[Engine], Awaitable[None]], cache: Cache | None = None, **limits: int
) -> None:
    """The test against an engine that works, and is closed afterwards."""

    async def main() -> None:
        engine = Engine(verifier, Settings(**limits), cache)
        engine.start()
        try:
            async with asyncio.timeout(60):
                await test(engine)
        finally:
            await engine.close()

    asyncio.run(main())


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0.002)


def test_everybody_gets_their_own_verdicts_in_their_order() -> None:
    judge = Hashed()

    async def test(engine: Engine) -> None:
        asked = [[lamp(number, task, f"try {number} {task}") for number in range(3)] for task in range(40)]
        found = await asyncio.gather(*(engine.judge(batch, 30) for batch in asked))
        for batch, judgements in zip(asked, found, strict=True):
            assert [one.trajectory.attempt_id for one in judgements] == [one.attempt_id for one in batch]
            assert [one.verdict.score for one in judgements if one.verdict] == [share(one) for one in batch]
        assert engine.n_held == 0

    run(judge, test)
    assert sorted(id_ for batch in judge.batches for id_ in batch) == sorted({i for b in judge.batches for i in b})
    assert len(judge.batches) < 120, "what gathers while a batch is at work goes together"


def test_what_several_ask_for_is_judged_once() -> None:
    judge = Hashed()

    async def test(engine: Engine) -> None:
        judge.free.clear()
        asking = [asyncio.create_task(engine.judge([lamp(1), lamp(1)], 30)) for _ in range(5)]
        await until(lambda: len(judge.batches) == 1)
        judge.free.set()
        for found in await asyncio.gather(*asking):
            assert [one.verdict and one.verdict.score for one in found] == [share(lamp(1))] * 2

    run(judge, test)
    assert judge.batches == [[lamp(1).attempt_id]]


def test_a_full_line_sends_away_with_a_time_and_takes_all_or_none() -> None:
    judge = Hashed()

    async def test(engine: Engine) -> None:
        judge.free.clear()
        first = asyncio.create_task(engine.judge([lamp(1)], 30))
        await until(lambda: engine.n_held == 1)
        second = asyncio.create_task(engine.judge([lamp(2), lamp(3)], 30))
        await until(lambda: engine.is_full)
        with pytest.raises(RequestError) as sent_away:
            await engine.judge([lamp(1), lamp(4)], 30)
        assert sent_away.value.type == "too_busy"
        assert sent_away.value.retry_after is not None
        assert sent_away.value.retry_after >= 1
        assert engine.n_held == 3
        with pytest.raises(RequestError) as too_many:
            await engine.judge([lamp(n) for n in range(10, 14)], 30)
        assert too_many.value.type == "too_large"
        judge.free.set()
        await asyncio.gather(first, second)
        assert engine.n_held == 0

    run(judge, test, max_waiting=3)


def test_who_hangs_up_or_waits_too_long_leaves_the_line() -> None:
    judge = Hashed()

    async def test(engine: Engine) -> None:
        judge.free.clear()
        at_work = asyncio.create_task(engine.judge([lamp(1)], 30))
        await until(lambda: len(judge.batches) == 1)
        gone = asyncio.create_task(engine.judge([lamp(2), lamp(3)], 30))
        shared = asyncio.create_task(engine.judge([lamp(3)], 30))
        await until(lambda: engine.n_held == 3)
        gone.cancel()
        await asyncio.wait({gone})
        assert engine.n_held == 2, "the second is still waited for by somebody"
        with pytest.raises(RequestError) as late:
            await engine.judge([lamp(4)], 0.01)
        assert late.value.type == "deadline_exceeded"
        at_work.cancel()
        await asyncio.wait({at_work})
        judge.free.set()
        (found,) = await shared
        assert found.verdict is not None
        assert found.verdict.score == share(lamp(3))
        await until(lambda: engine.n_held == 0)

    run(judge, test)
    assert judge.batches == [[lamp(1).attempt_id], [lamp(3).attempt_id]]


@pytest.mark.parametrize("judge", [Hashed(), Partly()], ids=lambda judge: judge.name)
def test_an_attempt_without_a_verdict_costs_only_itself(judge: Verifier) -> None:
    async def test(engine: Engine) -> None:
        found = await engine.judge([lamp(n, said="NaN" if n == 3 else "fine") for n in range(8)], 30)
        assert [n for n, one in enumerate(found) if one.verdict is None] == [3]
        assert found[3].reason
        assert not found[2].reason

    run(judge, test)


def test_a_fault_of_the_verifier_is_an_error_and_the_engine_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    async def test(engine: Engine) -> None:
        with pytest.raises(RequestError) as fault, caplog.at_level(logging.ERROR):
            await engine.judge([lamp(said="fault")], 30)
        assert fault.value.type == "internal"
        (found,) = await engine.judge([lamp(2)], 30)
        assert found.verdict is not None

    run(Hashed(), test)
    assert "TypeError" in caplog.text


def test_an_engine_that_is_down_is_not_asked_once_for_each_attempt_and_comes_back() -> None:
    judge = Down()

    async def test(engine: Engine) -> None:
        found = await engine.judge([lamp(n) for n in range(64)], 30)
        assert {one.reason for one in found} == {"http://engine: nobody answers"}
        assert judge.calls <= MOST_FAILURES
        judge.is_down = False
        found = await engine.judge([lamp(n) for n in range(64)], 30)
        assert all(one.verdict for one in found)

    run(judge, test)


def test_patience_ends_with_time_too_and_a_success_renews_it() -> None:
    judge = Down()
    patient = Patient(judge, 0.0)
    for _ in range(5):
        with pytest.raises(VerifierError, match="nobody answers"):
            patient([lamp()])
    assert judge.calls == 1
    judge.is_down = False
    patient = Patient(judge, 0.0)
    assert patient.name == judge.name
    assert [len(patient([lamp()])) for _ in range(3)] == [1, 1, 1]


def test_verdicts_are_kept_before_they_are_told(tmp_path: Path) -> None:
    judge = Hashed()

    async def test(engine: Engine) -> None:
        (first,) = await engine.judge([lamp(1)], 30)
        (again,) = await engine.judge([lamp(2)], 30)  # another attempt of the same content
        assert (first.cached, again.cached) == (False, True)
        assert again.verdict is not None
        assert again.verdict.attempt_id == lamp(2).attempt_id
        assert again.verdict.score == share(lamp(1))

    run(judge, test, Cache(tmp_path / "verdicts.sqlite", judge.name))
    assert len(judge.batches) == 1


def test_work_that_is_done_alone_waits_its_turn_and_fails_as_verdicts_do() -> None:
    judge = Hashed()

    async def test(engine: Engine) -> None:
        judge.free.clear()
        asking = [asyncio.create_task(engine.judge([lamp(n)], 30)) for n in (1, 2)]
        alone = asyncio.create_task(engine.alone(lambda found: len(found([lamp(3)])), lamp(3), 30))
        await until(lambda: engine.n_held == 3)
        judge.free.set()
        assert await alone == 1
        await asyncio.gather(*asking)
        with pytest.raises(RequestError) as failed:
            await engine.alone(lambda found: found([lamp(said="NaN")]), lamp(4), 30)
        assert failed.value.type == "verifier_failed"

    run(judge, test)
    assert [lamp(3).attempt_id] in judge.batches


def test_closing_finishes_what_was_accepted() -> None:
    judge = Hashed(seconds=0.02)

    async def main() -> None:
        engine = Engine(judge, Settings(batch_attempts=1))
        engine.start()
        asking = [asyncio.create_task(engine.judge([lamp(n)], 30)) for n in range(5)]
        await until(lambda: engine.n_held == 5)
        await engine.close()
        assert all(one.done() for one in asking)
        assert not engine.is_working
        for found in await asyncio.gather(*asking):
            assert found[0].verdict is not None

    asyncio.run(main())
