"""The pile: every file and record accounted for, bad input told in one line and costing nothing else."""

import contextlib
import gzip
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from swe_rm import store
from swe_rm.errors import RecordError, SweRmError
from swe_rm.sources import Pile, Refusal, open_pile, open_received
from swe_rm.sources.formats import SPECIFIC
from swe_rm.sources.reader import ALONE, Grouping, Record, checked, records
from swe_rm.sources.streams import File
from swe_rm.sources.walk import Finds, _Claimed, _grouped
from swe_rm.trajectory import Labelled

FIXTURES = Path(__file__).parent / "fixtures"
PATCH = "diff --git a/lamp.py b/lamp.py\n+lit = False\n"


def row(number: int = 1, **changes: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": "The lamp hums."}, {"role": "assistant", "content": f"try {number}"}]
    base = {"instance_id": f"lamp__lamp-{number}", "policy": "p", "run": "r", "messages": messages, "patch": PATCH}
    return {**base, "resolved": True, **changes}


def lines(*rows: object) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in rows)


def pile_of(path: Path, content: bytes) -> tuple[list[Labelled], Pile]:
    path.write_bytes(content)
    pile = open_pile([path])
    return list(pile.attempts()), pile


def accounted(pile: Pile, *roots: Path) -> list[Labelled]:
    """The attempts, after checking that every file is in exactly one list and every record counted once."""
    items = list(pile.attempts())
    told = Counter([*pile.files_read, *pile.side_files, *pile.files_refused])
    found = {file for root in roots for file in ([root] if root.is_file() else _below(root))}
    assert set(told) == found
    assert set(told.values()) <= {1}
    assert pile.n_records == pile.n_read + pile.n_refused + pile.n_merged
    assert (pile.n_read, pile.n_refused) == (len(items), len(pile.refusals))
    assert len({item.trajectory.key for item in items}) == len(items)
    assert not any("\n" in str(refusal) for refusal in pile.refusals)
    assert pile.n_units_done == pile.n_units
    return items


def _below(root: Path) -> Iterator[Path]:
    return (file for file in root.rglob("*") if file.is_file())


def test_all_fixtures_are_accounted_for_and_come_out_the_same_twice() -> None:
    pile = open_pile([FIXTURES])
    first = accounted(pile, FIXTURES)
    account = pile.n_records, pile.refusals, pile.files_read, pile.notes
    assert accounted(pile, FIXTURES) == first
    assert (pile.n_records, pile.refusals, pile.files_read, pile.notes) == account
    assert len(first) > 20


@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_compressed_files_give_the_same_attempts(ending: str, tmp_path: Path) -> None:
    pack = {".gz": gzip.compress, ".zst": zstandard.ZstdCompressor().compress}[ending]
    plain = [item.trajectory for item in open_pile([FIXTURES]).attempts()]
    for file in _below(FIXTURES):
        target = tmp_path / "fixtures" / file.relative_to(FIXTURES)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.with_name(target.name + ending).write_bytes(pack(file.read_bytes()))
    packed = list(open_pile([tmp_path / "fixtures"]).attempts())
    assert [item.trajectory for item in packed] == plain
    assert sum(item.outcome != "unknown" for item in packed) > 10


def test_the_order_of_paths_is_that_of_the_attempts_and_a_file_met_twice_counts_once() -> None:
    first, second = FIXTURES / "mini_swe_agent" / "second", FIXTURES / "attempts" / "rows.jsonl"
    pile = open_pile([FIXTURES / "predictions" / "two", first, second, first / "output", FIXTURES / "attempts"])
    sources = [item.trajectory.origin.source for item in pile.attempts()]
    assert sources == ["mini-swe-agent"] * 2 + ["bench_a"] * 3 + ["swe-bench-predictions"], "predictions come last"
    assert len(pile.files_read) == 4


