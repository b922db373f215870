"""Collecting: a scripted model, really running its commands; kills, limits, failures, and what is read back."""

import importlib.util
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_rm.__main__ import main
from swe_rm.collect import GIVE_UP, Collected, collect
from swe_rm.collect.assignment import AttemptError, CollectConfig, CollectTask, EndpointError, Job, read_assignments
from swe_rm.collect.commands import Commands
from swe_rm.collect.run_folders import Ledger, Spent
from swe_rm.collect.scripted_model import Reply, ScriptedModel
from swe_rm.collect.scripted_model import main as serve_scripts
from swe_rm.collect.secret import MASK, Secret
from swe_rm.errors import SweRmError
from swe_rm.sources import open_pile
from swe_rm.trajectory import Labelled, Task

if importlib.util.find_spec("minisweagent") is None:
    pytest.skip("the extra agents is not installed", allow_module_level=True)

SUBMIT = "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT && cat patch.txt"
LAMP = [
    "python3 -c 'import lamp; print(lamp.lit(True))'",
    "sed -i 's/not wick/wick/' lamp.py && python3 -c 'import lamp; assert lamp.lit(True)'",
    "git diff -- lamp.py > patch.txt",
    SUBMIT,
]
KETTLE = ["sed -i 's/80/100/' kettle.py && git diff -- kettle.py > patch.txt", SUBMIT]
SCRIPTS: dict[str, Sequence[str | Reply]] = {"the lamp stays dark": LAMP, "the kettle is lukewarm": KETTLE}
LAMP_ID, KETTLE_ID = "tinkers__lantern-12", "tinkers__kettle-3"
LIT = "-    return not wick\n+    return wick\n"


LINUX = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a new session gets away, as the docs say")


@pytest.fixture(autouse=True)
def _own_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """mini-swe-agent reads the user's configuration; scratch folders lie where the test can look.

    Every test is also one of this: no process is left of what it started. A failing one leaves none either.
    """
    scratch = tmp_path / "scratch"
    monkeypatch.setenv("MSWEA_GLOBAL_CONFIG_DIR", str(tmp_path / "mini"))
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    monkeypatch.setenv("TMPDIR", str(scratch))
    yield
    end = time.monotonic() + 5
    while (left := running(str(scratch))) and time.monotonic() < end:
        time.sleep(0.05)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left, "processes are left"


