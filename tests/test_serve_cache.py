"""The cache: what was written is read, by content and by verifier; a file that cannot be used costs no answer."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swe_rm.errors import SweRmError
from swe_rm.serve.cache import Cache
from tests.serving import lamp, verdict


def filled(path: Path, *numbers: int) -> Cache:
    cache = Cache(path, "hashed@1")
    attempts = [lamp(n, said=f"try {n}") for n in numbers]
    assert cache.write(attempts, {one.attempt_id: verdict(one, "hashed@1") for one in attempts})
    return cache


def test_what_was_written_is_read_again_by_content(tmp_path: Path) -> None:
    filled(tmp_path / "c.sqlite", 1, 2).close()
    cache = Cache(tmp_path / "c.sqlite", "hashed@1")
    same, other = lamp(7, said="try 1"), lamp(1, said="try 3")
    found = cache.read([same, other])
    assert found == {same.attempt_id: verdict(same, "hashed@1")}
    assert not cache.trouble
    cache.close()


def test_another_verifier_knows_nothing_of_it(tmp_path: Path) -> None:
    filled(tmp_path / "c.sqlite", 1).close()
    cache = Cache(tmp_path / "c.sqlite", "hashed@2")
    assert cache.read([lamp(1, said="try 1")]) == {}
    cache.close()


def test_a_later_verdict_replaces_the_earlier(tmp_path: Path) -> None:
    cache = filled(tmp_path / "c.sqlite", 1)
    one = lamp(1, said="try 1")
    assert cache.write([one], {one.attempt_id: verdict(one, "hashed@1").model_copy(update={"score": 0.5})})
    assert cache.read([one])[one.attempt_id].score == 0.5
    cache.close()


def test_what_is_no_cache_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("the lamp hums, and this is no database\n" * 40)
    (tmp_path / "other.sqlite").touch()
    with sqlite3.connect(tmp_path / "other.sqlite") as other:
        other.execute("CREATE TABLE verdicts (lamp TEXT)")
    other.close()
    for path in (tmp_path / "notes.txt", tmp_path / "other.sqlite", tmp_path / "no" / "folder.sqlite"):
        with pytest.raises(SweRmError, match="no cache of verdicts") as refused:
            Cache(path, "hashed@1")
        assert "\n" not in str(refused.value)


def test_a_disk_that_is_full_is_told_and_what_was_there_is_read(tmp_path: Path) -> None:
    cache = filled(tmp_path / "c.sqlite", *range(3))
    with sqlite3.connect(tmp_path / "c.sqlite") as beside:
        pages = beside.execute("PRAGMA page_count").fetchone()[0]
    beside.close()
    cache._writer.execute(f"PRAGMA max_page_count = {pages}")  # SQLite then says what it says of a full disk
    attempts = [lamp(n, said=f"try {n}") for n in range(100, 400)]
    verdicts = {one.attempt_id: verdict(one, "hashed@1") for one in attempts}
    assert not cache.write(attempts, verdicts)
    assert "full" in cache.trouble
    assert cache.read([attempts[0]]) == {}, "all or none"
    assert len(cache.read([lamp(1, said="try 1")])) == 1
    cache._writer.execute("PRAGMA max_page_count = 100000")
    assert cache.write(attempts, verdicts)
    assert not cache.trouble
    cache.close()


def test_a_file_that_others_hold_is_read_and_waited_for_once(tmp_path: Path) -> None:
    cache = filled(tmp_path / "c.sqlite", 1)
    cache._writer.execute("PRAGMA busy_timeout=50")
    other = sqlite3.connect(tmp_path / "c.sqlite")
    other.execute("BEGIN IMMEDIATE")
    known, new = lamp(1, said="try 1"), lamp(2, said="try 2")
    assert not cache.write([new], {new.attempt_id: verdict(new, "hashed@1")})
    assert "locked" in cache.trouble
    assert cache._writer.execute("PRAGMA busy_timeout").fetchone() == (0,)
    assert len(cache.read([known])) == 1
    other.rollback()
    other.close()
    assert cache.write([new], {new.attempt_id: verdict(new, "hashed@1")})
    assert cache._writer.execute("PRAGMA busy_timeout").fetchone() == (5000,)
    cache.close()


def test_a_damaged_row_is_judged_anew(tmp_path: Path) -> None:
    cache = filled(tmp_path / "c.sqlite", 1)
    cache._writer.execute("UPDATE verdicts SET verdict = '{\"score\": 7}'")
    cache._writer.commit()
    assert cache.read([lamp(1, said="try 1")]) == {}
    assert "cannot be read" in cache.trouble
    cache.close()


@settings(max_examples=25)
@given(orders=st.permutations(range(6)), taken=st.sets(st.integers(0, 5)))
def test_any_part_in_any_order(tmp_path_factory: pytest.TempPathFactory, orders: list[int], taken: set[int]) -> None:
    path = tmp_path_factory.mktemp("cache") / "c.sqlite"
    filled(path, *(n for n in orders if n in taken)).close()
    cache = Cache(path, "hashed@1")
    attempts = [lamp(n, said=f"try {n}") for n in range(6)]
    assert cache.read(attempts).keys() == {attempts[n].attempt_id for n in taken}
    cache.close()


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from tests.test_serve_cache import filled
number = 0
while True:
    filled(Path(sys.argv[1]), number)._writer.close()
    number += 1
    os.write(1, b"%d\\n" % number)
"""


def test_a_killed_process_loses_nothing_that_it_told(tmp_path: Path) -> None:
    """The process is killed in the middle of its writing; every verdict it had told of is there."""
    command = [sys.executable, "-c", KILLED, str(tmp_path / "c.sqlite"), str(Path(__file__).parents[1])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=dict(os.environ)) as process:
        assert process.stdout
        told = 0
        while told < 20:
            told = int(process.stdout.readline())
        process.kill()
        rest = process.stdout.read().splitlines()
        told = int(rest[-1]) if rest else told
    cache = Cache(tmp_path / "c.sqlite", "hashed@1")
    attempts = [lamp(n, said=f"try {n}") for n in range(told)]
    assert len(cache.read(attempts)) == told
    cache.close()
