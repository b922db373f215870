"""What a process may do from here on: limits of the kernel, set in the process itself before it runs foreign code.

Standard library only, since `cell` loads it. Each limit is set where the machine has it; `swe-rm doctor` tries each one
and says which hold. Facts: landlock(7), seccomp(2), setrlimit(2), user_namespaces(7), capabilities(7).
"""

import ctypes
import os
import platform
import resource
import struct
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

LINUX = sys.platform == "linux"
_UIDS = range(61_184, 65_280)
"""Accounts that attempts run as where we are root: nobody's, in systemd's range of such (systemd.io, UIDS-GIDS)."""

_PR_SET_KEEPCAPS, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 8, 22, 38, 47
_CAP_DAC_READ_SEARCH = 2
_CLONE_NEWUSER = 0x10000000

_READING = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store", "/gnu/store")
_READING_OF = {
    "/etc": (
        "ld.so.cache", "localtime", "timezone", "passwd", "group", "nsswitch.conf", "hosts", "gitconfig",
        "gitattributes", "bash.bashrc", "profile", "inputrc", "locale.alias", "mime.types", "ssl/openssl.cnf",
        "pki/tls/openssl.cnf", "alternatives", "python3*",
    ),
    "/proc": (
        "cpuinfo", "filesystems", "loadavg", "meminfo", "stat", "uptime", "version", "sys/kernel/pid_max",
        "sys/vm/overcommit_memory",
    ),
}  # fmt: skip
"""What Python, bash and git look for there, and the machine's own figures: no passwords, no other process."""
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")

_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_FS_ALL, _FS_REFER, _FS_TRUNCATE = (1 << 13) - 1, 1 << 13, 1 << 14
_FS_READ = 1 << 0 | 1 << 2 | 1 << 3
"""Execute, read a file, read a folder."""
_FS_OF_FILES = 1 << 0 | 1 << 1 | 1 << 2
"""What can be allowed of a file that is no folder."""

_SYSCALLS = {"x86_64": (0xC000003E, 41, 53), "aarch64": (0xC00000B7, 198, 199)}
"""By machine: how seccomp names it, and its numbers of socket(2) and socketpair(2)."""
_IO_URING_SETUP = 425
"""It opens sockets without socket(2)."""
_ALLOW, _ERRNO_EACCES = 0x7FFF0000, 0x00050000 | 13


class Account(NamedTuple):
    """The user that attempts run as where we are root: root's own processes have no limit."""

    number: int
    reads_all: bool
    """Whether it may read what only root may, as far as Landlock lets it: Python may lie in root's home."""


def confine(limits: Mapping[str, int], writable: Sequence[str], account: Account | None) -> None:
    """Give up, for good, all that an attempt has no need of; it may write in the folders named and nowhere else.

    `limits` are those of `sandbox.Limits`, `account` is what `account_of` says. What the machine does not have is left
    out.
    """
    _set(resource.RLIMIT_CORE, 0)
    _set(resource.RLIMIT_CPU, limits["cpu_seconds"], 1)
    _set(resource.RLIMIT_FSIZE, limits["file_mb"] << 20)
    _set(resource.RLIMIT_NOFILE, limits["open_files"])
    if LINUX:
        # macOS refuses RLIMIT_AS, and counts processes by user however many others that user has.
        _set(resource.RLIMIT_AS, limits["memory_mb"] << 20)
        if _own_count(account):
            _set(resource.RLIMIT_NPROC, limits["processes"])
        kernel = ctypes.CDLL(None, use_errno=True)
        kernel.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        _landlock(kernel, writable)
        _no_sockets(kernel)


def account_of(pid: int) -> Account | None:
    """The account of what a process watches over, one that may read no more than others where Python can be read so.

    One for each process: processes of another would count as well. None where it is not root, or a container does not
    let it become another user who can read what Python needs: that is tried.
    """
    if not LINUX or os.getuid() != 0:
        return None
    accounts = [Account(_UIDS[pid % len(_UIDS)], reads_all) for reads_all in (False, True)]
    return next(filter(_is_possible, accounts), None)


def _is_possible(account: Account) -> bool:
    """Whether a process can become it and then read Python's own files."""
    child = os.fork()
    if not child:
        code = 1
        try:
            _become(account)
            for needed in (os.__file__, sys.executable):
                Path(needed).resolve().open("rb").close()
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1] == 0


def _become(account: Account) -> None:
    kernel = ctypes.CDLL(None, use_errno=True)
    kernel.prctl(_PR_SET_KEEPCAPS, int(account.reads_all), 0, 0, 0)
    number = account.number
    os.setgroups([])
    os.setresgid(number, number, number)
    os.setresuid(number, number, number)
    if not account.reads_all:
        return
    header, bit = struct.pack("=Ii", 0x20080522, 0), 1 << _CAP_DAC_READ_SEARCH
    kernel.capset(header, struct.pack("=6I", bit, bit, bit, 0, 0, 0))
    kernel.prctl(_PR_CAP_AMBIENT, 2, _CAP_DAC_READ_SEARCH, 0, 0)