def running(variable: str) -> list[int]:
    """The processes with such text among the variables they began with, this one excepted; Linux only."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if int(folder.name) != os.getpid() and variable.encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def endless(beacon: Path) -> str:
    """A command that writes a file again and again, though not for ever: a failing test must not leave it behind."""
    return f"for n in $(seq 600); do date +%N > {beacon}; sleep 0.05; done"


def git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@t", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    """Two tasks: a repository whose fix is a later commit, and a folder without git."""
    lamp = tmp_path / "repos" / "lamp"
    lamp.mkdir(parents=True)
    git(lamp, "init", "--quiet")
    (lamp / "lamp.py").write_text("def lit(wick):\n    return not wick\n")
    git(lamp, "add", ".")
    git(lamp, "commit", "--quiet", "-m", "a lamp")
    base = git(lamp, "rev-parse", "HEAD")
    (lamp / "lamp.py").write_text("def lit(wick):\n    return bool(wick)  # the fix\n")
    git(lamp, "commit", "--quiet", "--all", "-m", "the fix")
    kettle = tmp_path / "repos" / "kettle"
    kettle.mkdir()
    (kettle / "kettle.py").write_text("BOILS = 80\n")
    rows = [
        {"instance_id": LAMP_ID, "problem_statement": "Lit, the lamp stays dark.", "base_commit": base[:12],
         "repo_path": "repos/lamp", "test_patch": "hidden test", "patch": "gold patch"},
        {"instance_id": KETTLE_ID, "problem_statement": "Help, the kettle is lukewarm.", "repo_path": "repos/kettle"},
    ]  # fmt: skip
    file = tmp_path / "tasks.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def settings(server: ScriptedModel | None, **changed: Any) -> CollectConfig:
    url = server.base_url if server else "http://127.0.0.1:9/v1"
    plain = {"model": "acme/Scripted-7B", "environment": "local", "base_url": url, "retries": 0, "workers": 2}
    return CollectConfig.load(None, plain | changed)


def run(tasks: Path, out: Path, server: ScriptedModel | None, *, only: Sequence[str] = (), **changed: Any) -> Collected:
    config = settings(server, **changed)
    return collect(config, read_assignments(tasks, config, only), out)


def read_back(out: Path) -> dict[tuple[str, str], Labelled]:
    pile = open_pile([out])
    found = {(a.trajectory.task.instance_id, a.trajectory.origin.attempt): a for a in pile.attempts()}
    assert not pile.refusals
    return found


def trajectories(out: Path) -> list[Path]:
    return sorted(out.glob("*/*/*.traj.json"))


# --- the whole way ---------------------------------------------------------------------------------------------------


def test_attempts_are_made_by_really_running_commands_and_are_read_back(tasks: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs"
    with ScriptedModel(SCRIPTS) as model:
        done = run(tasks, out, model, attempts=2)
        assert (done.wanted, done.there, done.made, done.failed, done.left) == (4, 0, 4, (), 0)
        assert done.spent.calls == len(model.requests) == 2 * (len(LAMP) + len(KETTLE))
    found = read_back(out)
    names = [f"Scripted-7B_{number}" for number in (1, 2)]
    assert sorted(found) == sorted((task, name) for task in (LAMP_ID, KETTLE_ID) for name in names)
    for (task, _), item in found.items():
        trajectory = item.trajectory
        assert trajectory.origin.policy == "mini-SWE-agent+Scripted-7B"
        assert (trajectory.exit_status, trajectory.finished) == ("Submitted", True)
        assert (LIT if task == LAMP_ID else "+BOILS = 100\n") in trajectory.patch
    log = found[LAMP_ID, names[0]].trajectory.messages
    assert "the lamp stays dark" in log[1].content
    assert "False" in log[3].content, "the command ran on the code before the fix"


def test_a_run_folder_holds_predictions_for_the_swe_bench_harness(tasks: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs"
    with ScriptedModel(SCRIPTS) as model:
        run(tasks, out, model)
    predictions = json.loads((out / "Scripted-7B_1" / "preds.json").read_text())
    assert predictions.keys() == {LAMP_ID, KETTLE_ID}
    assert predictions[LAMP_ID]["model_name_or_path"] == "Scripted-7B_1"
    assert LIT in predictions[LAMP_ID]["model_patch"]


def test_the_command_line_says_what_it_made(tasks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "runs"
    with ScriptedModel(SCRIPTS) as model:
        words = ["collect", str(tasks), "--out", str(out), "--model", "scripted", "--base-url", model.base_url]
        assert main([*words, "--environment", "local", "--only", KETTLE_ID]) == 0
    assert f"{out}: 1 attempts made, 0 were there already; 2 calls, " in capsys.readouterr().err
    assert main(["score", str(out), "--verifier", "shortest", "--out", str(tmp_path / "v.jsonl")]) == 0


def test_nothing_of_the_row_but_statement_and_code_reaches_the_agent(tasks: Path, tmp_path: Path) -> None:
    look = ["git log --all --format=%s; git status --short; git remote", "grep -r fix . --include=* ; true"]
    with ScriptedModel({"the lamp stays dark": look}) as model:
        run(tasks, tmp_path / "runs", model, only=[LAMP_ID], step_limit=2)
        sent = json.dumps(model.requests)
    assert "hidden test" not in sent
    assert "gold patch" not in sent
    [file] = trajectories(tmp_path / "runs")
    observed = [m["content"] for m in json.loads(file.read_text())["messages"] if m["role"] == "tool"]
    assert "a lamp" in observed[0]
    assert "the fix" not in "".join(observed), "the later commit is not in the checkout"
    assert str(tasks.parent / "repos") not in "".join(observed)


def test_keys_are_sent_to_the_endpoint_and_are_nowhere_else(
    tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAMP_KEY", "sk-very-secret")
    monkeypatch.setenv("OTHER_TOKEN", "also-secret")
    monkeypatch.setenv("HARMLESS", "seen")
    with ScriptedModel({"the kettle": ["env", SUBMIT]}) as model:
        run(
            tasks,
            tmp_path / "runs",
            model,
            only=[KETTLE_ID],
            api_key_env="LAMP_KEY",
            pass_env=["HARMLESS"],
            step_limit=1,
        )
        assert set(model.authorizations) == {"Bearer sk-very-secret"}
    written = "".join(f.read_text() for f in (tmp_path / "runs").rglob("*") if f.is_file())
    assert "HARMLESS=seen" in written
    assert "secret" not in written


KEY = "sk-very-secret-0123456789"


def test_a_key_that_a_command_finds_is_masked_in_what_is_written(
    tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAMP_KEY", KEY)
    (tasks.parent / "repos" / "kettle" / ".env").write_text(f"LAMP_KEY={KEY}\n")
    found = ["cat .env", f"echo {KEY} > kettle.py; git diff > patch.txt; echo '\\'{KEY}", SUBMIT]
    with ScriptedModel({"the kettle": found}) as model:
        done = run(tasks, tmp_path / "runs", model, only=[KETTLE_ID], api_key_env="LAMP_KEY")
    assert done.made == 1
    assert not [f for f in (tmp_path / "runs").rglob("*") if f.is_file() and KEY in f.read_text()]
    [item] = read_back(tmp_path / "runs").values()
    assert f"LAMP_KEY={MASK}\n" in item.trajectory.messages[3].content
    assert f"+{MASK}\n" in item.trajectory.patch


@pytest.mark.parametrize("status", [400, 401, 500])
def test_a_key_that_the_endpoint_echoes_is_masked_in_the_line(
    tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setenv("LAMP_KEY", KEY)
    with ScriptedModel({"the kettle": [Reply(status=status, content=f"what is Bearer {KEY}?")]}) as model:
        done = run(tasks, tmp_path / "runs", model, only=[KETTLE_ID], api_key_env="LAMP_KEY")
    [line] = done.failed
    assert f"what is Bearer {MASK}?" in line
    assert KEY not in line


def test_a_stand_in_for_a_key_is_not_masked() -> None:
    assert Secret("LAMP_KEY", "EMPTY").masked("an EMPTY lamp") == "an EMPTY lamp"


@LINUX
def test_commands_do_not_find_the_key_in_processes_of_ours(
    tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = ["cat /proc/[0-9]*/environ 2> /dev/null | tr '\\0' '\\n' | grep -a '^LAMP_[KO]'; env"]
    monkeypatch.setenv("LAMP_KEY", KEY)
    monkeypatch.setenv("LAMP_OTHER", "in sight")
    with ScriptedModel({"the kettle": look}) as model:
        more = ["--api-key-env", "LAMP_KEY", "--only", KETTLE_ID, "--step-limit", "1"]
        with started(tasks, tmp_path / "runs", model, *more) as process:
            assert process.wait() == 0
        assert set(model.authorizations) == {f"Bearer {KEY}"}
    for file in trajectories(tmp_path / "runs"):
        assert "LAMP_OTHER=in sight" in file.read_text(), "our process was looked at"
        assert f"LAMP_KEY={'x' * len(KEY)}" in file.read_text()
        assert MASK not in file.read_text(), "it is hidden and not only masked"


def test_hiding_the_key_leaves_it_to_this_process_and_its_children(tmp_path: Path) -> None:
    program = """if True:
        import os, subprocess
        from swe_rm.collect.secret import Secret
        for _ in range(2):
            Secret("LAMP_KEY", os.environ["LAMP_KEY"]).hide()
        print(os.environ["LAMP_KEY"], os.environ["LAMP_KEY_2"], subprocess.check_output(["printenv", "LAMP_KEY"]))
    """
    variables = {**os.environ, "LAMP_KEY_2": "other", "LAMP_KEY": KEY}
    done = subprocess.run([sys.executable, "-c", program], env=variables, capture_output=True, text=True, check=True)
    assert done.stdout == f"{KEY} other b'{KEY}\\n'\n"


def test_commands_may_not_be_given_the_key(tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMP_KEY", "sk-very-secret")
    with pytest.raises(SweRmError, match="holds the key"):
        run(tasks, tmp_path / "runs", None, api_key_env="LAMP_KEY", pass_env=["LAMP_KEY"])
    with pytest.raises(SweRmError, match="ABSENT_KEY is not set"):
        run(tasks, tmp_path / "runs", None, api_key_env="ABSENT_KEY")
    assert not (tmp_path / "runs").exists(), "what is wrong is found before anything is written"


def test_endpoints_without_tool_calls_are_read_from_the_text(tasks: Path, tmp_path: Path) -> None:
    with ScriptedModel(SCRIPTS) as model:
        run(tasks, tmp_path / "runs", model, only=[KETTLE_ID], tool_calls=False, temperature=0.5)
        assert not any("tools" in request for request in model.requests)
        assert all(request["temperature"] == 0.5 for request in model.requests)
    [item] = read_back(tmp_path / "runs").values()
    assert "+BOILS = 100\n" in item.trajectory.patch


# --- the agent's own failures are attempts ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "changed", "exit_status"),
    [
        (KETTLE[:1], {"step_limit": 1}, "LimitsExceeded"),
        ([KETTLE[0], *[Reply(content="What now?")] * 3], {}, "RepeatedFormatError"),
        ([KETTLE[0], "sleep 2", SUBMIT], {"time_limit": 1}, "TimeExceeded"),
        (
            [KETTLE[0], Reply(status=400, content="This model's maximum context length is 4096 tokens. Please reduce")],
            {},
            "ContextWindowExceededError",
        ),
        (
            [KETTLE[0], Reply(status=400, content="the request exceeds the available context size, try increasing it")],
            {},
            "ContextWindowExceededError",
        ),
    ],
)
def test_an_attempt_that_ends_without_submitting_has_no_patch(
    tasks: Path, tmp_path: Path, script: Sequence[str | Reply], changed: Mapping[str, Any], exit_status: str
) -> None:
    with ScriptedModel({"the kettle": script}) as model:
        done = run(tasks, tmp_path / "runs", model, only=[KETTLE_ID], **changed)
    assert (done.made, done.failed) == (1, ())
    [item] = read_back(tmp_path / "runs").values()
    assert (item.trajectory.exit_status, item.trajectory.finished, item.trajectory.patch) == (exit_status, False, "")
    predictions = json.loads((tmp_path / "runs" / "Scripted-7B_1" / "preds.json").read_text())
    assert predictions[KETTLE_ID]["model_patch"] == ""


def test_what_a_command_leaves_running_ends_with_its_attempt(tasks: Path, tmp_path: Path) -> None:
    beacon = tmp_path / "beacon"
    script = [f"({endless(beacon)}) > /dev/null 2>&1 &", "sleep 0.5", *KETTLE]
    with ScriptedModel({"the kettle": script}) as model:
        run(tasks, tmp_path / "runs", model, only=[KETTLE_ID])
    before = beacon.read_text()
    time.sleep(0.3)
    assert beacon.read_text() == before
    assert not list((tmp_path / "scratch").iterdir()), "scratch folders are gone"


@LINUX
def test_what_moves_to_a_session_of_its_own_neither_holds_up_an_attempt_nor_outlives_it(
    tasks: Path, tmp_path: Path
) -> None:
    away = ["setsid sleep 61", "setsid env -i sleep 62", "nohup sleep 63", "sh -c 'setsid sleep 64 & sleep 65'"]
    leaving = " ".join(f"({command} &);" for command in away)
    script = [f"echo $$; {leaving} sleep 66 & echo started", "ps -eo pid,ppid,args | grep 'sleep 6[1-6]'", *KETTLE]
    with ScriptedModel({"the kettle": script}) as model:
        run(tasks, tmp_path / "runs", model, only=[KETTLE_ID], command_timeout=30)
    [file] = trajectories(tmp_path / "runs")
    first, second = [m["content"] for m in json.loads(file.read_text())["messages"] if m["role"] == "tool"][:2]
    assert "<returncode>0</returncode>" in first
    assert "started" in first
    here = {int(line.split()[0]): line.split()[-1] for line in second.splitlines() if "sleep 6" in line}
    assert {"61", "62", "63", "64", "65", "66"} <= set(here.values()), "they run as long as the attempt"
    assert not [pid for pid in here if Path(f"/proc/{pid}").exists()]


def test_a_command_that_takes_too_long_is_told_in_its_own_words(tasks: Path, tmp_path: Path) -> None:
    with ScriptedModel({"the kettle": ["echo begun; (sleep 61 &) ; sleep 62", *KETTLE]}) as model:
        run(tasks, tmp_path / "runs", model, only=[KETTLE_ID], command_timeout=1)
    [file] = trajectories(tmp_path / "runs")
    told = "Command 'echo begun; (sleep 61 &) ; sleep 62' timed out after 1 seconds"
    [message] = [m for m in json.loads(file.read_text())["messages"] if "timed out" in str(m.get("content"))]
    assert f"<exception>An error occurred while executing the command: {told}</exception>" in message["content"]
    assert message["extra"]["exception"] == told
    assert message["extra"]["raw_output"] == "begun\n"
    for ours in ("swe-rm-collect", "env -i", "reaper"):
        assert ours not in json.dumps(message)


def test_a_command_cannot_have_a_stranger_killed(tasks: Path, tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as stranger:
        note = f"for f in $(find .. -maxdepth 1 -type f) ../groups; do echo {stranger.pid} >> $f; done"
        with ScriptedModel({"the kettle": [note, *KETTLE]}) as model:
            run(tasks, tmp_path / "runs", model, only=[KETTLE_ID])
        assert stranger.poll() is None
        stranger.kill()


# --- one command at a time -------------------------------------------------------------------------------------------


@pytest.fixture
def commands(tmp_path: Path) -> Iterator[Commands]:
    made = Commands(tmp_path, {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "scratch")}, 20)
    yield made
    made.kill()


@pytest.mark.parametrize(
    ("command", "output", "code"),
    [
        ("echo a; echo b >&2; echo c > /dev/stderr", "a\nb\nc\n", 0),
        ("exit 7", "", 7),
        ("kill -9 $$", "", -9),
        ("cat", "", 0),
        ("yes | head -1", "y\n", 0),
        ("nothing-of-that-name", "bash: line 1: nothing-of-that-name: command not found\n", 127),
        ("printf 'a\\r\\nb\\377'", "a\nb\ufffd", 0),
        ("echo late > >(sleep 0.2; cat)", "late\n", 0),
        ("exec > /dev/null; sleep 0.1; exit 3", "", 3),
        ("echo \0", "bash: embedded null byte\n", 126),
        ("true " + "x" * 200_000, "bash: [Errno 7] Argument list too long\n", 126),
    ],
)
def test_what_a_command_writes_and_how_it_ends(commands: Commands, command: str, output: str, code: int) -> None:
    assert commands.run(command) == {"output": output, "returncode": code, "exception_info": ""}


@pytest.mark.parametrize(
    "command", ["echo a; echo b >&2; exit 3", "printf '\\303'; pwd", "kill -9 $$", "printf 'a\\rb'"]
)
def test_observations_are_those_of_mini_swe_agent(commands: Commands, tmp_path: Path, command: str) -> None:
    from minisweagent.environments.local import LocalEnvironment

    assert commands.run(command) == LocalEnvironment(cwd=str(tmp_path), timeout=20).execute({"command": command})


def test_of_endless_output_the_middle_is_left_out(commands: Commands) -> None:
    observation = commands.run("echo first; head -c 40000000 /dev/zero | tr '\\0' x; echo last")
    assert observation["output"].startswith("first\nxxx")
    assert observation["output"].endswith("xxxlast\n")
    [gone] = re.findall(r"\n\[([0-9,]+) bytes left out\]\n", observation["output"])
    assert len(observation["output"]) == 40_000_011 - int(gone.replace(",", "")) + len(gone) + len(
        "\n[ bytes left out]\n"
    )
    assert len(observation["output"]) < 17 * 2**20


def test_a_server_left_running_can_go_on_writing(commands: Commands, tmp_path: Path) -> None:
    commands.run(f"(for n in $(seq 600); do echo $n || break; echo $n > {tmp_path}/n; sleep 0.05; done) & echo started")
    before = (tmp_path / "n").read_text()
    until(lambda: (tmp_path / "n").read_text() not in ("", before))


def test_a_folder_that_a_command_removed_is_the_next_ones_observation(commands: Commands, tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    inner = Commands(tmp_path / "gone", {"PATH": os.environ["PATH"]}, 20)
    assert inner.run("rmdir $PWD")["returncode"] == 0
    observation = inner.run("echo x")
    inner.kill()
    assert observation["returncode"] == -1
    assert "No such file or directory" in observation["exception_info"]


def test_ending_whatever_stands_above_a_command_ends_the_command_alone(commands: Commands) -> None:
    assert commands.run("kill -9 $PPID; sleep 0.2")["returncode"] == -9
    assert commands.run("kill $PPID; sleep 61")["returncode"] == -9
    assert commands.run("echo on")["output"] == "on\n"


def test_nothing_is_run_once_the_attempt_has_ended(commands: Commands) -> None:
    commands.kill()
    assert commands.run("echo x")["returncode"] == -1


# --- ours and the endpoint's are not ---------------------------------------------------------------------------------


def test_a_failing_endpoint_gives_no_attempt_and_the_next_call_tries_again(
    tasks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "runs"
    config = tmp_path / "collect.yaml"
    config.write_text("{model: scripted, environment: local, retries: 0}")
    with ScriptedModel(SCRIPTS, failures=[500] * 2) as model:
        words = ["collect", str(tasks), "--out", str(out), "--config", str(config), "--base-url", model.base_url]
        assert main(words) == 1
        lines = capsys.readouterr().err.splitlines()
        assert [line.partition(":")[0] for line in lines if " attempt " in line] == [
            f"{LAMP_ID} / attempt 1",
            f"{KETTLE_ID} / attempt 1",
        ]
        assert "the endpoint failed" in "".join(lines)
        assert not trajectories(out)
        assert main(words) == 0
    assert len(read_back(out)) == 2


def test_a_busy_endpoint_is_asked_again(tasks: Path, tmp_path: Path) -> None:
    with ScriptedModel(SCRIPTS, failures=[429]) as model:
        done = run(tasks, tmp_path / "runs", model, only=[KETTLE_ID], retries=1)
        assert len(model.requests) == 1 + len(KETTLE)
    assert (done.made, done.spent.calls) == (1, len(KETTLE))


def test_a_wrong_key_stops_the_collection(tasks: Path, tmp_path: Path) -> None:
    with ScriptedModel(SCRIPTS, failures=[401]) as model:
        done = run(tasks, tmp_path / "runs", model, workers=1, attempts=3)
        assert len(model.requests) == 1
    assert (done.made, len(done.failed), done.left) == (0, 1, 5)
    assert "refused" in done.stopped


def test_an_endpoint_that_is_not_there_stops_the_collection(tasks: Path, tmp_path: Path) -> None:
    done = run(tasks, tmp_path / "runs", None, workers=1, attempts=GIVE_UP)
    assert (done.made, len(done.failed), done.left) == (0, GIVE_UP, GIVE_UP)
    assert done.stopped == f"{GIVE_UP} attempts in a row failed at the endpoint"


CHOICE = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "I think."}}
ANSWER = {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [CHOICE]}


@pytest.mark.parametrize(
    "raw",
    [
        json.dumps({**ANSWER, "choices": []}),
        json.dumps({**ANSWER, "choices": None}),
        json.dumps({**ANSWER, "choices": [{**CHOICE, "message": None}]}),
        json.dumps({key: ANSWER[key] for key in ("id", "object", "created", "model")}),
        json.dumps({"error": {"message": "over quota"}}),
        "null",
        "[]",
        "<html>welcome</html>",
        '{"id": "x", "cho',
        "",
    ],
)
def test_an_answer_without_a_message_is_a_failure_of_the_endpoint(
    tasks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], raw: str
) -> None:
    empty = Reply(raw=raw)
    with ScriptedModel({"the lamp": [empty], "the kettle": KETTLE}) as model:
        config = tmp_path / "collect.yaml"
        config.write_text("{model: scripted, environment: local, retries: 0}")
        words = ["collect", str(tasks), "--config", str(config), "--base-url", model.base_url]
        assert main([*words, "--out", str(tmp_path / "runs")]) == 2
        [line] = [line for line in capsys.readouterr().err.splitlines() if " attempt 1" in line]
        assert line.startswith(f"{LAMP_ID} / attempt 1: the endpoint failed: ")
        assert "Traceback" not in line
    assert len(trajectories(tmp_path / "runs")) == 1, "the other task's attempt is made"


def test_answers_without_a_message_are_asked_for_again_and_stop_the_collection_after_five(
    tasks: Path, tmp_path: Path
) -> None:
    usage = {"prompt_tokens": 70, "completion_tokens": 0, "total_tokens": 70}
    empty = Reply(raw=json.dumps({**ANSWER, "choices": [], "usage": usage}))
    with ScriptedModel({"the kettle": [empty]}) as model:
        run(tasks, tmp_path / "runs", model, only=[KETTLE_ID], retries=1)
        assert len(model.requests) == 2
        many = {"only": [KETTLE_ID], "attempts": GIVE_UP + 2, "workers": 1}
        done = run(tasks, tmp_path / "runs", model, **many)
    assert (done.made, len(done.failed), done.left) == (0, GIVE_UP, 2)
    assert done.stopped == f"{GIVE_UP} attempts in a row failed at the endpoint"
    assert (done.spent.calls, done.spent.prompt_tokens) == (2 + GIVE_UP, 70 * (2 + GIVE_UP)), "tokens it told of count"


def test_code_that_cannot_be_checked_out_is_no_attempt(tasks: Path, tmp_path: Path) -> None:
    with ScriptedModel(SCRIPTS) as model:
        config = settings(model)
        found = read_assignments(tasks, config)
        lost = found[0].model_copy(update={"commit": "0" * 40})
        done = collect(config, [lost, found[1]], tmp_path / "runs")
    assert (done.made, done.stopped) == (1, "")
    [line] = done.failed
    assert line.startswith(f"{LAMP_ID} / attempt 1: git fetch failed: ")


# --- kills, stops and resumes ----------------------------------------------------------------------------------------


@contextmanager
def started(tasks: Path, out: Path, model: ScriptedModel, *more: str) -> Iterator["subprocess.Popen[str]"]:
    words = ["collect", str(tasks), "--out", str(out), "--model", "acme/Scripted-7B", "--base-url", model.base_url]
    command = [sys.executable, "-m", "swe_rm", *words, "--environment", "local", "--attempts", "2", *more]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def until(condition: Callable[[], object]) -> None:
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("did not happen within a minute")


def test_a_killed_run_leaves_whole_attempts_and_goes_on(tasks: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs"
    slow = {"the lamp": LAMP, "the kettle": [KETTLE[0], Reply(commands=(SUBMIT,), seconds=60)]}
    with ScriptedModel(slow) as model, started(tasks, out, model) as process:
        until(lambda: len(model.requests) == len(LAMP) + 2)
        process.kill()
        process.communicate()
    assert [file.parent.name for file in trajectories(out)] == [LAMP_ID]
    assert list(read_back(out)) == [(LAMP_ID, "Scripted-7B_1")]
    scratch = next((tmp_path / "scratch").iterdir())
    assert list(scratch.iterdir()), "the kill left a scratch folder"
    with ScriptedModel(SCRIPTS) as model:
        done = run(tasks, out, model, attempts=2, workers=1)
        assert len(model.requests) == len(LAMP) + 2 * len(KETTLE), "the attempt that is there is not made again"
    assert (done.there, done.made) == (1, 3)
    assert done.spent.calls == 2 * (len(LAMP) + len(KETTLE)) + 1, "the killed attempt's one answered call was paid for"
    assert len(read_back(out)) == 4
    assert not scratch.exists()


def test_an_interrupt_ends_commands_and_leaves_no_half_attempt(tasks: Path, tmp_path: Path) -> None:
    out, beacon = tmp_path / "runs", tmp_path / "beacon"
    with (
        ScriptedModel({"the lamp": LAMP, "the kettle": [endless(beacon)]}) as model,
        started(tasks, out, model) as process,
    ):
        until(beacon.exists)
        process.send_signal(signal.SIGINT)
        assert f"{out}: stopped; attempts at work are abandoned" in process.communicate()[1]
    assert process.returncode == 130
    before = beacon.read_text()
    time.sleep(0.3)
    assert beacon.read_text() == before
    assert [file.parent.name for file in trajectories(out)] == [LAMP_ID]
    assert not list((tmp_path / "scratch").iterdir())


@LINUX
def test_a_killed_run_takes_its_commands_along(tasks: Path, tmp_path: Path) -> None:
    beacon = tmp_path / "beacon"
    leaving = f"setsid sleep 301 & touch {beacon}; sleep 302"
    with (
        ScriptedModel({"the lamp": [leaving], "the kettle": KETTLE}) as model,
        started(tasks, tmp_path / "runs", model) as process,
    ):
        until(beacon.exists)
        process.kill()
        process.communicate()
    until(lambda: not running(str(tmp_path / "scratch")))


def test_only_what_is_missing_is_made_and_more_attempts_may_be_asked_for(tasks: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs"
    with ScriptedModel(SCRIPTS) as model:
        assert run(tasks, out, model, only=[KETTLE_ID]).made == 1
        trajectories(out)[0].unlink()
        (out / "Scripted-7B_1" / "preds.json").unlink()
        assert run(tasks, out, model, only=[KETTLE_ID]).made == 1
        done = run(tasks, out, model, attempts=2)
        assert (done.there, done.made) == (1, 3)
        (out / "Scripted-7B_2" / "preds.json").unlink()
        asked = len(model.requests)
        done = run(tasks, out, model, attempts=2)
        assert (done.there, done.made, len(model.requests)) == (4, 0, asked)
    assert (out / "Scripted-7B_2" / "preds.json").is_file(), "predictions are made anew from what is there"
    manifest = json.loads((out / "manifest.json").read_text())
    assert (manifest["attempts"], manifest["exit_statuses"]) == (4, {"Submitted": 4})


def test_another_config_or_task_is_refused_and_says_what_differs(tasks: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs"
    with ScriptedModel(SCRIPTS) as model:
        run(tasks, out, model, only=[KETTLE_ID])
        with pytest.raises(SweRmError, match=r"differs in step_limit, temperature\); give another --out"):
            run(tasks, out, model, temperature=1.0, step_limit=9)
        tasks.write_text(tasks.read_text().replace("is lukewarm", "is cold"))
        with pytest.raises(SweRmError, match=f"another task named {KETTLE_ID}"):
            run(tasks, out, model)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    with pytest.raises(SweRmError, match="holds no collection"):
        run(tasks, tmp_path / "other", None)


# --- budgets ---------------------------------------------------------------------------------------------------------


def test_no_attempt_is_started_beyond_the_budget(
    tasks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "runs"
    with ScriptedModel(SCRIPTS) as model:
        words = ["collect", str(tasks), "--out", str(out), "--model", "acme/Scripted-7B", "--base-url", model.base_url]
        words += ["--environment", "local", "--attempts", "2"]
        assert main([*words, "--max-tokens", "1"]) == 2
        assert "stopped: " in (said := capsys.readouterr().err)
        assert "max_tokens is 1; 3 attempts were not started" in said
        assert main([*words, "--max-tokens", "1"]) == 2, "what earlier calls spent counts"
        assert len(trajectories(out)) == 1
        assert main(words) == 0
    assert len(trajectories(out)) == 4


def test_dollars_are_counted_where_a_price_is_given(tasks: Path, tmp_path: Path) -> None:
    price = {"input": 1e3, "output": 0}
    with ScriptedModel(SCRIPTS) as model:
        with pytest.raises(SweRmError, match="no price of acme/Scripted-7B is known"):
            run(tasks, tmp_path / "runs", model, max_cost=1.0)
        done = run(tasks, tmp_path / "runs", model, max_cost=0.5, price_per_million=price, workers=1)
    assert done.spent.cost == pytest.approx(done.spent.prompt_tokens / 1e3)
    assert (done.made, done.left) == (1, 1)
    assert "max_cost is $0.50" in done.stopped
    [file] = trajectories(tmp_path / "runs")
    assert json.loads(file.read_text())["info"]["model_stats"]["instance_cost"] == pytest.approx(done.spent.cost)


def test_tokens_are_counted_where_the_endpoint_does_not_tell_them(tasks: Path, tmp_path: Path) -> None:
    with ScriptedModel(SCRIPTS, usage=False) as model:
        done = run(tasks, tmp_path / "runs", model, max_tokens=1, workers=1)
    assert done.spent.prompt_tokens > len(LAMP) * 500
    assert done.spent.completion_tokens > len(LAMP)
    assert (done.made, done.left) == (1, 1)


def test_a_known_model_has_a_price(tasks: Path, tmp_path: Path) -> None:
    with ScriptedModel(SCRIPTS) as model:
        done = run(tasks, tmp_path / "runs", model, model="gpt-4o", max_cost=100.0, only=[KETTLE_ID])
    assert done.spent.cost > 0


def test_a_torn_line_of_the_ledger_costs_only_itself(tmp_path: Path) -> None:
    file = tmp_path / "spent.jsonl"
    for tokens in (3, 4):
        Ledger(file).add(Spent(calls=1, prompt_tokens=tokens))
    with file.open("ab") as ledger:
        ledger.write(b'\n{"calls": 1, "prom')
    ledger_again = Ledger(file)
    ledger_again.add(Spent(calls=1, completion_tokens=5))
    assert Ledger(file).spent == ledger_again.spent == Spent(calls=3, prompt_tokens=7, completion_tokens=5)


# --- docker, by a stand-in that keeps containers as folders ----------------------------------------------------------

DOCKER = """#!/bin/bash
set -eu
state=$(dirname "$0")
verb=$1; shift
case $verb in
  run)
    while [ "$1" != sleep ]; do [ "$1" = --name ] && name=$2; [ "$1" = -w ] && folder=$2; image=$1; shift; done
    [ "$image" = lamps/kettle:1 ] || { echo "pull access denied for $image" >&2; exit 125; }
    mkdir -p "$state/$name"; cp -r "$state/image/." "$state/$name"; echo "$name" >> "$state/started"; echo "$name" ;;
  exec)
    while [[ $1 == -* ]]; do shift 2; done
    cd "$state/$1"; shift; exec env -i PATH="$PATH" "$@" ;;
  rm)
    rm -rf "${state:?}/$2" ;;
