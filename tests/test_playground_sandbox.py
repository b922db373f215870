"""The sandbox: what hostile programs may not do, that nothing of them is left, and that shortcuts equal the shell."""

import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from swe_rm.playground import confinement, probes
from swe_rm.playground.sandbox import Limits, Sandbox, SandboxError, scratch
from swe_rm.playground.shortcuts import last_lines, without_a_shell

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
TIGHT = Limits(cpu_seconds=1, wall_seconds=3, memory_mb=256, file_mb=1, disk_mb=4, processes=16, output_kb=4)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(TIGHT) as made:
        yield made


def alive(word: str) -> list[int]:
    """Processes with a word among their arguments."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if word.encode() in (folder / "cmdline").read_bytes() and int(folder.name) != os.getpid():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def test_a_command_sees_its_checkout_and_little_else(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    with scratch() as within:
        ran = sandbox.run(within, "pwd; env | sort; touch made; echo 1 > $HOME/x; echo 2 > $TMPDIR/y; exit 3")
        assert (within.checkout / "made").exists()
    assert (ran.ended, ran.code) == ("", 3)
    assert ran.output.startswith(f"{within.checkout}\n")
    assert "SECRET" not in ran.output
    assert not within.root.exists()


@pytest.mark.parametrize(
    ("command", "ended"),
    [
        ("sleep 60", "wall"),
        ("for n in 1 2 3 4 5 6 7 8 9; do head -c 1000000 /dev/zero > f$n; sleep 0.1; done; sleep 9", "disk"),
        ("for n in $(seq 9); do head -c 1000000 /dev/zero > f$n; done", "disk"),
    ],
)
def test_what_takes_too_much_is_ended(sandbox: Sandbox, command: str, ended: str) -> None:
    with scratch() as within:
        assert sandbox.run(within, command).ended == ended


@LINUX
@pytest.mark.parametrize(
    ("program", "word"),
    [
        ("x = bytearray(900_000_000)", "MemoryError"),
        ("open('big', 'wb').write(bytes(5_000_000))", "File too large"),
        ("import socket; socket.create_connection(('127.0.0.1', 9))", "PermissionError"),
        ("open('/var/tmp/elsewhere', 'w')", "PermissionError"),
    ],
)
def test_what_the_kernel_refuses(sandbox: Sandbox, program: str, word: str) -> None:
    with scratch() as within:
        ran = sandbox.run(within, f'python -S -c "{program}"')
    assert ran.code == 1
    assert word in ran.output


SENDER = """
import socket, sys
kind, way = sys.argv[1:]
if way == "pair":
    one, other = socket.socketpair(socket.AF_UNIX, getattr(socket, kind))
else:
    one = socket.socket(socket.AF_UNIX, getattr(socket, kind))
if kind == "SOCK_DGRAM":
    one.sendto(b"from inside", PATH)
one.connect(PATH)
one.send(b"from inside")
"""


@LINUX
@pytest.mark.parametrize("kind", ["SOCK_STREAM", "SOCK_DGRAM", "SOCK_SEQPACKET"])
@pytest.mark.parametrize("way", ["socket", "pair"])
def test_services_of_this_machine_are_not_reached(kind: str, way: str, sandbox: Sandbox) -> None:
    """The listener lies where the run may write, so that nothing but the socket keeps it away."""
    with scratch() as within, socket.socket(socket.AF_UNIX, getattr(socket, kind)) as listener:
        path = within.root / "tmp" / "service"
        listener.bind(str(path))
        path.chmod(0o777)
        if kind != "SOCK_DGRAM":
            listener.listen()
        program = SENDER.replace("PATH", repr(str(path)))
        (within.checkout / "send.py").write_text(program)
        ran = sandbox.run(within, f"python -S send.py {kind} {way}")
        assert ran.code == 1
        assert not select.select([listener], [], [], 0)[0]
        if way == "socket" or kind == "SOCK_DGRAM":  # unconfined it would have got there
            subprocess.run([sys.executable, "-S", str(within.checkout / "send.py"), kind, way], check=True)


@LINUX
def test_what_a_process_asks_of_its_own_still_works(sandbox: Sandbox) -> None:
    program = """
import asyncio, multiprocessing, os, pwd, random, socket, subprocess, tempfile, threading, time

def child(end):
    end.send(os.getpid() > 0)

async def both():
    return await asyncio.gather(asyncio.sleep(0, 1), asyncio.to_thread(lambda: 2))

