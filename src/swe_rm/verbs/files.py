"""What a verb writes, and what it will not overwrite."""

import os
import re
import sys
from pathlib import Path
from typing import Any

from swe_rm.errors import SweRmError
from swe_rm.verbs.options import STDOUT


def check_writable(*files: Path | None) -> None:
    """Find out before the work, not after it, that a file cannot be written."""
    for file in filter(None, files):
        if file == STDOUT:
            raise SweRmError("-: standard output is for --json alone")
        if file.suffix in _PACKED:
            raise SweRmError(f"{file}: is written as it is, not compressed: give it another ending")
        if file.is_dir() or not file.absolute().parent.is_dir():
            raise SweRmError(f"{file}: cannot be written: {'is a folder' if file.is_dir() else 'no such folder'}")


def check_document(file: Path | None) -> None:
    """Find out that a --json file can be written and is no file of attempts the user meant to read."""
    if file != STDOUT:
        check_writable(file)
        _ours(file, rb'\{\s*"(?:tasks|verifiers?|labels|n_attempts|arms|digest)"', "JSON")


def check_page(file: Path | None, json: Path | None) -> None:
    """The same of an --html file, which is another than the --json file."""
    from swe_rm.page import HEAD

    if file and file == json:
        raise SweRmError(f"{file}: is given to --html and to --json")
    check_writable(file)
    _ours(file, re.escape(HEAD.encode()), "page")


def check_new(path: Path) -> None:
    """Find out before the work that a file or folder is there already, or cannot be made."""
    if path.exists():
        raise SweRmError(f"{path}: exists; give another --out")
    parent = path.parent
    if path.is_symlink() or not parent.is_dir() or not os.access(parent, os.W_OK):
        raise SweRmError(f"{path}: cannot be made; is {parent} a folder one can write to?")


def write_json(file: Path | None, document: Any) -> None:
    """Write a document where `--json` said; nothing where it was not given."""
    import orjson

    if file is None:
        return
    data = orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS) + b"\n"
    if file == STDOUT:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    else:
        file.write_bytes(data)


def _ours(file: Path | None, head: bytes, what: str) -> None:
    """Raise SweRmError for a file that is there, is not empty, and does not begin as ours do."""
    if not file or not file.exists():
        return
    with file.open("rb") as stream:
        start = stream.read(_REPORT_HEAD)
    if start and not re.match(head, start):
        raise SweRmError(f"{file}: exists and is no {what} that swe-rm wrote: not overwritten")


_PACKED = frozenset({".gz", ".zst"})
_REPORT_HEAD = 128
"""Bytes that tell a document of ours: it begins with one of a few keys, or as every page does."""
