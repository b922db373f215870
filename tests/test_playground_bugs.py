"""Bugs: what each kind does to a source, and that an edit is one stretch of text."""

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swe_rm.playground import world
from swe_rm.playground.bugs import Edit, edits, parses

LAMP = '''
def lit(wick, oil, lamps=()):
    """1 < 2 stays."""
    if not wick:
        return False
    total = 0
    for lamp in sorted(lamps, key=len):
        total += len(lamp) * 2
        oil.append(lamp)
    rest = lamps[1:] if oil and total else []
    return min(total, 9) <= 10, rest
'''
SOURCES = [
    text
    for package in world.shipped_packages()
    for path, text in world.files_of(package).items()
    if path.endswith("py")
]


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("operator", "len(lamp) * 2", "len(lamp) + 2"),
        ("operator", "total += len", "total -= len"),
        ("boundary", "<= 10", "< 10"),
        ("condition", "if not wick", "if wick"),
        ("condition", "oil and total", "oil or total"),
        ("condition", "oil and total", "total"),
        ("constant", "<= 10", "<= 11"),
        ("constant", "return False", "return True"),
        ("call", "min(total, 9)", "max(total, 9)"),
        ("call", "sorted(lamps, key=len)", "sorted(lamps)"),
        ("order", "min(total, 9)", "min(9, total)"),
        ("guard", "    if not wick:\n        return False\n", ""),
        ("statement", "        oil.append(lamp)\n", ""),
        ("branch", "lamps[1:] if oil and total else []", "lamps[1:]"),
        ("slice", "lamps[1:]", "lamps[1 + 1:]"),
        ("addition", "        oil.append(lamp)\n", "        oil.append(lamp)\n" * 2),
        ("addition", "    total = 0\n", "    if not wick:\n        return False\n    total = 0\n"),
    ],
)
def test_kinds(kind: str, before: str, after: str) -> None:
    assert LAMP.count(before) == 1
    assert LAMP.replace(before, after) in [edit.applied(LAMP) for edit in edits(LAMP) if edit.kind == kind]


def test_conditions_are_added() -> None:
    source = "def lit(oil, wick):\n    if oil:\n        oil -= 1\n    while wick > oil:\n        wick.cut()\n"
    found = [edit.applied(source) for edit in edits(source) if edit.kind == "addition"]
    assert source.replace("if oil:", "if not oil:") in found
    assert source.replace("if oil:", "if oil and wick > oil:") in found
    assert source.replace("wick > oil:", "wick > oil and oil:") in found


def test_an_edit_knows_where_it_is() -> None:
    (edit,) = [edit for edit in edits(LAMP) if edit.kind == "boundary"]
    assert (edit.function, edit.line) == ("lit", 11)
    inner = edits("class Lamp:\n    def lit(self, a):\n        return a < 1\n")
    assert {edit.function for edit in inner} == {"Lamp.lit"}


def test_words_for_people_stay() -> None:
    assert all('"""1 < 2 stays."""' in edit.applied(LAMP) for edit in edits(LAMP))


def test_an_f_string_stays_whole() -> None:
    source = "def f(a):\n    return f'{a + 1}.{a:2}' + a\n"
    assert {edit.applied(source) for edit in edits(source)} == {
        source.replace("' + a", "' - a"),
    }


def test_the_same_source_has_the_same_edits() -> None:
    assert edits(LAMP) == edits(LAMP)


@settings(max_examples=6)
@given(st.sampled_from(SOURCES))
def test_each_edit_is_another_source_and_few_are_no_python(source: str) -> None:
    found = edits(source)
    changed = [edit.applied(source) for edit in found]
    assert source not in changed
    assert len(set(changed)) == len(changed)
    assert sum(map(parses, changed)) >= 0.9 * len(changed)


@settings(max_examples=20)
@given(st.sampled_from(SOURCES), st.data())
def test_an_edit_taken_back_gives_the_source(source: str, data: st.DataObject) -> None:
    found = edits(source)
    if not found:
        return
    edit = data.draw(st.sampled_from(found))
    back = Edit(
        kind=edit.kind,
        start=edit.start,
        end=edit.start + len(edit.new),
        new=source[edit.start : edit.end],
        function="",
        line=edit.line,
    )
    assert back.applied(edit.applied(source)) == source


def test_what_is_no_source() -> None:
    assert not parses("def")
    with pytest.raises(SyntaxError):
        edits("def")
    with pytest.raises(ValueError, match="ASCII"):
        edits("x = 'ä'")
    assert ast.parse(LAMP)