esac
"""


@pytest.fixture
def container_tool(tmp_path: Path) -> Path:
    folder = tmp_path / "docker"
    (folder / "image").mkdir(parents=True)
    (folder / "image" / "kettle.py").write_text("BOILS = 80\n")
    git(folder / "image", "init", "--quiet")
    git(folder / "image", "add", ".")
    git(folder / "image", "commit", "--quiet", "-m", "a kettle")
    (folder / "docker").write_text(DOCKER)
    (folder / "docker").chmod(0o755)
    return folder / "docker"


def test_attempts_in_containers(tmp_path: Path, container_tool: Path) -> None:
    row = {"instance_id": KETTLE_ID, "problem_statement": "Help, the kettle is lukewarm.", "image": "lamps/kettle:1"}
    other = {"instance_id": LAMP_ID, "problem_statement": "the lamp stays dark"}
    tasks = tmp_path / "tasks.jsonl"
    tasks.write_text(f"{json.dumps(row)}\n{json.dumps(other)}\n")
    with ScriptedModel(SCRIPTS) as model:
        done = run(tasks, tmp_path / "runs", model, environment="docker", container_tool=str(container_tool))
    assert done.made == 1
    [line] = done.failed
    image = "docker.io/swebench/sweb.eval.x86_64.tinkers_1776_lantern-12:latest"
    assert line == f"{LAMP_ID} / attempt 1: {image}: no container: pull access denied for {image}"
    [item] = read_back(tmp_path / "runs").values()
    assert "+BOILS = 100\n" in item.trajectory.patch
    assert "/testbed" in item.trajectory.messages[1].content
    [name] = (container_tool.parent / "started").read_text().split()
    assert not (container_tool.parent / name).exists(), "the container is removed"


def test_a_command_that_takes_too_long_in_a_container_is_told_in_its_own_words(
    tmp_path: Path, container_tool: Path
) -> None:
    tasks = tmp_path / "tasks.jsonl"
    row = {"instance_id": KETTLE_ID, "problem_statement": "the kettle is lukewarm", "image": "lamps/kettle:1"}
    tasks.write_text(json.dumps(row))
    slow = {"environment": "docker", "container_tool": str(container_tool), "command_timeout": 1, "step_limit": 1}
    with ScriptedModel({"the kettle": ["exec sleep 61"]}) as model:
        run(tasks, tmp_path / "runs", model, **slow)
    [file] = trajectories(tmp_path / "runs")
    [message] = [m for m in json.loads(file.read_text())["messages"] if "timed out" in str(m.get("content"))]
    assert "Command 'exec sleep 61' timed out after 1 seconds" in message["content"]
    assert str(container_tool) not in json.dumps(message)


def test_a_container_that_is_gone_makes_no_attempt(tmp_path: Path, container_tool: Path) -> None:
    tasks = tmp_path / "tasks.jsonl"
    row = {"instance_id": KETTLE_ID, "problem_statement": "the kettle is lukewarm", "image": "lamps/kettle:1"}
    tasks.write_text(json.dumps(row))
    lost = [f"rm -rf {container_tool.parent}/minisweagent-*", *["true"] * 3]
    with ScriptedModel({"the kettle": lost}) as model:
        settings_ = {"environment": "docker", "container_tool": str(container_tool), "step_limit": 3}
        done = run(tasks, tmp_path / "runs", model, **settings_)
    assert (done.made, len(done.failed)) == (0, 1)
    assert "the container was gone" in done.failed[0]


# --- wrong input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("{", "line 1: broken JSON"),
        ('{"instance_id": "a-1"}', "line 1: needs the texts instance_id and problem_statement"),
        ('{"instance_id": "../a", "problem_statement": "x", "repo_path": "."}', "cannot name a folder"),
        ('{"instance_id": "a-1", "problem_statement": " ", "repo_path": "."}', "the problem statement is empty"),
        ('{"instance_id": "a-1", "problem_statement": "x"}', "needs repo_path"),
        ('{"instance_id": "a-1", "problem_statement": "x", "repo_path": "nowhere"}', "is no folder"),
        ('{"instance_id": "a-1", "problem_statement": "x", "repo_path": ".", "base_commit": "f"}', "no git repository"),
        ("", "holds no task"),
    ],
)
def test_a_wrong_row_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], row: str, reason: str) -> None:
    file = tmp_path / "tasks.jsonl"
    file.write_text(row)
    words = ["collect", str(file), "--out", str(tmp_path / "runs"), "--model", "m", "--base-url", "http://x/v1"]
    assert main([*words, "--environment", "local"]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"swe-rm: {file}: ")
    assert reason in line
    assert not (tmp_path / "runs").exists()


def test_a_list_that_is_not_there_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--out", str(tmp_path / "runs"), "--model", "m", "--base-url", "http://x/v1", "--environment", "local"]
    assert main(["collect", *words, str(tmp_path / "nofile.jsonl")]) == 1
    assert capsys.readouterr().err == f"swe-rm: {tmp_path / 'nofile.jsonl'}: No such file or directory\n"
    assert main(["collect", *words, str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"swe-rm: {tmp_path}: is no file\n"


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ("{model: m, base_url: 'http://x'}", "environment: Field required"),
        ("{model: m, base_url: 'ftp://x', environment: local}", "base_url: "),
        ("{model: m, base_url: 'http://x', environment: local, modle: m}", "modle: Extra inputs"),
        ("{model: m, base_url: 'http://x', environment: local, attempts: 0}", "attempts: "),
        ("{model: m, base_url: 'http://x', environment: local, model_kwargs: {api_key: k}}", "would be recorded"),
        (
            "{model: m, base_url: 'http://x', environment: local,"
            " model_kwargs: {extra_headers: {Authorization: Bearer k}}}",
            "authorization would be recorded",
        ),
        ("{model: m, base_url: 'http://x', environment: docker, container_tool: dokcer}", "dokcer is not installed"),
        ("[]", "is a mapping"),
        ("{", "while parsing"),
        ("{model: m, base_url: 'http://x', environment: local, prompts: tasks.jsonl}", "no config of mini-swe-agent"),
    ],
)
def test_a_wrong_config_is_one_line(
    tasks: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], config: str, reason: str
) -> None:
    monkeypatch.chdir(tasks.parent)
    Path("collect.yaml").write_text(config)
    assert main(["collect", "tasks.jsonl", "--out", "runs", "--config", "collect.yaml"]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert reason in line


def test_a_task_that_is_not_there_and_a_task_given_twice(tasks: Path) -> None:
    with pytest.raises(SweRmError, match="no task named tinkers__spoon-1"):
        read_assignments(tasks, settings(None), ["tinkers__spoon-1"])
    tasks.write_text(tasks.read_text() * 2)
    with pytest.raises(SweRmError, match=f"line 3: {LAMP_ID} stands there twice"):
        read_assignments(tasks, settings(None))


def test_without_the_extra_it_says_what_to_install(tasks: Path, tmp_path: Path) -> None:
    words = ["collect", str(tasks), "--out", str(tmp_path / "runs"), "--model", "m", "--base-url", "http://x/v1"]
    program = (
        "import sys; sys.modules['minisweagent'] = None; from swe_rm.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", program, *words, "--environment", "local"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "swe-rm: mini-swe-agent is not installed: pip install 'swe-rm[agents]'\n"


# --- the accounts, with a driver that is a table ---------------------------------------------------------------------


class Table:
    """A driver that fails where a table says so, and keeps count."""

    versions: Mapping[str, str] = {"table": "1"}

    def __init__(self, fails: Callable[[Job], Exception | None]) -> None:
        self._fails = fails
        self._lock = threading.Lock()
        self.asked: list[str] = []
        self.abandoned = False

    def __call__(self, job: Job, root: Path, count: Callable[[Spent], None]) -> dict[str, Any]:
        with self._lock:
            self.asked.append(str(job))
        count(Spent(calls=1, prompt_tokens=1))
        if error := self._fails(job):
            raise error
        assert root.is_dir()
        return {"info": {"exit_status": "Submitted", "submission": "p"}, "instance_id": job.task.task.instance_id}

    def abandon(self) -> None:
        self.abandoned = True


def table_tasks(count: int) -> list[CollectTask]:
    return [CollectTask(task=Task(instance_id=f"t-{number}", statement="s")) for number in range(count)]


@given(
    n_tasks=st.integers(1, 4),
    attempts=st.integers(1, 3),
    workers=st.integers(1, 4),
    calls=st.lists(st.tuples(st.sets(st.integers(0, 11)), st.none() | st.integers(1, 12)), min_size=1, max_size=3),
)
def test_every_job_is_accounted_for_and_made_once(
    tmp_path_factory: pytest.TempPathFactory,
    n_tasks: int,
    attempts: int,
    workers: int,
    calls: list[tuple[set[int], int | None]],
) -> None:
    out = tmp_path_factory.mktemp("accounts") / "runs"
    tasks, there, spent = table_tasks(n_tasks), 0, 0
    for failing, budget in [*calls, (set[int](), None)]:
        config = settings(None, attempts=attempts, workers=workers, max_tokens=budget)
        driver = Table(
            lambda job, bad=failing: AttemptError("x") if int(job.task.task.instance_id[2:]) in bad else None
        )
        done = collect(config, tasks, out, driver=driver)
        assert done.wanted == done.there + done.made + len(done.failed) + done.left == n_tasks * attempts
        assert (done.there, len(driver.asked)) == (there, done.made + len(done.failed))
        assert len(set(driver.asked)) == len(driver.asked)
        assert bool(done.stopped) == (done.left > 0)
        there, spent = there + done.made, spent + len(driver.asked)
        assert done.spent.tokens == spent
        assert len(trajectories(out)) == there if out.exists() else there == 0
        assert budget is None or not driver.asked or spent - len(driver.asked) < budget
    assert there == n_tasks * attempts


def test_first_attempts_at_every_task_come_before_second_ones(tmp_path: Path) -> None:
    driver = Table(lambda job: None)
    collect(settings(None, attempts=2, workers=1), table_tasks(2), tmp_path / "runs", driver=driver)
    assert driver.asked == ["t-0 / attempt 1", "t-1 / attempt 1", "t-0 / attempt 2", "t-1 / attempt 2"]


def test_a_success_between_failures_goes_on(tmp_path: Path) -> None:
    driver = Table(lambda job: None if job.task.task.instance_id == "t-4" else EndpointError("down"))
    done = collect(settings(None, workers=1), table_tasks(9), tmp_path / "runs", driver=driver)
    assert (done.made, len(done.failed), done.stopped) == (1, 8, "")


def test_our_own_bug_is_not_caught(tmp_path: Path) -> None:
    driver = Table(lambda job: KeyError("bug"))
    with pytest.raises(KeyError, match="bug"):
        collect(settings(None), table_tasks(2), tmp_path / "runs", driver=driver)
    assert driver.abandoned
    assert not trajectories(tmp_path / "runs")


def test_a_folder_is_written_by_one_run_only(tmp_path: Path) -> None:
    out = tmp_path / "runs"

    def inner(job: Job) -> Exception | None:
        with pytest.raises(SweRmError, match="another run is writing it"):
            collect(settings(None), table_tasks(1), out, driver=Table(lambda job: None))
        return None

    assert collect(settings(None), table_tasks(1), out, driver=Table(inner)).made == 1


def test_attempts_of_another_version_are_told(tmp_path: Path) -> None:
    driver = Table(lambda job: None)
    collect(settings(None), table_tasks(1), tmp_path / "runs", driver=driver)
    driver.versions = {"table": "2"}
    done = collect(settings(None), table_tasks(2), tmp_path / "runs", driver=driver)
    assert done.notes == (f"{tmp_path / 'runs'}: attempts of earlier calls were made with table 1",)


@pytest.mark.parametrize(
    ("model", "name"),
    [("org/Lamp-7B", "Lamp-7B_3"), ("a b:c@d", "a_b_c_d_3"), ("..", "model_3"), ("results", "results_3")],
)
def test_run_folders_have_plain_names(model: str, name: str) -> None:
    assert settings(None, model=model).run_name(3) == name


def test_the_commands_and_files_of_the_documentation(
    tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (Path(__file__).parents[1] / "docs" / "collect.md").read_text()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    [config] = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    [script] = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    commands = re.findall(r"^swe-rm collect (.*)$", text.replace("\\\n", " "), re.MULTILINE)
    assert len(commands) == 4
    with ScriptedModel(json.loads(script) | SCRIPTS) as model:
        Path("collect.yaml").write_text(re.sub(r"http://\S+", model.base_url, config))
        for command in commands:
            here = re.sub(r"http://\S+", model.base_url, command).replace("environment docker", "environment local")
            assert main(["collect", *shlex.split(here)]) == 0
    assert all(item.trajectory.patch for item in read_back(tmp_path / "runs").values())


def test_the_scripted_model_serves_a_file(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text(json.dumps({"the lamp": LAMP}))
    command = [sys.executable, "-m", "swe_rm.collect.scripted_model", str(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("http://127.0.0.1:")
        os.kill(process.pid, signal.SIGINT)
    assert process.returncode == 0


def test_scripts_that_cannot_be_read_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{")
    for argv, reason in (
        ([], "SCRIPTS.json"),
        ([str(tmp_path / "none.json")], "none.json: No such file"),
        ([str(tmp_path / "broken.json")], "broken.json: Expecting property name"),
        ([str(tmp_path / "broken.json"), "port"], "SCRIPTS.json"),
    ):
        with pytest.raises(SystemExit) as ended:
            serve_scripts(argv)
        assert reason in str(ended.value)
        assert "\n" not in str(ended.value)
