"""Which limits of the sandbox hold on this machine, found out by having small programs try to break each."""

import os
from collections.abc import Iterator

from swe_rm.playground.sandbox import Limits, Sandbox, SandboxError, Scratch, scratch

_LIMITS = Limits(cpu_seconds=1, wall_seconds=10, memory_mb=256, file_mb=1, disk_mb=4, processes=16)
_HASTY = _LIMITS.model_copy(update={"wall_seconds": 1})
"""For the limit of time itself."""

_PROBES = {
    "memory": "bytearray(400 << 20)",
    "file size": "open('big', 'wb').write(bytes(3 << 20))",
    "all files": """
import time
for number in range(40):
    open(f'file{number}', 'wb').write(bytes(1 << 19))
    time.sleep(0.02)
""",
    "processes": """
import os, time
for number in range(60):
    if os.fork() == 0:
        time.sleep(2)
        os._exit(0)
time.sleep(1)
""",
    "processor time": "while True: pass",
    "time": "import time; time.sleep(3)",
    "open files": "files = [open('/dev/null') for _ in range(200)]",
    "network": """
import socket
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('192.0.2.1', 9))
""",
    "sockets of this machine": """
import socket
try:
    socket.socket(socket.AF_UNIX)
except PermissionError:
    socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
""",
    "writing elsewhere": "open('/var/tmp/swe-rm-probe', 'w').close()",
    "reading elsewhere": "import os; os.listdir('/home')",
    "reading the system's settings": "import os; os.listdir('/etc')",
    "seeing others' processes": """
import os, subprocess
if os.path.isdir('/proc/self'):
    open('/proc/OURS/cmdline').read()
else:
    subprocess.run(['ps', '-p', 'OURS'], check=True)
""",
    "signals to others": "import os; os.kill(OURS, 0)",
}
"""By limit, a program that gets to its end only where the limit does not hold."""
_END = "it got to its end"


def held() -> Iterator[tuple[str, bool]]:
    """Each limit and whether it holds here. Raises SandboxError where nothing can be run at all."""
    with Sandbox(_LIMITS) as sandbox, Sandbox(_HASTY) as hasty:
        for limit, program in _PROBES.items():
            with scratch() as within:
                yield limit, not _escapes(hasty if limit == "time" else sandbox, within, program)


def _escapes(sandbox: Sandbox, within: Scratch, program: str) -> bool:
    text = program.replace("OURS", str(os.getpid()))
    try:
        ran = sandbox.run(
            within, f"python -S - <<'PROBE'\n{text}\nprint({_END[::-1]!r}[::-1])\nPROBE"
        )  # the shell quotes a program that is killed
    except SandboxError:
        return True  # it has ended the program that watches over it
    return _END in ran.output or (ran.ended == "wall" and sandbox.limits != _HASTY)
