"""The store gives back exactly what was put in, whole or not at all."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from swe_rm import export, store
from swe_rm.errors import RecordError, SweRmError
from swe_rm.sources import shards
from swe_rm.sources.reader import Refusal, Unit
from swe_rm.sources.streams import File
from swe_rm.trajectory import Labelled, Message, Origin, Outcome, Task, ToolCall, Trajectory

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NAME = st.text("abc-_/", min_size=1, max_size=6)
MESSAGE = st.builds(
    Message,
    role=st.sampled_from(["system", "user", "assistant", "tool"]),
    content=TEXT,
    tool_calls=st.lists(st.builds(ToolCall, name=NAME, arguments=TEXT), max_size=2).map(tuple),
    reasoning=TEXT,
    demo=st.booleans(),
)


@st.composite
def labelled(draw: st.DrawFn) -> Labelled:
    """An attempt as the sources make them: never with neither patch nor turns, never finished without a patch."""
    patch = draw(st.one_of(st.just(""), TEXT.map("+{}".format)))
    turn = Message(role="assistant", content=draw(TEXT))
    messages = [*draw(st.lists(MESSAGE, max_size=3)), *([] if patch else [turn])]
    outcome = draw(st.sampled_from(Outcome))
    return Labelled(
        trajectory=Trajectory(
            task=Task(instance_id=draw(NAME), repo=draw(NAME), statement=f"The gate {draw(TEXT)}."),
            messages=tuple(messages),
            patch=patch,
            finished=bool(patch) and draw(st.booleans()),
            origin=Origin(source=draw(NAME), scaffold=draw(TEXT), policy=draw(NAME), attempt=draw(NAME)),
        ),
        outcome=outcome,
        provenance="" if outcome is Outcome.UNKNOWN else draw(TEXT.map("report {}".format)),
    )


PILES = st.lists(labelled(), min_size=1, max_size=7, unique_by=lambda item: item.trajectory.key)


def some(count: int) -> list[Labelled]:
    return [
        Labelled(
            trajectory=Trajectory(
                task=Task(instance_id=f"weir-{number // 2}", statement="The weir overflows."),
                patch=f"+{number}",
                origin=Origin(source="made", policy="miller", attempt=str(number)),
            ),
            outcome=[Outcome.RESOLVED, Outcome.UNRESOLVED, Outcome.UNKNOWN][number % 3],
        )
        for number in range(count)
    ]


@settings(deadline=None, max_examples=50)
@given(pile=PILES, shard_attempts=st.integers(1, 4))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, pile: list[Labelled], shard_attempts: int
) -> None:
    folder = tmp_path_factory.mktemp("store") / "pile"
    manifest = store.write(iter(pile), folder, shard_attempts=shard_attempts)
    assert list(store.read(folder)) == pile
    assert store.read_manifest(folder) == manifest
    assert sum(shard.n_attempts for shard in manifest.shards) == manifest.n_attempts == len(pile)
    assert all(shard.n_attempts == shard_attempts for shard in manifest.shards[:-1])
    assert manifest.n_tasks == len({item.trajectory.task.instance_id for item in pile})
    for outcome in Outcome:
        assert manifest.outcomes.get(outcome, 0) == sum(item.outcome is outcome for item in pile)


def test_a_shard_is_known_by_its_content(tmp_path: Path) -> None:
    store.write(some(3), tmp_path / "pile")
    data = (tmp_path / "pile" / "attempts-00000.jsonl.zst").read_bytes()
    text = zstandard.ZstdDecompressor().decompressobj().decompress(data)
    assert shards.sniff(Path("anything"), text[:4096])
    assert not shards.sniff(Path("attempts-00000.jsonl.zst"), json.dumps(export.attempts_row(some(1)[0])).encode())


def test_an_existing_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pile").mkdir()
    with pytest.raises(SweRmError, match="pile: exists"):
        store.write(some(1), tmp_path / "pile")


def test_no_attempt_and_no_folder(tmp_path: Path) -> None:
    with pytest.raises(SweRmError, match="there is no attempt"):
        store.write([], tmp_path / "pile")
    assert list(tmp_path.iterdir()) == []


def test_folders_above_are_made_and_a_file_among_them_is_told(tmp_path: Path) -> None:
    store.write(some(1), tmp_path / "data" / "mine" / "pile")
    assert (tmp_path / "data" / "mine" / "pile").is_dir()
    (tmp_path / "data" / "file").touch()
    with pytest.raises(SweRmError, match=r"pile: cannot be written: (File exists|Not a directory)"):
        store.write(some(1), tmp_path / "data" / "file" / "pile")
    with pytest.raises(SweRmError, match="there is no attempt"):
        store.write([], tmp_path / "deep" / "er" / "pile")
    assert not (tmp_path / "deep").exists()


def test_one_key_twice_writes_nothing(tmp_path: Path) -> None:
    twice = [*some(2), some(2)[1]]
    with pytest.raises(SweRmError, match="weir-0 / miller / 1: two attempts have this key"):
        store.write(twice, tmp_path / "pile")
    assert list(tmp_path.iterdir()) == []


def test_a_failure_on_the_way_leaves_nothing_behind(tmp_path: Path) -> None:
    def failing() -> Iterator[Labelled]:
        yield from some(3)
        raise RecordError("log.json", "", "the compressed data end early")

    with pytest.raises(RecordError, match="end early"):
        store.write(failing(), tmp_path / "pile", shard_attempts=1)
    assert list(tmp_path.iterdir()) == []


def test_a_changed_shard_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "pile"
    store.write(some(4), folder, shard_attempts=2)
    (folder / "attempts-00001.jsonl.zst").write_bytes((folder / "attempts-00000.jsonl.zst").read_bytes())
    read: list[Labelled] = []
    with pytest.raises(RecordError, match=r"attempts-00001.* sha256 differs"):
        read.extend(store.read(folder))
    (folder / "attempts-00001.jsonl.zst").unlink()
    with pytest.raises(RecordError, match=r"attempts-00001.*not in the folder"):
        list(store.read(folder))


@pytest.mark.parametrize("content", [None, "", "[]", '{"swe_rm_store": 2}'])
def test_a_folder_without_a_good_manifest_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(RecordError, match=r"manifest\.json"):
        list(store.read(tmp_path))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda row: row.update(swe_rm_record=2), "a record of version 2"),
        (lambda row: row["trajectory"].update(patch="+other"), "the row was changed"),
        (lambda row: row.update(outcome="maybe"), "outcome"),
        (lambda row: row.update(score=0.9), "score"),
        (lambda row: row.pop("trajectory"), "trajectory"),
    ],
)
def test_a_damaged_row_is_one_refusal_and_costs_no_other(tmp_path: Path, change: object, reason: str) -> None:
    rows = [shards.to_row(item) for item in some(3)]
    assert callable(change)
    change(rows[1])
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    read = list(shards.read(Unit(file, (File(file),))))
    assert [read[0], read[2]] == [some(3)[0], some(3)[2]]
    assert isinstance(read[1], Refusal)
    assert reason in str(read[1])
    with pytest.raises(RecordError, match="line 2"):
        list(shards.read_file(file))
