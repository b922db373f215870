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
from pathlib import Path

LINUX = sys.platform == "linux"
_UIDS = range(61_184, 65_280)
"""Accounts that attempts run as where we are root: nobody's, in systemd's range of such (systemd.io, UIDS-GIDS)."""

_PR_SET_KEEPCAPS, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 8, 22, 38, 47
_CAP_DAC_READ_SEARCH = 2
_CLONE_NEWUSER = 0x10000000

_READING = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc", "/proc", "/nix/store", "/gnu/store")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")

_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_FS_ALL, _FS_REFER, _FS_TRUNCATE = (1 << 13) - 1, 1 << 13, 1 << 14
_FS_READ = 1 << 0 | 1 << 2 | 1 << 3
"""Execute, read a file, read a folder."""
_FS_OF_FILES = 1 << 0 | 1 << 1 | 1 << 2
"""What can be allowed of a file that is no folder."""

_SYSCALLS = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
"""By machine: how seccomp names it, and its number of socket(2)."""
_IO_URING_SETUP = 425
"""It opens sockets without socket(2)."""
_ALLOW, _ERRNO_EACCES = 0x7FFF0000, 0x00050000 | 13


def confine(limits: Mapping[str, int], writable: Sequence[str], account: int | None) -> None:
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


def account_of(pid: int) -> int | None:
    """The user that what a process watches over runs as, where it is root: root's own processes have no limit.

    One for each process: those of another would count as well. None where it is not root, or a container does not let
    it become another user who can read what Python needs: that is tried.
    """
    if not LINUX or os.getuid() != 0:
        return None
    account = _UIDS[pid % len(_UIDS)]
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
    return account if os.waitpid(child, 0)[1] == 0 else None


def _become(account: int) -> None:
    """Be that user, who may read all files: root's Python often lies where others may not look.

    What is really to be read is for Landlock to say.
    """
    kernel = ctypes.CDLL(None, use_errno=True)
    kernel.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(account, account, account)
    os.setresuid(account, account, account)
    header, bit = struct.pack("=Ii", 0x20080522, 0), 1 << _CAP_DAC_READ_SEARCH
    kernel.capset(header, struct.pack("=6I", bit, bit, bit, 0, 0, 0))
    kernel.prctl(_PR_CAP_AMBIENT, 2, _CAP_DAC_READ_SEARCH, 0, 0)


def _set(which: int, most: int, beyond: int = 0) -> None:
    """The soft limit, and the hard one `beyond` it: SIGXCPU says more than SIGKILL. Never above what is set already."""
    hard = resource.getrlimit(which)[1]
    held = most + beyond if hard == resource.RLIM_INFINITY else min(most + beyond, hard)
    resource.setrlimit(which, (min(most, held), held))


def _own_count(account: int | None) -> bool:
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
    for path in (*_READING, sys.base_prefix, str(Path(sys.executable).resolve().parent)):
        _allow(kernel, made, path, _FS_READ)
    for path in _DEVICES:
        _allow(kernel, made, path, _FS_OF_FILES & rights)
    for path in writable:
        _allow(kernel, made, path, rights)
    kernel.syscall(_LANDLOCK_RESTRICT, made, 0)
    os.close(made)


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
    """Sockets of this machine's own (AF_UNIX) only; on machines whose numbers we know."""
    if (known := _SYSCALLS.get(platform.machine())) is None:
        return
    arch, socket = known
    # code, jump if true, jump if false, operand: struct sock_filter. 0x20 loads a word of struct seccomp_data,
    # 0x15 compares for equality, 0x35 for >=, 0x06 returns.
    program = [
        (0x20, 0, 0, 4),
        (0x15, 0, 7, arch),
        (0x20, 0, 0, 0),
        (0x35, 5, 0, 0x40000000),  # x32's numbers of the same calls
        (0x15, 4, 0, _IO_URING_SETUP),
        (0x15, 0, 2, socket),
        (0x20, 0, 0, 16),
        (0x15, 0, 1, 1),
        (0x06, 0, 0, _ALLOW),
        (0x06, 0, 0, _ERRNO_EACCES),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in program))
    shape = struct.pack("@HP", len(program), ctypes.addressof(code))
    kernel.prctl(_PR_SET_SECCOMP, 2, ctypes.c_char_p(shape), 0, 0)