one, other = multiprocessing.Pipe()
process = multiprocessing.get_context("fork").Process(target=child, args=(other,))
process.start()
print(one.recv(), asyncio.run(both()), subprocess.run(["git", "--version"], capture_output=True).returncode)
print(pwd.getpwuid(0).pw_name, time.tzname != (), len(tempfile.mkdtemp()) > 0)
"""
    with scratch() as within:
        (within.checkout / "own.py").write_text(program)
        ran = sandbox.run(
            within, "python own.py; cat <(echo piped) /dev/fd/0 <<< here; git init --quiet . && git status"
        )
    assert ran.output.startswith("True [1, 2] 0\nroot True True\npiped\nhere\n")
    assert "nothing added to commit" in ran.output
    assert ran.code == 0


@LINUX
@pytest.mark.parametrize(
    "program",
    [
        "open('/etc/shadow').read()",
        "open('/etc/fstab').read()",
        "import os; os.listdir('/etc')",
        "open('/proc/OURS/cmdline').read()",
        "open('/proc/1/cmdline').read()",
        "import os; os.listdir('/proc')",
        "import os; os.listdir('/root')",
    ],
)
def test_what_is_private_on_this_machine_is_not_read(program: str, sandbox: Sandbox) -> None:
    with scratch() as within:
        ours = program.replace("OURS", str(os.getpid()))
        ran = sandbox.run(within, f'python -S -c "{ours}"')
    assert ran.code == 1
    assert "PermissionError" in ran.output or "FileNotFoundError: [Errno 2] No such file" in ran.output


@LINUX
@pytest.mark.skipif(os.getuid() != 0, reason="only root has accounts to give")
@pytest.mark.parametrize(("mode", "reads_all"), [(0o700, True), (0o711, False)])
def test_the_account_of_attempts_reads_all_only_where_python_cannot_be_read_otherwise(
    mode: int, reads_all: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scratch() as within, monkeypatch.context() as patch:
        closed = within.root / "closed"
        closed.mkdir()
        (closed / "python").touch()
        closed.chmod(mode)
        patch.setattr(os, "__file__", str(closed / "python"))
        patch.setattr(sys, "executable", str(closed / "python"))
        account = confinement.account_of(5)
    assert account is not None
    assert account.reads_all == reads_all


@LINUX
@pytest.mark.parametrize(
    "command", ["sleep 61 & echo out", "setsid sleep 61 & echo out", "(setsid nohup sleep 61 &) ; echo out"]
)
def test_nothing_outlives_its_command(sandbox: Sandbox, command: str) -> None:
    with scratch() as within:
        began = time.monotonic()
        assert sandbox.run(within, command).output == "out\n"
        assert time.monotonic() - began < TIGHT.wall_seconds
    assert not alive("sleep\x0061")


@LINUX
def test_a_fork_bomb_is_contained(sandbox: Sandbox) -> None:
    bomb = "import os, time\nend = time.time() + 1\nwhile time.time() < end:\n    os.fork()\n"
    with scratch() as within:
        (within.checkout / "bomb.py").write_text(bomb)
        sandbox.run(within, "python -S bomb.py")
        assert sandbox.run(within, "echo still here").output == "still here\n"
    assert not alive("bomb.py")


@LINUX
def test_processor_time_is_limited(sandbox: Sandbox) -> None:
    with Sandbox(TIGHT.model_copy(update={"wall_seconds": 30})) as patient, scratch() as within:
        assert patient.run(within, "while :; do :; done").code == -signal.SIGXCPU


def test_of_an_endless_output_the_ends_are_kept(sandbox: Sandbox) -> None:
    with scratch() as within:
        output = sandbox.run(within, "echo first; seq 100000; echo last").output
    assert output.startswith("first\n1\n")
    assert output.endswith("100000\nlast\n")
    assert re.search(r"\[[\d,]+ bytes left out\]", output)
    assert len(output) < 2 * TIGHT.output_kb * 1024


def test_a_dead_watcher_is_an_error_of_ours_and_the_next_run_has_a_new_one() -> None:
    with Sandbox(TIGHT) as sandbox, scratch() as within:
        sandbox.run(within, "true")
        assert sandbox._process is not None
        sandbox._process.kill()
        with pytest.raises(SandboxError, match="the program that watches over runs"):
            sandbox.run(within, "true")
        assert sandbox.run(within, "echo again").output == "again\n"


def test_a_folder_that_is_gone_is_an_error_of_ours(sandbox: Sandbox) -> None:
    with scratch() as within:
        within.checkout.rmdir()
        with pytest.raises(SandboxError, match="could not be begun"):
            sandbox.run(within, "true")


@LINUX
def test_the_watcher_ends_with_whoever_started_it(tmp_path: Path) -> None:
    """Killed without notice in the middle of a run, as the kernel does it: no run goes on."""
    code = (
        "from swe_rm.playground.sandbox import Sandbox, scratch\n"
        "with Sandbox() as sandbox, scratch() as within:\n"
        "    print('begun', flush=True)\n"
        "    sandbox.run(within, 'exec sleep 62')\n"
    )
    surroundings = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=surroundings
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"begun\n"
        while not alive("sleep\x0062"):
            assert process.poll() is None
            time.sleep(0.02)
        process.kill()
        said = process.stderr.read()  # to its end: then the watcher has ended too
    assert not alive("sleep\x0062")
    assert said == b""


@LINUX
@pytest.mark.parametrize(
    "limit", ["open files", "sockets of this machine", "reading the system's settings", "seeing others' processes"]
)
def test_a_probe_fails_by_its_limit_and_by_nothing_else(limit: str, sandbox: Sandbox, tmp_path: Path) -> None:
    program = probes._PROBES[limit]
    with scratch() as within:
        assert not probes._escapes(sandbox, within, program)
    unconfined = program.replace("OURS", str(os.getpid()))
    subprocess.run([sys.executable, "-S", "-c", unconfined], check=True, cwd=tmp_path)


def test_the_probe_of_time_is_ended_and_otherwise_comes_to_its_end() -> None:
    program = probes._PROBES["time"]
    with Sandbox(probes._HASTY) as hasty, Sandbox(probes._LIMITS) as patient:
        for sandbox, escapes in ((hasty, False), (patient, True)):
            with scratch() as within:
                assert probes._escapes(sandbox, within, program) == escapes


def test_probes_can_tell_a_limit_that_holds_from_one_that_does_not(sandbox: Sandbox) -> None:
    with scratch() as within:
        assert probes._escapes(sandbox, within, "pass")
        assert not probes._escapes(sandbox, within, "raise OSError")


# --- shortcuts -------------------------------------------------------------------------------------------------------

SUITE = """
import sys, unittest

