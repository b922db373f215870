"""What `swe-rm doctor` looks at: versions, extras, the machine, and the verifier that is shipped."""

import importlib.metadata
import importlib.util
import os
import platform
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import swe_rm
from swe_rm.errors import SweRmError
from swe_rm.playground import probes
from swe_rm.verifiers import SHIPPED, load_verifier

if TYPE_CHECKING:
    from rich.table import Table

_EXTRAS = ("model", "train", "eval", "data", "agents", "harness", "remote", "serve", "rl", "ray")


def table() -> "Table":
    """Every finding, one a row."""
    from rich.table import Table
    from rich.text import Text

    found = Table(title=f"swe-rm {swe_rm.__version__}", title_justify="left", show_header=False)
    for name, value in findings():
        found.add_row(Text(name), Text(value))
    return found


def findings() -> Iterator[tuple[str, str]]:
    """(what, finding); what is missing says what to install."""
    yield "python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    yield "machine", f"{_usable_processors()} processors, {_memory_gib():.0f} GiB memory"
    yield "installed", ", ".join(_versions(""))
    for extra in _EXTRAS:
        missing = [line for line in _versions(extra) if line.endswith(" missing")]
        hint = f"; pip install 'swe-rm[{extra}]'" if missing else ""
        yield f"extra {extra}", ", ".join(_versions(extra)) + hint
    if importlib.util.find_spec("torch"):
        yield from _torch()
    yield "playground", _limits()
    yield from _shipped()


def _limits() -> str:
    """Which limits of the playground's sandbox hold on this machine: each one is tried, which takes some seconds."""
    try:
        found = dict(probes.held())
    except SweRmError as error:
        return f"no attempt can be run: {error}"
    missing = [limit for limit, holds in found.items() if not holds]
    held = f"limits that hold: {', '.join(limit for limit in found if limit not in missing) or 'none'}"
    return f"{held}; that do not: {', '.join(missing)}" if missing else held


def _usable_processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _versions(extra: str) -> list[str]:
    """`name version` of each requirement of an extra ("" for the base install), as the package's metadata has them."""
    wanted = []
    for requirement in importlib.metadata.requires("swe-rm") or []:
        name, _, marker = requirement.partition(";")
        of = re.search(r"extra\s*==\s*['\"]([\w-]+)['\"]", marker)
        if (of.group(1) if of else "") == extra:
            wanted.append(re.split(r"[\[<>=!~ ]", name.strip(), maxsplit=1)[0])
    return [f"{name} {_version(name)}" for name in wanted if name != "swe-rm"]


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def _torch() -> Iterator[tuple[str, str]]:
    import torch

    yield "threads", f"{torch.get_num_threads()} of torch"
    names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    yield "device", ", ".join(names) or "cpu"


def _shipped() -> Iterator[tuple[str, str]]:
    """The default verifier, and the cards that say what it was trained and measured on."""
    try:
        yield "default verifier", load_verifier("default").name
    except SweRmError as error:
        yield "default verifier", str(error)
    for card in sorted(SHIPPED.rglob("*.md")):
        yield "card", str(card)
