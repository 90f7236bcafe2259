"""The few system calls that Python 3.11 does not offer. Decides nothing; failures are OSErrors that name the call."""

import ctypes
import os

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 1 << 18
MS_SHARED = 1 << 20

_MNT_DETACH = 2
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_OPEN_TREE_CLONE = 1
_MOVE_MOUNT_FROM_EMPTY_PATH = 4
_MOUNT_ATTR_READ_ONLY = 1
_PR_SET_PDEATHSIG = 1

# Since Linux 5 new calls have the same number on every architecture.
_OPEN_TREE = 428
_MOVE_MOUNT = 429
_MOUNT_SETATTR = 442

_libc = ctypes.CDLL(None, use_errno=True)


class _MountAttributes(ctypes.Structure):
    _fields_ = (
        ("set", ctypes.c_uint64),
        ("clear", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("user_namespace", ctypes.c_uint64),
    )


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else os.fsencode(text)


def unshare(flags: int) -> None:
    _checked(_libc.unshare(flags), "unshare")


def die_with_parent(signal_number: int) -> None:
    _checked(_libc.prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0), "prctl")


def mount(source: str | None, target: str, kind: str | None = None, flags: int = 0, options: str | None = None) -> None:
    _checked(
        _libc.mount(_bytes(source), _bytes(target), _bytes(kind), ctypes.c_ulong(flags), _bytes(options)),
        f"mount {kind or source or ''} on {target}",
    )


def detach(target: str) -> None:
    """Take a mount, and all below it, out of sight."""
    _checked(_libc.umount2(_bytes(target), _MNT_DETACH), f"umount {target}")


def clone_tree(path: str) -> int:
    """Return a descriptor of a copy of what is mounted at `path`, to be attached elsewhere later."""
    flags = _OPEN_TREE_CLONE | _AT_RECURSIVE | os.O_CLOEXEC
    return _checked(_libc.syscall(_OPEN_TREE, _AT_FDCWD, _bytes(path), flags), f"open_tree {path}")


def attach_tree(tree: int, target: str) -> None:
    """Mount a cloned tree on `target`, and close it."""
    try:
        arguments = (tree, b"", _AT_FDCWD, _bytes(target), _MOVE_MOUNT_FROM_EMPTY_PATH)
        _checked(_libc.syscall(_MOVE_MOUNT, *arguments), f"move_mount to {target}")
    finally:
        os.close(tree)


def set_read_only(path: str, value: bool, *, recursive: bool) -> None:
    """Let nothing (or anything) be written through the mount at `path`; the file system itself stays as it is."""
    attributes = _MountAttributes(set=_MOUNT_ATTR_READ_ONLY) if value else _MountAttributes(clear=_MOUNT_ATTR_READ_ONLY)
    _checked(
        _libc.syscall(
            _MOUNT_SETATTR,
            _AT_FDCWD,
            _bytes(path),
            _AT_RECURSIVE if recursive else 0,
            ctypes.byref(attributes),
            ctypes.sizeof(attributes),
        ),
        f"mount_setattr {path}",
    )


def change_root(path: str) -> None:
    """Make what is mounted at `path` the root of this mount namespace, and let go of the old one."""
    os.chdir(path)
    _checked(_libc.pivot_root(b".", b"."), f"pivot_root {path}")
    detach(".")
    os.chdir("/")


def enter_mounts(path: str) -> None:
    """Go to another mount namespace, by its file in /proc; the root and the current folder are its root then."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _checked(_libc.setns(descriptor, CLONE_NEWNS), f"setns {path}")
    finally:
        os.close(descriptor)


def set_host_name(name: str) -> None:
    encoded = os.fsencode(name)
    _checked(_libc.sethostname(encoded, len(encoded)), "sethostname")