def test_predictions_are_the_patches_of_the_trajectories_of_their_run(tmp_path: Path) -> None:
    log = FIXTURES / "openhands" / "completions_only" / "llm_completions"
    target = tmp_path / "night-1" / "llm_completions"
    for file in _below(log):
        (target / file.parent.name).mkdir(parents=True, exist_ok=True)
        (target / file.parent.name / file.name).write_bytes(file.read_bytes())
    rows = [
        {"instance_id": f"tinkers__lantern-{number}", "model_name_or_path": "m", "model_patch": PATCH + str(number)}
        for number in (12, 13)
    ]
    (tmp_path / "night-1" / "all_preds.jsonl").write_bytes(lines(*rows))
    pile = open_pile([tmp_path])
    first, second = accounted(pile, tmp_path)
    assert (first.trajectory.patch, first.trajectory.finished) == (PATCH + "12", True)
    assert (second.trajectory.messages, second.trajectory.patch) == ((), PATCH + "13")
    assert pile.n_merged == 1
    fresh = Labelled.model_validate(json.loads(first.model_dump_json()))
    assert fresh.trajectory.attempt_id == first.trajectory.attempt_id


def test_a_prediction_that_differs_from_its_trajectory_is_noted(tmp_path: Path) -> None:
    run = FIXTURES / "swe_agent" / "careful_v1"
    for file in (file for number in (12, 13) for file in _below(run / f"tinkers__lantern-{number}")):
        target = tmp_path / "night" / file.relative_to(run)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    assert _notes(tmp_path) == []
    changed = tmp_path / "night" / "tinkers__lantern-12" / "tinkers__lantern-12.pred"
    changed.write_text(changed.read_text().replace("self.lit = False", "self.lit = 0"))
    assert _notes(tmp_path) == ["1 predictions hold another patch than the trajectory of the run, which is taken"]


def _notes(folder: Path) -> list[str]:
    pile = open_pile([folder])
    assert (len(list(pile.attempts())), pile.n_merged, pile.refusals) == (2, 2, [])
    return pile.notes


def test_the_same_key_twice_is_refused_and_the_same_content_under_two_keys_is_not(tmp_path: Path) -> None:
    items, pile = pile_of(tmp_path / "a.jsonl", lines(row(), row(run="s"), row(patch="other\n")))
    assert [item.trajectory.origin.attempt for item in items] == ["r", "s"]
    assert items[0].trajectory.content_hash == items[1].trajectory.content_hash
    assert [str(refusal) for refusal in pile.refusals] == [
        f"{tmp_path / 'a.jsonl'}: lamp__lamp-1 / p / r: "
        "an attempt of this policy at this task with this name was read before"
    ]


def test_an_attempt_needs_a_patch_or_a_turn(tmp_path: Path) -> None:
    prompt = [{"role": "user", "content": "x"}, {"role": "assistant", "content": "shown", "demo": True}]
    rows = [
        row(1, messages=None),
        row(2, patch=None),
        row(3, messages=prompt, patch=" \n"),
        row(4, messages=[], patch=""),
    ]
    items, pile = pile_of(tmp_path / "a.jsonl", lines(*rows))
    assert [(i.trajectory.task.instance_id, i.trajectory.finished) for i in items] == [
        ("lamp__lamp-1", True),
        ("lamp__lamp-2", False),
    ]
    assert [refusal.instance_id for refusal in pile.refusals] == ["lamp__lamp-3", "lamp__lamp-4"]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (b'{"instance_id": ', "broken JSON"),
        (lines(row(2))[:-30], "broken JSON"),
        (lines(row(2)).replace(b'"p"', b"NaN"), "broken JSON"),
        (lines(row(2)).replace(b"try 2", b"try \xe9"), "not valid UTF-8"),
        (lines(row(2, policy=7)), "policy is a number, not text"),
        (lines(row(2, policy="")), "names no policy"),
        (lines(row(2, instance_id=None)), "names no task"),
        (lines(row(2, messages={"role": "user"})), "messages is an object, not a list"),
        (lines(row(2, resolved="yes")), "resolved is text, not true, false or null"),
        (lines(row(2, patch=["x"])), "patch is a list, not text"),
        (b"[" * 3000, "depth limit"),
        (b"null", "null where an object should be"),
        (b"7", "the record is a number"),
        (lines(row(2, messages=[{"role": "assistant", "tool_calls": [{"name": "x", "arguments": [[]]}]}])).replace(
            b"[[]]", b"[" * 500 + b"]" * 500), "nested too deeply"),
    ],
)  # fmt: skip
def test_a_bad_record_is_refused_with_its_line_and_costs_nothing_else(
    broken: bytes, reason: str, tmp_path: Path
) -> None:
    content = lines(row(1)) + broken.rstrip(b"\n") + b"\n" + lines(row(3))
    items, pile = pile_of(tmp_path / "a.jsonl", content)
    assert [item.trajectory.task.instance_id for item in items] == ["lamp__lamp-1", "lamp__lamp-3"]
    (refusal,) = pile.refusals
    assert refusal.record.startswith("line 2")
    assert reason in refusal.reason


