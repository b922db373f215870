"""Bodies: every format a file can be in, our two envelopes, text; what is not read is said, and nothing is opened."""

import gzip
import io
import json
import zipfile
from pathlib import Path

import pytest
import zstandard

from swe_rm.errors import RecordError
from swe_rm.serve.failures import RequestError
from swe_rm.serve.received import read_body
from swe_rm.serve.settings import Settings
from swe_rm.sources import open_pile
from swe_rm.trajectory import Labelled
from tests.serving import jsonl, row

FIXTURES = Path(__file__).parent / "fixtures"
SMALL = Settings(max_body=4096, max_tokens=1000)


def refused(body: bytes, name: str = "received", settings: Settings = SMALL) -> RequestError:
    with pytest.raises(RequestError) as error:
        read_body(body, name, settings)
    assert "\n" not in str(error.value)
    return error.value


def attempts_on_disk(path: Path) -> list[Labelled]:
    try:
        return list(open_pile([path]).attempts())
    except RecordError:
        return []


BESIDE = "tinkers__lantern-13.traj"
"""Of several tries, of which the prediction beside it, which is not sent, says the one that was handed in."""
FILES = [
    path for path in sorted(FIXTURES.rglob("*")) if path.is_file() and path.name != BESIDE and attempts_on_disk(path)
]


def test_there_are_fixtures_of_many_formats() -> None:
    assert len({path.relative_to(FIXTURES).parts[0] for path in FILES}) >= 10


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(FIXTURES)))
def test_a_file_of_any_format_is_read_as_it_is_from_disk(path: Path) -> None:
    wanted = [item.trajectory.content_hash for item in open_pile([path]).attempts()]
    found = read_body(path.read_bytes(), str(path.relative_to(FIXTURES)), Settings())
    assert [one.trajectory.content_hash for one in found.attempts] == wanted
    assert not any(one.text_only for one in found.attempts)


def test_each_item_of_attempts_is_read_by_itself() -> None:
    messages = {"messages": row()["messages"], "instance_id": "lamp-1"}
    body = json.dumps({"attempts": [row(1), row(1), messages, "The lamp hums.\n\nI mend it.", 7, {"x": 1}]}).encode()
    found = read_body(body, "received", Settings())
    assert [one.text_only for one in found.attempts] == [False, False, False, True]
    assert [one.trajectory.task.instance_id for one in found.attempts[:3]] == ["tinkers__lantern-1"] * 2 + ["lamp-1"]
    assert [one.file for one in found.refusals] == ["attempt 5", "attempt 6"]


def test_files_are_read_together_as_a_run_folder_is(tmp_path: Path) -> None:
    folder = FIXTURES / "swe_agent"
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    texts = [(str(path.relative_to(folder.parent)), path.read_text()) for path in paths]
    body = json.dumps({"files": [{"name": name, "content": text} for name, text in texts]}).encode()
    wanted = sorted(item.trajectory.content_hash for item in open_pile([folder]).attempts())
    assert sorted(one.trajectory.content_hash for one in read_body(body, "", Settings()).attempts) == wanted


def test_records_that_are_none_are_refused_and_the_others_read() -> None:
    found = read_body(jsonl(row(1), {"lamp": 1}, row(2)), "run.jsonl", Settings())
    assert len(found.attempts) == 2
    assert [one.record for one in found.refusals] == ["line 2"]


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.ZstdCompressor().compress], ids=["gzip", "zstd"])
def test_a_body_that_becomes_too_long_is_refused_before_it_is_read(pack: object) -> None:
    assert len(read_body(pack(jsonl(row())), "a.jsonl", SMALL).attempts) == 1  # type: ignore[operator]
    assert refused(pack(b" " * 10_000_000)).type == "too_large"  # type: ignore[operator]


def test_a_zip_that_becomes_too_long_is_refused_before_it_is_read() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("samples/1.json", b" " * 10_000_000)
    assert refused(packed.getvalue(), "log.eval").type == "too_large"


def test_an_attempt_of_too_many_tokens_is_refused_whatever_it_is_in() -> None:
    long = row(said="hum " * 2000)
    wide = SMALL.model_copy(update={"max_body": 1 << 20})
    for body in (jsonl(long), json.dumps({"attempts": [long]}).encode(), b"It hums.\n\n" + b"hum " * 2000):
        error = refused(body, settings=wide)
        assert (error.type, "tokens" in str(error)) == ("too_large", True)


@pytest.mark.parametrize(
    "body",
    [
        b"", b" \n ", b"{", b"[", b"{}", b"[]", b"null", b"7", b'"', b"\xff\xfe\xfa", b"\x1f\x8b", b"PK\x03\x04",
        b"PAR1", b"\x28\xb5\x2f\xfd", b"\0" * 100, b'{"attempts": []}', b'{"attempts": [1, null]}', b'{"attempts": [',
        b'{"files": []}', b'{"files": [{}]}', b'{"files": [{"name": "", "content": "x"}]}', b"[" * 2000,
        b'{"messages": []}', b'{"messages": [{"role": "cook", "content": "x"}]}', b'{"instance_id": NaN}',
    ],
)  # fmt: skip
def test_what_is_no_attempt_is_refused_in_one_line(body: bytes) -> None:
    assert refused(body).type in ("unreadable", "bad_request")


def test_no_file_of_this_machine_is_opened_whatever_the_name(tmp_path: Path) -> None:
    secret = tmp_path / "run.jsonl"
    secret.write_bytes(jsonl(row(said="the secret")))
    for name in (str(secret), f"../../..{secret}", "/etc/passwd"):
        found = read_body(
            json.dumps({"files": [{"name": name, "content": json.dumps(row())}]}).encode(), "", Settings()
        )
        assert [one.trajectory.messages[-1].content for one in found.attempts] == ["I trim the wick."]
        assert len(read_body(jsonl(row()), name, Settings()).attempts) == 1
    assert refused(str(secret).encode(), str(secret)).type == "unreadable"


@pytest.mark.shared_data
def test_real_files_sent_alone_are_read_as_they_are_from_disk(shared_data: Path) -> None:
    files = [p for p in sorted((shared_data / "native").rglob("*")) if p.is_file() and p.stat().st_size < 1_000_000]
    read = 0
    for path in files[:: max(1, len(files) // 60)]:
        wanted = sorted(item.trajectory.content_hash for item in attempts_on_disk(path))
        if wanted:
            found = read_body(path.read_bytes(), str(path.relative_to(shared_data)), Settings())
            assert sorted(one.trajectory.content_hash for one in found.attempts) == wanted, path
            read += 1
    assert read > 10
