"""Every engine finds the same facts, in the order of the input; processes and Ray change no byte of a mix."""

import importlib.util
from pathlib import Path

import pytest

from swe_rm.errors import MissingExtraError
from swe_rm.mix.engines import CHUNK, engine
from swe_rm.mix.facts import Settings
from tests.mixing import in_own_process, mixing, pool, stored

HAS_RAY = importlib.util.find_spec("ray") is not None

BOTH = """
import sys
from pathlib import Path
from swe_rm.mix import mix
from tests.mixing import contents, mixing
data, out = Path(sys.argv[1]), Path(sys.argv[2])
config = mixing(data, drop={"near_duplicates": 0.9}, sample={"total": 50})
if __name__ == "__main__":
    mix(config, out / "ray", engine="ray", workers=2)
    mix(config, out / "here")
    assert contents(out / "ray") == contents(out / "here")
    print("equal")
"""


def test_processes_give_what_one_gives_in_the_order_of_the_input() -> None:
    attempts, settings = pool(tasks=9), Settings.of(mixing("data"))
    assert len(attempts) > 6 * CHUNK
    one = list(engine("local", 1)(attempts, settings))
    assert [facts.ordinal for facts in one] == list(range(len(attempts)))
    assert list(engine("local", 2)(attempts, settings)) == one
    assert list(engine("local", 2)([], settings)) == []


def test_attempts_are_read_no_faster_than_they_are_worked_on() -> None:
    taken = 0

    def counted() -> object:
        nonlocal taken
        for item in pool(tasks=60):
            taken += 1
            yield item

    facts = engine("local", 2)(counted(), Settings.of(mixing("data")))
    next(facts)
    assert taken < 720
    facts.close()


@pytest.mark.skipif(HAS_RAY, reason="Ray is installed")
def test_without_ray_the_extra_is_named() -> None:
    with pytest.raises(MissingExtraError, match=r"swe-rm\[ray\]"):
        engine("ray", 2)


@pytest.mark.skipif(not HAS_RAY, reason="Ray is not installed: pip install 'swe-rm[ray]'")
def test_two_workers_of_ray_give_the_same_bytes(tmp_path: Path) -> None:
    """In a process of its own: Ray's own warnings and threads are not ours to answer for."""
    said = in_own_process(BOTH, stored(pool(tasks=12), tmp_path / "data"), tmp_path)
    assert said[-1] == "equal"