@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_a_cut_file_gives_what_was_whole_and_one_refusal(ending: str, tmp_path: Path) -> None:
    whole = lines(*(row(n, patch=PATCH + os.urandom(40).hex()) for n in range(1, 60)))
    packed = {".gz": gzip.compress, ".zst": zstandard.ZstdCompressor().compress}[ending](whole)
    for share in (0.3, 0.6, 0.9, 0.999):
        (tmp_path / f"a.jsonl{ending}").write_bytes(packed[: int(len(packed) * share)])
        (tmp_path / "b.jsonl").write_bytes(lines(row(0)))
        pile = open_pile([tmp_path])
        items = [item.trajectory.task.instance_id for item in pile.attempts()]
        assert items == [*(f"lamp__lamp-{n}" for n in range(1, len(items))), "lamp__lamp-0"]
        (refusal,) = pile.refusals
        assert refusal.reason == "the compressed data end early"
        assert refusal.record == (f"line {len(items)}" if len(items) > 1 else "")


def test_encodings(tmp_path: Path) -> None:
    text = json.dumps(row(messages=[{"role": "assistant", "content": "Höhe 🏮"}]), ensure_ascii=False)
    for encoding in ("utf-8-sig", "utf-16", "utf-32"):
        items, pile = pile_of(tmp_path / "a.jsonl", text.encode(encoding))
        assert (items[0].trajectory.messages[0].content, pile.refusals) == ("Höhe 🏮", [])
    lone = lines(row(messages=[{"role": "assistant", "content": "x \ud83d y"}]))
    items, _ = pile_of(tmp_path / "a.jsonl", lone)
    assert items[0].trajectory.messages[0].content == "x \ufffd y"
    assert items[0].trajectory.attempt_id


def test_paths_that_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "run.log").write_text("started")
    (tmp_path / "other.json").write_text('{"colour": "red"}')
    (tmp_path / "blank.jsonl").write_text("")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name, reason in {
        "absent": "does not exist",
        "empty": "the folder holds no files",
        "notes": "no attempts among 1 reports, logs and other side files",
        "other.json": "no known format (JSON object with the keys colour)",
        "blank.jsonl": "the file is empty",
        "dangling": "is no file that can be read",
    }.items():
        with pytest.raises(SweRmError) as error:
            open_pile([tmp_path / name])
        assert str(error.value).startswith(f"{tmp_path / name}: ")
        assert reason in str(error.value)
        assert "\n" not in str(error.value)
        assert str(error.value).count(str(tmp_path)) == 1


