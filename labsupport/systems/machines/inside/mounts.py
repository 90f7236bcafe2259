"""What the machine sees as its files: the computer's, read-only, with private folders wherever anything is written."""

import errno
import os
import shutil
import stat
from typing import Any

from labsupport.systems.machines.inside import kernel
from labsupport.systems.machines.inside.cgroups import Hierarchy, mounts_inside

# Written by daemons, and never the user's own: each is an empty folder of the run folder (name, mode).
PRIVATE_FOLDERS = {"/tmp": 0o1777, "/var/tmp": 0o1777, "/var/log": 0o755, "/var/lib": 0o755}
# Small files are added to these; what the computer has there shows through.
OVERLAID_FOLDERS = ("/etc", "/opt")
# Settings of the user's own engine and cluster, which the machine's must not read.
FORGOTTEN_SETTINGS = ("docker", "containerd", "cni", "kubernetes", "containers", "rancher")
# kubelet insists on these values of settings that all of the computer shares: it reads them here, and writes nothing.
KERNEL_SETTINGS = {
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
}
LOOP_DEVICES = 64
_LOOP_MAJOR = 7


class MachineFiles:
    """Builds the machine's view, step by step, in a new mount namespace whose mounts do not spread."""

    def __init__(self, folder: str, settings: dict[str, Any], all_hierarchies: list[Hierarchy]) -> None:
        self.folder = folder
        self.name: str = settings["name"]
        self.resolver: str = settings["resolver"]
        self.writable: list[str] = settings["writable"]
        self.visible: list[str] = settings["visible"]
        self.depth: int = settings["depth"]
        self.hierarchies = all_hierarchies

    def build(self) -> None:
        kernel.mount(None, "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
        kept = {path: kernel.clone_tree(path) for path in self._kept_paths()}
        private = {path: kernel.clone_tree(self._private_folder(path, mode)) for path, mode in PRIVATE_FOLDERS.items()}
        kernel.set_read_only("/", True, recursive=True)
        # Overlays must not pile up: an inner machine starts from what the outer one laid its own over.
        self._hide("/run", "/proc", "/sys", *PRIVATE_FOLDERS, *(OVERLAID_FOLDERS if self.depth else ()))
        kernel.mount("proc", "/proc", "proc", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)
        self._mount_devices()
        self._mount_kernel_view()
        kernel.mount("tmpfs", "/run", "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=755")
        os.makedirs("/run/lock")
        for path, tree in private.items():
            kernel.attach_tree(tree, path)
        self._overlay_settings()
        for path, tree in kept.items():
            _attach_where_hidden(tree, path)
            kernel.set_read_only(path, path not in self.writable, recursive=True)
        self._hold_kernel_settings()
        kernel.mount(None, "/", None, kernel.MS_REC | kernel.MS_SHARED)

    def _kept_paths(self) -> list[str]:
        hidden = ("/run", *PRIVATE_FOLDERS)
        seen = [path for path in self.visible if any(_is_below(path, folder) for folder in hidden)]
        return [*self.writable, *seen]

    def _private_folder(self, path: str, mode: int) -> str:
        folder = f"{self.folder}/private{path}"
        os.makedirs(folder, exist_ok=True)
        os.chmod(folder, mode)
        return folder

    def _hide(self, *folders: str) -> None:
        # Mounts of the computer below a folder that gets another face would be kept busy, and confuse who lists them.
        for path in _mount_points():
            if any(_is_below(path, folder) for folder in folders):
                try:
                    kernel.detach(path)
                except OSError as error:
                    # Gone already, along with the mount that it was below.
                    if error.errno not in (errno.EINVAL, errno.ENOENT):
                        raise

    def _mount_devices(self) -> None:
        """Give the machine a /dev of its own, as no socket or node made there may appear in the computer's."""
        new = "/run"  # gets its own face later
        kernel.mount("tmpfs", new, "tmpfs", kernel.MS_NOSUID, "mode=755")
        _copy_nodes("/dev", new)
        for index in range(LOOP_DEVICES):
            if not os.path.lexists(f"{new}/loop{index}"):
                os.mknod(f"{new}/loop{index}", stat.S_IFBLK | 0o660, os.makedev(_LOOP_MAJOR, index))
        for name in ("shm", "pts", "mqueue"):
            os.makedirs(f"{new}/{name}", exist_ok=True)
        tree = kernel.clone_tree(new)
        kernel.detach(new)
        self._hide("/dev")
        kernel.attach_tree(tree, "/dev")
        kernel.mount(
            "devpts", "/dev/pts", "devpts", kernel.MS_NOSUID | kernel.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620"
        )
        kernel.mount("tmpfs", "/dev/shm", "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=1777")
        kernel.mount("mqueue", "/dev/mqueue", "mqueue", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)

    def _mount_kernel_view(self) -> None:
        careful = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
        kernel.mount("sysfs", "/sys", "sysfs", careful)
        for kind, path, options in mounts_inside(self.hierarchies):
            if path != "/sys/fs/cgroup":
                os.makedirs(path, exist_ok=True)
            kernel.mount(kind, path, kind, careful, options)

    def _overlay_settings(self) -> None:
        layers = "/run/layers"
        os.makedirs(layers, mode=0o700)
        for folder in OVERLAID_FOLDERS:
            if not os.path.isdir(folder):
                continue
            upper, work = f"{layers}{folder}/upper", f"{layers}{folder}/work"
            os.makedirs(upper)
            os.makedirs(work)
            shutil.copymode(folder, upper)
            options = f"lowerdir={folder},upperdir={upper},workdir={work}"
            kernel.mount("overlay", folder, "overlay", 0, options)
        for name in FORGOTTEN_SETTINGS:
            shutil.rmtree(f"/etc/{name}", ignore_errors=True)
            os.makedirs(f"/etc/{name}", exist_ok=True)
        os.makedirs("/etc/cni/net.d")
        _replace("/etc/hostname", f"{self.name}\n")
        _replace("/etc/hosts", f"127.0.0.1 localhost\n::1 localhost ip6-localhost\n127.0.1.1 {self.name}\n")
        _replace("/etc/resolv.conf", self.resolver)
        _replace("/etc/machine-id", f"{_identity(self.name)}\n")

    def _hold_kernel_settings(self) -> None:
        """Make the settings that all of the computer shares read-only; those of this network namespace stay ours."""
        os.makedirs("/run/settings", mode=0o700)
        kernel.mount("/proc/sys", "/proc/sys", None, kernel.MS_BIND)
        kernel.set_read_only("/proc/sys", True, recursive=False)
        kernel.mount("/proc/sys/net", "/proc/sys/net", None, kernel.MS_BIND)
        kernel.set_read_only("/proc/sys/net", False, recursive=False)
        for entry, value in KERNEL_SETTINGS.items():
            held = f"/run/settings/{entry.replace('/', '.')}"
            _replace(held, f"{value}\n")
            if os.path.exists(f"/proc/sys/{entry}"):
                kernel.mount(held, f"/proc/sys/{entry}", None, kernel.MS_BIND)


def _attach_where_hidden(tree: int, path: str) -> None:
    """Mount a kept tree at its own path again."""
    if not os.path.exists(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if stat.S_ISDIR(os.fstat(tree).st_mode):
            os.makedirs(path)
        else:
            _replace(path, "")
    kernel.attach_tree(tree, path)


def _copy_nodes(source: str, target: str) -> None:
    for entry in os.scandir(source):
        there = f"{target}/{entry.name}"
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), there)
            continue
        found = entry.stat(follow_symlinks=False)
        if stat.S_ISDIR(found.st_mode):
            if entry.name not in ("shm", "pts", "mqueue", "hugepages"):
                os.mkdir(there)
                _copy_nodes(entry.path, there)
        elif stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode):
            os.mknod(there, found.st_mode, found.st_rdev)
            os.chmod(there, stat.S_IMODE(found.st_mode))
            os.chown(there, found.st_uid, found.st_gid)


def _replace(path: str, text: str) -> None:
    # A link to the computer's /run would lead nowhere here.
    if os.path.lexists(path):
        os.unlink(path)
    with open(path, "w") as target:
        target.write(text)


def _identity(host_name: str) -> str:
    return "".join(f"{byte:02x}" for byte in (host_name.encode() * 16)[:16])


def _mount_points() -> list[str]:
    with open("/proc/self/mountinfo") as lines:
        return [line.split()[4].encode().decode("unicode_escape") for line in lines]


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")
