"""A config is read from YAML with single keys changed, and what is wrong with it is one line."""

from pathlib import Path

import pytest

from swe_rm import config_file
from swe_rm.errors import SweRmError
from swe_rm.trajectory import Noun


class Wick(Noun):
    length: int = 1


class Lamp(Noun):
    name: str
    wick: Wick = Wick()


def lamp(folder: Path, text: str, *overrides: str) -> Lamp:
    file = folder / "lamp.yaml"
    file.write_text(text)
    return config_file.load(Lamp, file, overrides, "a lamp")


def test_overrides_reach_into_groups(tmp_path: Path) -> None:
    assert lamp(tmp_path, "name: a") == Lamp(name="a")
    assert lamp(tmp_path, "name: a", "name=b", "wick.length=3") == Lamp(name="b", wick=Wick(length=3))


@pytest.mark.parametrize(
    ("text", "override", "said"),
    [
        ("name: a\nlight: 1", "name=a", "lamp.yaml: light: Extra inputs"),
        ("wick: {}", "wick.length=x", "lamp.yaml: name: Field required"),
        ("- a", "name=a", "lamp.yaml: a lamp is a mapping of keys"),
        ("name: [", "name=a", "lamp.yaml: while parsing"),
        ("name: a\nname: b", "name=a", "lamp.yaml: name stands twice"),
        ("name: a\nwick: {length: 1, length: 2}", "name=a", "lamp.yaml: length stands twice"),
        ("name: a", "wick={length: 1, length: 2}", "--set wick={length: 1, length: 2}: length stands twice"),
        ("name: a", "name", "--set name: expected key=value"),
        ("name: a", "name.first=b", "--set name.first=b: name is not a group of keys"),
        ("name: a", "name=[", r"--set name=\[: expected the node content, but found its end$"),
        ("name: a", "name=*", r"--set name=\*: expected alphabetic or numeric character, but found its end$"),
    ],
)
def test_what_is_wrong_is_one_line(text: str, override: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(SweRmError, match=said) as raised:
        lamp(tmp_path, text, override)
    assert "\n" not in str(raised.value)
    with pytest.raises(SweRmError, match="nowhere"):
        config_file.load(Lamp, tmp_path / "nowhere.yaml", (), "a lamp")