def test_a_path_that_leads_nowhere_costs_only_itself(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.jsonl").write_bytes(lines(row()))
    pile = open_pile([tmp_path / "absent", tmp_path / "a.jsonl", tmp_path / "empty"])
    assert len(list(pile.attempts())) == 1
    assert [refusal.file for refusal in pile.refusals] == [str(tmp_path / "absent"), str(tmp_path / "empty")]
    with pytest.raises(SweRmError, match=r"nothing to read: .*absent: does not exist.* \(and 1 more refused\)"):
        open_pile([tmp_path / "absent", tmp_path / "empty"])


def test_a_folder_with_anything_in_it(tmp_path: Path) -> None:
    names = {
        "rows.jsonl": lines(row()),
        "data.parquet": b"PAR1\0\0",
        "notes.txt": b"a note",
        "settings.json": b'{"a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "f": 6, "g": 7}',
        "lines.json": b'{"a\nb": 1, "' + b"k" * 300 + b'": 2}',
        "tasks.jsonl": lines({"instance_id": "x", "problem_statement": "y", "base_commit": "z", "patch": PATCH}),
        "scores.jsonl": lines({"attempt_id": "x", "instance_id": "y", "policy": "p", "score": 0.5}),
        "blank.jsonl": b"\n\n",
        "broken.json.gz": gzip.compress(b'{"messages": [')[:-4],
        "manifest.json": b'{"swe_rm_store": 1, "shards": []}',
        ".hidden": b"\0",
    }
    for name, content in names.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_text("hidden folders are not walked")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path)
    pile = open_pile([tmp_path])
    assert len(list(pile.attempts())) == 1
    assert {file.name for file in pile.side_files} == {
        "notes.txt",
        "tasks.jsonl",
        "scores.jsonl",
        ".hidden",
        "manifest.json",
    }
    assert {Path(refusal.file).name: refusal.reason for refusal in pile.refusals} == {
        "data.parquet": "the Parquet data are damaged: Parquet file size is 6 bytes, smaller than the minimum file "
        "footer (8 bytes)",
        "settings.json": "no known format (JSON object with the keys a, b, c, d, e, f, ...)",
        "lines.json": f"no known format (JSON object with the keys a\N{REPLACEMENT CHARACTER}b, {'k' * 40})",
        "blank.jsonl": "the file is empty",
        "broken.json.gz": "no known format (JSON object with the keys messages)",
        "pipe": "is no file that can be read",
    }


def test_hidden_folders_are_left_out_aloud_and_read_when_named(tmp_path: Path) -> None:
    mini(tmp_path / "run", "a")
    mini(tmp_path / "b" / ".hidden" / "run_2", "b")
    (tmp_path / ".git").mkdir()
    pile = open_pile([tmp_path])
    assert len(list(pile.attempts())) == 1
    note = f"{tmp_path / 'b' / '.hidden'}: hidden folders are not walked; name them to read them"
    assert pile.notes == [note]
    assert len(list(open_pile([tmp_path, tmp_path / "b" / ".hidden"]).attempts())) == 2


@pytest.mark.parametrize("kind", ["zip", "tar", "gztar"])
def test_an_archive_is_refused_as_one(tmp_path: Path, kind: str) -> None:
    mini(tmp_path / "in" / "run", "a")
    (tmp_path / "in" / "rows.jsonl").write_bytes(lines(row(1), row(2)))
    shutil.make_archive(str(tmp_path / "packed"), kind, tmp_path / "in")
    with pytest.raises(RecordError, match="is an archive: unpack it first"):
        list(open_pile(sorted(tmp_path.glob("packed*"))).attempts())


def test_a_name_that_is_no_text_can_be_printed(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/r\xffn"
    os.mkdir(folder)  # noqa: PTH102 - the name is no text
    with open(folder + b"/a.json", "wb") as file:  # noqa: PTH123
        file.write(lines({"messages": [{"role": "assistant", "content": "x"}, 3], "instance_id": "a"}))
    with open(folder + b"/b.json", "wb") as file:  # noqa: PTH123
        file.write(lines({"messages": [{"role": "assistant", "content": "x"}], "instance_id": "a"}))
    pile = open_pile([tmp_path])
    (item,) = pile.attempts()
    assert item.trajectory.origin.policy.encode()
    assert str(pile.refusals[0]).encode()


def test_a_huge_observation_is_read_whole(tmp_path: Path) -> None:
    _huge(tmp_path, 20)


@pytest.mark.slow
def test_an_observation_of_100_megabytes_is_read_whole(tmp_path: Path) -> None:
    _huge(tmp_path, 100)


def _huge(folder: Path, megabytes: int) -> None:
    observation = "all work and no play\n" * (megabytes * 50_000)
    messages = [
        {"role": "user", "content": "Fix it."},
        {"role": "assistant", "content": "cat", "tool_calls": [{"name": "cat", "arguments": {"n": 1}}]},
        {"role": "tool", "content": observation},
    ]
    document = {"info": {"exit_status": "Submitted", "submission": PATCH}, "messages": messages}
    (folder / "lamp__lamp-1.traj.json").write_text(json.dumps(document))
    (folder / "rows.jsonl").write_bytes(lines(row(2, messages=messages), row(3)))
    found = {i.trajectory.task.instance_id: i.trajectory for i in open_pile([folder]).attempts()}
    assert len(found) == 3
    for number in (1, 2):
        assert found[f"lamp__lamp-{number}"].messages[2].content == observation


def test_memory_stays_at_a_record(tmp_path: Path) -> None:
    """32 rows of a megabyte, each parsed in a buffer of twelve times its size; one that held them would be seen."""
    path = tmp_path / "rows.jsonl.zst"
    rows = (row(n, messages=[{"role": "assistant", "content": os.urandom(500_000).hex()}]) for n in range(32))
    path.write_bytes(zstandard.ZstdCompressor(level=1).compress(lines(*rows)))

    def peak(hold: bool) -> float:
        tracemalloc.start()
        held = [item if hold else None for item in open_pile([path]).attempts()]
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert len(held) == 32
        return found / 1e6

    assert peak(hold=False) < 24
    assert peak(hold=True) > 40


PLAIN = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-1e9, 1e9) | st.text(max_size=5)
JUNK = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
DOCUMENTS = sorted(file for file in _below(FIXTURES) if ".json" in file.name or file.suffix in (".traj", ".pred"))