class TestLamp(unittest.TestCase):
    def test_off(self):
        print("said")
        print("warned", file=sys.stderr)

    def test_on(self):
        self.assertEqual([1, 2], [1, 3])
"""
TOOK = re.compile(r"in \d+\.\d+s")


@pytest.mark.parametrize(
    "command",
    [
        "python -m unittest",
        "python3 -m unittest -v",
        "python -m unittest 2>&1 | tail -n 3",
        "python -m unittest tests.test_lamp.TestLamp.test_off",
        "python -m unittest tests.nowhere",
        "python - <<'EOF'\nimport sys\nprint(1)\nprint(2, file=sys.stderr)\nsys.exit('no')\nEOF",
        "python - <<'EOF'\nimport sys\nprint(__name__, sys.argv, sys.path[0] in ('', sys.path[0]))\n1 / 0\nEOF",
        "python - <<'EOF'\nthis is no Python\nEOF",
        "python - <<'EOF'\nraise SystemExit(300)\nEOF",
        "python - <<'EOF'\nimport tests.test_lamp\nimport unittest\nunittest.main(tests.test_lamp)\nEOF",
        "python - <<'EOF'\nEOF",
    ],
)
def test_a_shortcut_gives_what_the_shell_gives(sandbox: Sandbox, command: str) -> None:
    """The slow twin: the same command in another form, which starts a shell and an interpreter."""
    assert without_a_shell(command) is not None
    assert without_a_shell(f"{command}\n:;") is None
    found = []
    for form in (command, f"true; {command}"):
        with scratch() as within:
            (within.checkout / "tests").mkdir()
            (within.checkout / "tests" / "__init__.py").touch()
            (within.checkout / "tests" / "test_lamp.py").write_text(SUITE)
            ran = sandbox.run(within, form)
            found.append((TOOK.sub("", ran.output.replace(str(within.root), "")), ran.code, ran.ended))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    "command", ["python -m unittest | tail -n 3", "python -m unittest; rm x", "python - <<'EOF'\n1\nEOF\nrm x\nEOF"]
)
def test_what_is_more_than_python_goes_through_the_shell(command: str) -> None:
    assert without_a_shell(command) is None


@pytest.mark.parametrize("text", ["", "a", "a\n", "a\nb", "a\n\nb\n"])
@pytest.mark.parametrize("count", [0, 1, 2, 9])
def test_last_lines_are_those_of_tail(text: str, count: int) -> None:
    done = subprocess.run(["tail", "-n", str(count)], input=text, capture_output=True, text=True, check=True)
    assert last_lines(text, count) == done.stdout