def _set(which: int, most: int, beyond: int = 0) -> None:
    """The soft limit, and the hard one `beyond` it: SIGXCPU says more than SIGKILL. Never above what is set already."""
    hard = resource.getrlimit(which)[1]
    held = most + beyond if hard == resource.RLIM_INFINITY else min(most + beyond, hard)
    resource.setrlimit(which, (min(most, held), held))


def _own_count(account: Account | None) -> bool:
    """Have our processes counted apart from the user's others; False where that cannot be."""
    kernel = ctypes.CDLL(None, use_errno=True)
    if account is None:
        user, group = os.getuid(), os.getgid()
        if kernel.unshare(_CLONE_NEWUSER):
            return False
        try:
            Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
        except OSError:
            return True  # the count is apart all the same; only names of owners are lost
        return True
    _become(account)
    return True


def _landlock(kernel: ctypes.CDLL, writable: Sequence[str]) -> None:
    """Reading of the system's and Python's folders, writing in the ones named, no TCP, no signals to others."""
    version = kernel.syscall(_LANDLOCK_CREATE, None, 0, 1)
    if version < 1:
        return
    rights = _FS_ALL | (_FS_REFER if version >= 2 else 0) | (_FS_TRUNCATE if version >= 3 else 0)
    words = [rights, 3, 3][: 3 if version >= 6 else 2 if version >= 4 else 1]  # files, network, sockets and signals
    ruleset = struct.pack(f"={len(words)}Q", *words)
    made = kernel.syscall(_LANDLOCK_CREATE, ruleset, len(ruleset), 0)
    if made < 0:
        return
    for path, read in readable():
        _allow(kernel, made, path, read)
    for path in _DEVICES:
        _allow(kernel, made, path, _FS_OF_FILES & rights)
    for path in writable:
        _allow(kernel, made, path, rights)
    kernel.syscall(_LANDLOCK_RESTRICT, made, 0)
    os.close(made)


@cache
def readable() -> tuple[tuple[str, int], ...]:
    """Each file and folder that may be read, with the rights to it; looked up once, and kept for what is forked."""
    folders = [*_READING, sys.base_prefix, str(Path(sys.executable).resolve().parent)]
    found = [Path(folder) for folder in folders]
    for above, names in _READING_OF.items():
        for name in names:
            with suppress(OSError):
                found += Path(above).glob(name)
    return tuple((str(one), _FS_READ if one.is_dir() else _FS_READ & _FS_OF_FILES) for one in found if one.exists())


def _allow(kernel: ctypes.CDLL, ruleset: int, path: str, rights: int) -> None:
    try:
        folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # no system has all of them
    try:
        kernel.syscall(_LANDLOCK_ADD, ruleset, 1, struct.pack("=Qi", rights, folder), 0)
    finally:
        os.close(folder)


def _no_sockets(kernel: ctypes.CDLL) -> None:
    """No sockets but pairs of them; on machines whose numbers we know.

    Not even those of this machine (AF_UNIX): by them its services are reached, an ssh-agent or Docker say, and which
    ones is not for seccomp to see. Pairs of streams are all that asyncio and multiprocessing ask for, and cannot be
    connected elsewhere; pairs of datagrams could.
    """
    if (known := _SYSCALLS.get(platform.machine())) is None:
        return
    arch, socket, socketpair = known
    # code, jump if true, jump if false, operand: struct sock_filter. 0x20 loads a word of struct seccomp_data,
    # 0x15 compares for equality, 0x35 for >=, 0x54 takes the bits of a mask, 0x06 returns.
    program = [
        (0x20, 0, 0, 4),
        (0x15, 0, 11, arch),
        (0x20, 0, 0, 0),
        (0x35, 9, 0, 0x40000000),  # x32's numbers of the same calls
        (0x15, 8, 0, _IO_URING_SETUP),
        (0x15, 7, 0, socket),
        (0x15, 0, 5, socketpair),
        (0x20, 0, 0, 16),  # the family
        (0x15, 0, 4, 1),
        (0x20, 0, 0, 24),  # the type
        (0x54, 0, 0, 0xF),
        (0x15, 0, 1, 1),
        (0x06, 0, 0, _ALLOW),
        (0x06, 0, 0, _ERRNO_EACCES),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in program))
    shape = struct.pack("@HP", len(program), ctypes.addressof(code))
    kernel.prctl(_PR_SET_SECCOMP, 2, ctypes.c_char_p(shape), 0, 0)