def _spots(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from _spots(inner, (*path, key))


def _changed(value: Any, path: tuple[Any, ...], junk: Any) -> Any:
    if not path:
        return junk
    copy = value.copy()
    copy[path[0]] = _changed(value[path[0]], path[1:], junk)
    return copy


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_no_record_however_mangled_is_more_than_a_refusal(data: st.DataObject) -> None:
    """Any value of any fixture record replaced by any other: each reader gives an attempt or a refusal, no crash."""
    file = data.draw(st.sampled_from(DOCUMENTS))
    values = [record.value for record in records(File(file)) if isinstance(record, Record)]
    value = values[0] if len(values) == 1 else values
    spot = data.draw(st.sampled_from(list(_spots(value))))
    mangled = _changed(value, spot, data.draw(JUNK))
    with _folder(file, mangled) as folder:
        pile = open_pile([folder])
        items = list(pile.attempts())
        assert pile.n_records == len(items) + len(pile.refusals) + pile.n_merged
        assert all(item.trajectory.attempt_id for item in items)
        assert all(isinstance(refusal, Refusal) and "\n" not in str(refusal) for refusal in pile.refusals)


@contextlib.contextmanager
def _folder(file: Path, value: Any) -> Iterator[Path]:
    """A folder with the value in the fixture's place, and one good row."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, *file.relative_to(FIXTURES).parts)
        target.parent.mkdir(parents=True)
        is_lines = ".jsonl" in file.name and isinstance(value, list)
        target.write_bytes(lines(*value) if is_lines else json.dumps(value).encode())
        Path(folder, "rows.jsonl").write_bytes(lines(row()))
        yield Path(folder)


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_no_bytes_are_more_than_a_refusal(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "a.jsonl").write_bytes(content)
        Path(folder, "rows.jsonl").write_bytes(lines(row()))
        pile = open_pile([Path(folder)])
        assert len(list(pile.attempts())) >= 1
        assert len(pile.files_read) + len(pile.side_files) + len(pile.files_refused) == 2


def test_an_object_in_the_place_of_a_key_is_no_known_format(tmp_path: Path) -> None:
    with pytest.raises(SweRmError, match="no known format"):
        open_pile([_written(tmp_path / "a.json", b'{{"type": 1, "payload": 2}}')])


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_the_first_field_may_be_long(tmp_path: Path) -> None:
    """What a format is recognised by may stand behind more than the first look takes in."""
    long = row(1, policy="p" * 70_000)
    items, _ = pile_of(tmp_path / "a.jsonl", lines({"instance_id": long.pop("instance_id"), **long}))
    assert len(items) == 1
    behind = {"padding": "x" * 100_000, **row(2)}
    items, _ = pile_of(tmp_path / "a.jsonl", lines(behind))
    assert len(items) == 1


@pytest.mark.parametrize("stream", [False, True])
def test_what_was_received_is_read_as_what_lies_on_disk(stream: bool) -> None:
    """A run folder sent file by file, labels and evaluated patches with it; no path of it is looked up on disk."""
    folder = FIXTURES / "mini_swe_agent"
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sent = [(str(path.relative_to(FIXTURES)), path.read_bytes()) for path in files]
    there = open_received((name, io.BytesIO(content) if stream else content) for name, content in sent)
    assert list(there.attempts()) == list(open_pile([folder]).attempts())
    assert list(there.attempts()) == list(there.attempts()), "a stream is read as often as it takes"
    assert len(there.files_read) + len(there.side_files) + len(there.files_refused) == len(files)
    assert there.files_read[0].is_relative_to("/mini_swe_agent")


def mini(folder: Path, said: str) -> None:
    prompt = {"role": "user", "content": "<pr_description>Dim.</pr_description>"}
    messages = [prompt, {"role": "assistant", "content": said}]
    info = {"exit_status": "Submitted", "submission": PATCH, "config": {"model": {"model_name": "m"}}}
    folder.mkdir(parents=True)
    (folder / "acme__tool-1.traj.json").write_bytes(lines({"info": info, "messages": messages}))


def test_runs_in_folders_of_one_name_stay_apart(tmp_path: Path) -> None:
    for seed, said in (("seed0", "a"), ("seed1", "b"), ("seed2", "a")):
        mini(tmp_path / seed / "run_1", said)
    pile = open_pile([tmp_path])
    names = [item.trajectory.origin.attempt for item in pile.attempts()]
    assert names == ["run_1", "seed1/run_1"]
    assert [refusal.file for refusal in pile.refusals] == [str(tmp_path / "seed2" / "run_1" / "acme__tool-1.traj.json")]
    assert any("another run's folder is called the same" in note for note in pile.notes)


def test_links_that_lead_in_a_circle_are_refused(tmp_path: Path) -> None:
    mini(tmp_path / "run", "a")
    (tmp_path / "run" / "one").symlink_to(tmp_path / "run" / "two")
    (tmp_path / "run" / "two").symlink_to(tmp_path / "run" / "one")
    pile = open_pile([tmp_path])
    assert len(list(pile.attempts())) == 1
    assert [refusal.reason for refusal in pile.refusals] == ["is no file that can be read"] * 2


def test_a_name_that_is_no_text_is_written_as_text(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"q\xff.jsonl")
    path.write_bytes(lines(row(1, label_source=None)))
    store.write(open_pile([path]).attempts(), tmp_path / "out")
    (item,) = store.read(tmp_path / "out")
    assert item.provenance == "q?.jsonl: resolved"


@pytest.mark.parametrize("name", ["", ".", "/", "../.."])
def test_a_received_file_without_a_name_is_our_input_error(name: str) -> None:
    with pytest.raises(RecordError, match="is no name of a file"):
        open_received([(name, b"{}")])
    with pytest.raises(RecordError, match="holds no files"):
        open_received([])


def test_a_received_name_leads_to_no_file_of_this_machine(tmp_path: Path) -> None:
    secret = tmp_path / "runs.jsonl"
    secret.write_bytes(lines(row(1)))
    there = open_received([(f"../../..{secret}", lines(row(2)))])
    (only,) = there.attempts()
    assert only.trajectory.task.instance_id == row(2)["instance_id"]


def test_a_folder_takes_what_its_format_owns_and_nothing_else(tmp_path: Path) -> None:
    """A harness that wraps an agent keeps the agent's own log beside its own: one attempt, not two; a note says so."""
    owns = lambda path: path.parts[0] != "runs"  # noqa: E731
    owner = SimpleNamespace(NAME="owner", GROUP=Grouping(lambda path: path.parents[1], owns=owns))
    other = SimpleNamespace(NAME="other", GROUP=ALONE)
    names = ("job/agent/a.json", "job/agent/raw/b.json", "job/runs/b.json", "c.json")
    own, inner, below, outer = (File(tmp_path / name) for name in names)
    unknown = File(tmp_path / "job" / "d.bin")
    refusals = [(file, Refusal(file=str(file.path), reason="no known format")) for file in (unknown,)]
    claimed = [_Claimed(other, inner), _Claimed(owner, own), _Claimed(other, below), _Claimed(other, outer)]
    found = _grouped(Finds([], [], [], refusals, []), claimed)
    assert [(s.reader.NAME, s.unit.path, [f.path for f in s.unit.files]) for s in found.sources] == [
        ("owner", tmp_path / "job", sorted(f.path for f in (own, inner, unknown))),
        ("other", below.path, [below.path]),
        ("other", outer.path, [outer.path]),
    ]
    assert found.refusals == []
    assert found.notes == ["1 files that read like other lie within attempts of owner: not attempts of their own"]


def test_each_fixture_is_claimed_by_one_specific_format_at_most() -> None:
    """Readers are asked in order; were two to claim one file, the order would decide silently."""
    twice = {}
    for file in _below(FIXTURES):
        claims = [reader.NAME for reader in SPECIFIC if reader.sniff(file, file.read_bytes())]
        if len(claims) > 1:
            twice[str(file.relative_to(FIXTURES))] = claims
    assert twice == {}


def test_checked_refuses_what_is_no_attempt_and_lets_our_own_mistakes_through() -> None:
    def fail(record: Record) -> Labelled:
        raise {"bad": ValueError("two\nlines"), "bug": TypeError("ours")}[record.value]

    refusal = checked(Record(Path("f"), "line 1", "bad"), fail)
    assert str(refusal) == "f: line 1: two lines"
    with pytest.raises(TypeError, match="ours"):
        checked(Record(Path("f"), "", "bug"), fail)


def test_reading_loads_nothing_heavy() -> None:
    code = (
        "import sys; from pathlib import Path; from swe_rm.sources import open_pile;"
        f"list(open_pile([Path({str(FIXTURES)!r})]).attempts());"
        "print(sorted({'torch', 'numpy', 'scipy', 'sklearn', 'transformers', 'tokenizers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


# --- real files ------------------------------------------------------------------------------------------------------


@pytest.mark.shared_data
def test_every_real_file_is_read_set_aside_or_refused_with_one_line(shared_data: Path) -> None:
    pile = open_pile([shared_data / "native"])
    items = accounted(pile, shared_data / "native")
    sources = Counter(item.trajectory.origin.source for item in items)
    assert sources == {
        "mini-swe-agent": 20,
        "swe-agent": 27,
        "openhands": 4,
        "openhands-llm-completions": 4,
        "openhands-event-stream": 2,
        "claude-code": 10,
        "SWE-Gym/OpenHands-Sampled-Trajectories": 5,
        "nebius/SWE-agent-trajectories": 5,
        "chat": 5,
        "atif": 1,
        "moatless": 9,
        "autocoderover": 3,
        "aider": 4,
        "vorflux": 2,
    }
    assert pile.refusals == []
    assert Counter(item.outcome.value for item in items) == {"resolved": 29, "unresolved": 18, "unknown": 54}


@pytest.mark.shared_data
def test_real_runs_come_out_as_the_rows_made_of_them(shared_data: Path) -> None:
    """Twin: the attempts rows hold the same runs, converted and labelled by an independent program."""
    native = list(open_pile([shared_data / "native"]).attempts())
    tasks = {item.trajectory.task.instance_id for item in native}
    rows = [
        item
        for item in open_pile([shared_data / "dev_attempts.jsonl.zst"]).attempts()
        if item.trajectory.task.instance_id in tasks
    ]
    by_log = {_log(item): item for item in rows}
    same = [(item, by_log[_log(item)]) for item in native if _log(item) in by_log]
    assert len(same) > 5
    for item, twin in same:
        assert item.trajectory.patch.strip() == twin.trajectory.patch.strip()
        assert item.trajectory.finished == twin.trajectory.finished
        assert item.trajectory.task == twin.trajectory.task
        assert item.outcome in (twin.outcome, "unknown")
    assert any(item.outcome != "unknown" for item, _ in same)


def _log(item: Labelled) -> tuple[object, ...]:
    messages = item.trajectory.messages
    return (item.trajectory.task.instance_id, *((m.role, m.content, m.tool_calls, m.demo) for m in messages))
