"""Files of verdicts: how rows name attempts, and what is said of rows that name none, two, or carry no score."""

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_rm.errors import RecordError, VerifierError
from swe_rm.trajectory import Origin, Task, Trajectory
from swe_rm.verdict import by_id
from swe_rm.verifiers.recorded import Recorded, join, read_verdicts


def attempt(task: str, policy: str, run: str, source: str = "made") -> Trajectory:
    origin = Origin(source=source, policy=policy, attempt=run)
    return Trajectory(task=Task(instance_id=task), patch=f"+{run}", origin=origin)


ATTEMPTS = [attempt("dye-1", "mill", "0"), attempt("dye-1", "mill", "1"), attempt("dye-2", "loom", "0")]


def key(trajectory: Trajectory, **fields: Any) -> dict[str, Any]:
    instance_id, policy, run = trajectory.key
    return {"instance_id": instance_id, "policy": policy, "attempt": run, **fields}


def written(folder: Path, *rows: Any) -> Path:
    path = folder / "verdicts.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def test_rows_join_by_id_or_by_name_whatever_their_order(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        {"task_id": "dye-2", "policy": "loom", "run": 0, "score": 1, "colour": "passed over"},
        "",
        {"attempt_id": ATTEMPTS[1].attempt_id, "score": 0.25, "raw_score": 0.5, "prompt_tokens": 7, "seconds": 0.5},
        key(ATTEMPTS[0], attempt_id=None, score=0.125, logprob_yes=-2.0, logprob_no=-0.25),
    )
    verdicts = join(read_verdicts(path), ATTEMPTS)
    assert [verdicts[t.attempt_id].score for t in ATTEMPTS] == [0.125, 0.25, 1]
    assert [verdicts[t.attempt_id].raw_score for t in ATTEMPTS] == [0.125, 0.5, 1]
    second = verdicts[ATTEMPTS[1].attempt_id]
    assert (second.prompt_tokens, second.seconds, second.verdict_mass) == (7, 0.5, None)
    assert verdicts[ATTEMPTS[0].attempt_id].logprob_yes == -2
    assert all(id_ == verdict.attempt_id for id_, verdict in verdicts.items())


def test_attempts_without_a_row_are_missing_from_the_join(tmp_path: Path) -> None:
    path = written(tmp_path, key(ATTEMPTS[0], score=0.5))
    assert join(read_verdicts(path), ATTEMPTS).keys() == {ATTEMPTS[0].attempt_id}


@given(st.permutations(range(3)), st.lists(st.booleans(), min_size=3, max_size=3))
def test_the_verifier_answers_each_attempt_with_its_own_row(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], by_name: list[bool]
) -> None:
    rows = [
        key(ATTEMPTS[i], score=i / 4) if by_name[i] else {"attempt_id": ATTEMPTS[i].attempt_id, "score": i / 4}
        for i in order
    ]
    verifier = Recorded(written(tmp_path_factory.mktemp("rows"), *rows))
    verdicts = by_id(ATTEMPTS, verifier(ATTEMPTS))
    assert [verdicts[t.attempt_id].score for t in ATTEMPTS] == [0, 0.25, 0.5]
    verifier.check(ATTEMPTS)


def test_compressed_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "verdicts.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(key(ATTEMPTS[0], score=0.5)).encode()))
    assert Recorded(path)(ATTEMPTS[:1])[0].score == 0.5


def test_the_verifier_is_named_by_its_rows_or_by_the_content(tmp_path: Path) -> None:
    named = Recorded(written(tmp_path, key(ATTEMPTS[0], score=0.5, verifier="tea@3"), key(ATTEMPTS[1], score=0.5)))
    assert {verdict.verifier for verdict in named(ATTEMPTS[:2])} == {named.name} == {"tea@3"}
    first = Recorded(written(tmp_path, key(ATTEMPTS[0], score=0.5)))
    again = Recorded(written(tmp_path, key(ATTEMPTS[0], score=0.5)))
    other = Recorded(written(tmp_path, key(ATTEMPTS[0], score=0.6)))
    assert first.name == again.name != other.name
    assert first.name.startswith("recorded@")


