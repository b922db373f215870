"""Names of tasks, runs and policies, taken from what agents call their files, folders and models."""

import hashlib
import re
from collections.abc import Container, Iterable
from pathlib import Path

_PACKED = re.compile(r"\.(?:gz|zst)$", re.IGNORECASE)
_ENDINGS = re.compile(r"(?:-\d{5}-of-\d{5})?(?:\.(?:traj|pred|jsonl|ndjson|json|output|parquet|eval))+$", re.IGNORECASE)
"""Of formats, with the number of the shard before."""
_TASK = re.compile(r"(?P<owner>[A-Za-z0-9](?:(?!__)[\w.-])*)__(?P<name>(?:(?!__)[\w.-])+)-\d+")
_OWNED = re.compile(r"(?P<owner>[A-Za-z0-9](?:(?!__)[\w.-])*)__(?P<name>(?:(?!__)[\w.-])+?)(?:\.[0-9a-f]{8}\..+|-\d+)")
_NUMBERED = re.compile(r"(.*(?:-\d+|\.[0-9a-f]{8}\.(?:\w+__[a-z0-9]{8}|pr_\d+)))_(\d+)")
_IMAGE = re.compile(r"sweb\.eval\.[^.]+\.([^:]+)")
"""SWE-bench's images; an instance's double underscore is not allowed in their names and is written otherwise."""
_NEUTRAL = frozenset({
    "all_preds", "completions", "eval", "evaluation", "infer", "inference", "llm_completions", "log", "logs",
    "messages", "output", "outputs", "predictions", "preds", "report", "reports", "result", "results", "run_evaluation",
    "session", "sessions", "traj", "trajectories", "trajectory", "trajs", "transcript", "transcripts",
    "applicable_patch", "raw_patch_but_unmatched", "raw_patch_but_unparsed", "matched_but_empty_diff",
    "matched_but_empty_origin", "no_patch",
})  # fmt: skip
"""Names of files and folders that say what lies in them, not whose it is."""


def unpacked(name: str) -> str:
    """A file's name without the ending of its compression."""
    return _PACKED.sub("", name)


def stem(path: Path) -> str:
    """The file's name without compression and format endings."""
    name = unpacked(path.name)
    return _ENDINGS.sub("", name) or name


def is_task(name: str) -> bool:
    """Whether a name reads like a SWE-bench instance id (`owner__name-123`, one double underscore).

    So do names of models and runs, such as `openai__gpt-5`: who knows the task compares with that.
    """
    return _TASK.fullmatch(name) is not None


def task_in(path: Path) -> str:
    """The task a path speaks of: the nearest name in it, the file's own first, that is a task's; else ""."""
    return next((name for name in (stem(path), *(folder.name for folder in path.parents)) if is_task(name)), "")


def is_neutral(name: str) -> bool:
    """Whether the name of a file or folder says what lies in it, whoever's run that is."""
    return name.lower() in _NEUTRAL


def repo_of(instance_id: str) -> str | None:
    """`owner/name` of ids like `owner__name-123` and `owner__name.1a2b3c4d.kind`, else None."""
    found = _OWNED.fullmatch(instance_id)
    return f"{found['owner']}/{found['name']}" if found else None


def repo_name(text: str) -> str:
    """`owner/name`, in lower case, of any way to name a repository: a URL, `git@host:owner/name.git`, `owner__name`."""
    plain = text.strip().lower().rstrip("/").removesuffix(".git").replace("__", "/")
    return "/".join([part for part in re.split(r"[/:]", plain) if part][-2:])


def split_number(instance_id: str) -> tuple[str, str | None]:
    """An id with a try number hung on (`owner__name-123_4`) apart: the task's id and the number, if there is one."""
    found = _NUMBERED.fullmatch(instance_id)
    return (found[1], found[2]) if found else (instance_id, None)


TASK_HASH = 10
"""Hex characters of the issue's hash in the made-up id of a task that a file does not name."""


def task_of_issue(statement: str) -> str:
    """An id made of the issue, for attempts whose file names no task: attempts at one issue meet.

    Raises ValueError where there is no issue either.
    """
    if not statement.strip():
        raise ValueError("names no task (instance_id) and shows no issue")
    return f"task-{hashlib.sha256(statement.encode()).hexdigest()[:TASK_HASH]}"


def task_of_image(image: str) -> str:
    """The id of the task a container image was built for: a SWE-bench instance's, else the image without its owner."""
    name = image.rsplit("/", 1)[-1]
    if found := _IMAGE.search(name):
        return found[1].replace("_1776_", "__").replace("_s_", "__")
    return name


def run_folder(path: Path, instance_id: str = "", runs: Container[Path] = ()) -> Path:
    """The folder of the run a file (or an attempt's folder) belongs to.

    The nearest folder above it whose name is not neutral, not the file's own and not the task's: that is `instance_id`
    or the nearest name that reads like one. `runs` are folders known to be no task's.
    """
    of_no_run = {"", stem(path), instance_id if is_task(instance_id) else task_in(path)}
    for folder in path.absolute().parents:
        if folder in runs or not (folder.name in of_no_run or is_neutral(folder.name)):
            return folder
    return path.absolute().parent


def named_like_tasks(paths: Iterable[Path]) -> frozenset[Path]:
    """The folders above these files that are called like a task (`openai__gpt-5`), though they hold those of another.

    What lies in one beside its tasks, such as the run's predictions, does not show by its own path that it is a run's.
    """
    found: set[Path] = set()
    for path in map(Path.absolute, paths):
        task = task_in(path)
        found.update(folder for folder in path.parents if folder.name != task and is_task(folder.name))
    return frozenset(found)


def run_name(path: Path, instance_id: str = "") -> str:
    """The name of the run: its folder's, and the file's own behind it where that says more."""
    folder = run_folder(path, instance_id).name or "run"
    own = stem(path)
    is_own_task = own == instance_id or (is_task(own) and not is_task(instance_id))
    says_more = not is_own_task and own != folder and not is_neutral(own) and not own.startswith("output")
    return printable(f"{folder}/{own}" if says_more else folder)


def model_name(model: str) -> str:
    """A model's name without its provider: `openai/gpt-x` and `gpt-x` are one model."""
    return model.strip().rsplit("/", 1)[-1]


def policy_name(scaffold: str, model: str, path: Path, instance_id: str) -> str:
    """scaffold+model; the name of the run's folder stands in for a model the file does not name."""
    return f"{scaffold}+{model_name(model) or printable(run_folder(path, instance_id).name or 'run')}"


_CUT_OFF = re.compile(
    r"exit_(?!command\b)|early_exit|limit|exceed|time_?d?_?out|error|exception|budget|abort|interrupt|kill|cancel"
    r"|incomplete|unfinished|not_finished|stuck|max_?(?:iter|turn|step|token)|turn\.failed|length"
)


def cut_off(exit_status: str) -> bool:
    """Whether an exit status says the agent was stopped before its own end.

    `submitted (exit_cost)` counts: the scaffold handed in what was there when the money ran out.
    """
    return _CUT_OFF.search(exit_status.lower().replace(" ", "_").replace("-", "_")) is not None


def printable(name: str) -> str:
    """A name from a file system, with what is no text in it replaced."""
    return name.encode("utf-8", "replace").decode()