def test_the_name_made_of_the_content_does_not_depend_on_the_order_of_the_rows(tmp_path: Path) -> None:
    rows = [key(attempt, score=place / 4) for place, attempt in enumerate(ATTEMPTS)]
    names = [Recorded(written(tmp_path, *order)).name for order in (rows, rows[::-1], rows[:-1])]
    assert names[0] == names[1] != names[2]
    assert all(re.fullmatch("recorded@[0-9a-f]{8}", name) for name in names)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ('{"instance_id": "dye-1", "policy": ', "broken JSON"),
        ("[0.5]", "not a JSON object"),
        ({"score": 0.5}, "names no attempt: neither attempt_id nor all of instance_id, policy, attempt"),
        ({"instance_id": "dye-1", "policy": "mill", "score": 0.5}, "names no attempt"),
        ({"instance_id": "dye-1", "policy": None, "attempt": "0", "score": 0.5}, "names no attempt"),
        (key(ATTEMPTS[0], task_id="dye-2", score=0.5), "names two attempts: instance_id and task_id differ"),
        (key(ATTEMPTS[0], run="7", score=0.5), "names two attempts: attempt and run differ"),
        (key(ATTEMPTS[0], policy=["mill"], score=0.5), "policy: not a string"),
        (key(ATTEMPTS[0]), "has no score"),
        (key(ATTEMPTS[0], score=None), "has no score"),
        (key(ATTEMPTS[0], score=float("nan")), "NaN"),
        (key(ATTEMPTS[0], score=float("inf")), "Infinity"),
        (key(ATTEMPTS[0], score=1.0000001), "score: Input should be less than or equal to 1"),
        (key(ATTEMPTS[0], score=-0.1), "score: Input should be greater than or equal to 0"),
        (key(ATTEMPTS[0], score="0.5"), "score: Input should be a valid number"),
        (key(ATTEMPTS[0], score=True), "score: Input should be a valid number"),
        (key(ATTEMPTS[0], score=0.5, raw_score=2), "raw_score: Input should be less than or equal to 1"),
        (key(ATTEMPTS[0], score=0.5, logprob_yes=-1.0), "logprob_yes and logprob_no come together"),
    ],
)
def test_a_row_that_is_no_verdict_is_refused_by_file_and_line(tmp_path: Path, row: Any, reason: str) -> None:
    path = written(tmp_path, key(ATTEMPTS[1], score=0.5), row)
    with pytest.raises(RecordError) as caught:
        read_verdicts(path)
    assert (caught.value.file, caught.value.record) == (str(path), "line 2")
    assert reason in caught.value.reason
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"attempt_id": "0" * 20, "score": 0.5}, "names no attempt given: attempt_id 00000000000000000000"),
        ({"instance_id": "dye-9", "policy": "mill", "attempt": "0", "score": 0.5}, "names no attempt given: dye-9"),
        (key(ATTEMPTS[0], attempt_id=ATTEMPTS[1].attempt_id, score=0.5), "names two attempts"),
        (key(ATTEMPTS[2], score=0.5), "names 2 attempts: dye-2 / loom / 0"),
        (key(ATTEMPTS[1], score=0.5), "a second verdict on the attempt of line 1"),
        ({"attempt_id": ATTEMPTS[1].attempt_id, "score": 0.5}, "a second verdict on the attempt of line 1"),
    ],
)
def test_a_row_that_names_two_attempts_or_none_is_refused(tmp_path: Path, row: Any, reason: str) -> None:
    pile = [*ATTEMPTS, attempt("dye-2", "loom", "0", source="elsewhere")]
    rows = read_verdicts(written(tmp_path, key(ATTEMPTS[1], score=0.1), row))
    with pytest.raises(RecordError, match="line 2") as caught:
        join(rows, pile)
    assert reason in caught.value.reason


def test_the_verifier_has_no_score_for_an_attempt_without_a_row(tmp_path: Path) -> None:
    verifier = Recorded(written(tmp_path, key(ATTEMPTS[0], score=0.5)))
    with pytest.raises(VerifierError, match="no verdict on dye-1 / mill / 1"):
        verifier(ATTEMPTS)


def test_the_verifier_answers_parts_of_a_pile_and_checks_the_whole(tmp_path: Path) -> None:
    verifier = Recorded(written(tmp_path, *(key(t, score=0.5) for t in ATTEMPTS)))
    assert len(verifier(ATTEMPTS[:1])) == 1
    with pytest.raises(RecordError, match="names no attempt given"):
        verifier.check(ATTEMPTS[:1])


def test_a_file_that_no_verifier_can_be_made_of_is_refused(tmp_path: Path) -> None:
    twice = {"attempt_id": ATTEMPTS[0].attempt_id, "score": 0.5}
    with pytest.raises(RecordError, match="line 2: a second verdict on the attempt of line 1"):
        Recorded(written(tmp_path, twice, twice))
    with pytest.raises(RecordError, match=r"2 verifiers \(a@1, b@1\)"):
        Recorded(
            written(tmp_path, key(ATTEMPTS[0], score=0, verifier="a@1"), key(ATTEMPTS[1], score=0, verifier="b@1"))
        )
    with pytest.raises(RecordError, match="holds no verdict"):
        Recorded(written(tmp_path))
    with pytest.raises(RecordError, match=r"absent\.jsonl: .*No such file"):
        Recorded(tmp_path / "absent.jsonl")
    (tmp_path / "latin").write_bytes('{"attempt_id": "é", "score": 1}\n'.encode("latin-1"))
    with pytest.raises(RecordError, match="line 1: not valid UTF-8"):
        Recorded(tmp_path / "latin")
