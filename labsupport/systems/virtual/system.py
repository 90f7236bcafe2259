"""What the virtual machine boots: Debian's kernel and modules, and a disk with Debian's systemd and all that labs take.

Made once into the cache, from packages, and never written to: what a start writes is a layer of its own.
"""

import hashlib
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from labsupport.errors import RequirementMissing
from labsupport.process.progress import Listener, Progress, silent
from labsupport.project import this_project
from labsupport.systems.machines.systemd_tree import set_up
from labsupport.systems.toolchain.catalogue import Platform, read_catalogue
from labsupport.systems.toolchain.debian_tree import MERGED, ORDINARY_PACKAGES, make_tree, must, recipe_of
from labsupport.systems.toolchain.store import Store
from labsupport.systems.virtual.first_files import first_files

AREA = "vm"
MEGABYTES = 1100
DISK_GIGABYTES = 24
RELEASE = Path("/etc/os-release")
# A name that Debian or Ubuntu gives the package with its kernel for this processor and all modules.
KERNELS = {"debian": "linux-image-{arch}", "ubuntu": "linux-image-generic"}
PACKAGES = (
    *ORDINARY_PACKAGES,
    *("apt", "busybox-static", "ca-certificates", "conntrack", "dbus", "diffutils", "dmsetup", "dpkg", "e2fsprogs"),
    *("ethtool", "ipset", "kmod", "less", "libdevmapper1.02.1", "openssh-server", "psmisc", "python3", "systemd"),
    *("systemd-sysv", "udev", "xfsprogs"),
)
# Sets of versions.toml that are no part of it: unpacked beside it all the same, or of this computer's only.
BESIDE = ("images", "ssh", "vm-amd64", "vm-arm64")
ACCOUNTS = (
    "messagebus:x:100:101::/nonexistent:/usr/sbin/nologin\nsshd:x:101:65534::/run/sshd:/usr/sbin/nologin\n"
    "syslog:x:102:104::/nonexistent:/usr/sbin/nologin\n"
)
GROUPS = "messagebus:x:101:\nsystemd-journal:x:102:\nkvm:x:103:\nsyslog:x:104:\nrender:x:105:\n"
SETTINGS = {
    "etc/hostname": "lab-vm\n",
    "etc/hosts": "127.0.0.1 localhost lab-vm\n",
    "etc/machine-id": "6c61622d766d2d6c61622d766d2d6c61\n",
    "etc/systemd/journald.conf.d/lab.conf": "[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\n",
    "etc/systemd/system.conf.d/lab.conf": "[Manager]\nDefaultTimeoutStopSec=5s\nStatusUnitFormat=name\n",
    "etc/profile.d/lab.sh": "export SYSTEMD_PAGER= SYSTEMD_COLORS=0\n",
}
# As every Debian has them once its base-files is set up: what writes to /var/run means a place that lasts till the end.
LINKS = {"var/run": "/run", "var/lock": "/run/lock"}
FILES = {
    "usr/lib/lab/settle": "settle",
    "etc/systemd/system/lab-settle.service": "lab-settle.service",
    "etc/systemd/system/lab-ssh.service": "lab-ssh.service",
    "etc/ssh/lab_config": "lab_config",
}
# Nothing to do in a machine that begins anew each time, without seats and users.
SWITCHED_OFF = (
    *(
        "apt-daily.timer",
        "apt-daily-upgrade.timer",
        "dpkg-db-backup.timer",
        "e2scrub_all.timer",
        "e2scrub_reap.service",
    ),
    *("fstrim.timer", "getty.target", "systemd-ask-password-console.path", "systemd-ask-password-wall.path"),
    *("systemd-binfmt.service", "systemd-firstboot.service", "systemd-hwdb-update.service", "systemd-logind.service"),
    *("systemd-machine-id-commit.service", "systemd-pstore.service", "systemd-random-seed.service"),
    *("systemd-journal-flush.service", "systemd-journal-catalog-update.service", "systemd-remount-fs.service"),
    *("systemd-sysusers.service", "systemd-tmpfiles-clean.timer", "systemd-update-utmp.service"),
    *("systemd-update-utmp-runlevel.service", "systemd-user-sessions.service"),
)
# Drivers of things that a virtual machine is not given; and what nobody reads there.
LEFT_OUT = (
    *("kernel/drivers/gpu", "kernel/drivers/infiniband", "kernel/drivers/media", "kernel/drivers/staging"),
    *("kernel/drivers/net/ethernet", "kernel/drivers/net/wireless", "kernel/drivers/scsi", "kernel/drivers/usb"),
    *("kernel/drivers/ata", "kernel/drivers/cpufreq", "kernel/drivers/i2c", "kernel/drivers/watchdog"),
    *("kernel/drivers/iio", "kernel/drivers/hwmon", "kernel/drivers/input", "kernel/drivers/isdn", "kernel/sound"),
)
UNREAD = ("doc", "info", "lintian", "locale", "man")


@dataclass(frozen=True)
class System:
    """Files of the cache that a virtual machine is started with; `release` is the kernel's own name of its version."""

    kernel: Path
    first_files: Path
    disk: Path
    release: str


def ensure_system(store: Store, listener: Listener = silent) -> System:
    """Return what a virtual machine boots; make it, once, if it is missing from the cache.

    Raises:
        RequirementMissing: this is not Debian or Ubuntu, or its packages cannot be had.
        ToolchainError: the disk has no room.
    """
    folder = store.root / AREA / _key()
    if not folder.is_dir():
        listener(Progress(f"Making the virtual machine's system from Debian packages ({MEGABYTES} MB of disk), once"))
        with store.alone(listener), store.publishing(AREA, _key()) as made, store.workspace() as work:
            store.require_space(3 * MEGABYTES, "make the virtual machine's system")
            _make(work / "root", made, work)
    release = (folder / "release").read_text()
    return System(folder / "kernel", folder / "first-files", folder / "disk", release)


def packages() -> tuple[str, ...]:
    """All packages on its disk: those of the sets that a lab unpacks elsewhere too, as their libraries are this way."""
    sets = read_catalogue().debian
    of_sets = [name for key, each in sets.items() if key not in BESIDE and not each.always for name in each.packages]
    return tuple(sorted({*PACKAGES, *of_sets, _kernel_package()}))


def _kernel_package() -> str:
    return kernel_package(RELEASE.read_text() if RELEASE.exists() else "", Platform.here().arch)


def kernel_package(release: str, arch: str) -> str:
    """The package with the kernel, where os-release says this: of the system itself, else of what it is made from."""
    said = dict(line.split("=", 1) for line in release.splitlines() if "=" in line)
    names = [name for key in ("ID", "ID_LIKE") for name in said.get(key, "").strip("\"'").split()]
    return next((KERNELS[name] for name in names if name in KERNELS), KERNELS["debian"]).format(arch=arch)


def kernel_alone(depends: str) -> list[str]:
    """The packages with the kernel and its modules, of what `apt-cache depends` says of one that stands for them.

    Ubuntu's also takes firmware, half a gigabyte for devices that a virtual machine has not.
    """
    return re.findall(r"^ *\|?Depends: (linux-(?:image|modules)-\S+)$", depends, re.MULTILINE)


def _packages_to_unpack() -> list[str]:
    kernel = _kernel_package()
    alone = [kernel]
    if kernel == KERNELS["ubuntu"]:
        alone = kernel_alone(must(["apt-cache", "depends", kernel]).stdout) or alone
    return [*(name for name in packages() if name != kernel), *alone]


def _make(root: Path, made: Path, work: Path) -> None:
    make_tree(root, _packages_to_unpack(), work)
    shutil.rmtree(work / "packages")
    _merge(root)
    release = _one([path.name for path in (root / "lib/modules").iterdir()], "kernel")
    _thin_out(root, release)
    _must_inside(root, "kmod", "depmod", "-b", str(root), release)
    _set_up(root)
    shutil.move(root / "boot" / f"vmlinuz-{release}", made / "kernel")
    (root / "boot" / f"System.map-{release}").unlink(missing_ok=True)
    (made / "first-files").write_bytes(first_files(root, release, _file("init")))
    with (made / "disk").open("wb") as disk:
        disk.truncate(DISK_GIGABYTES << 30)
    # Without a journal: what is on it ends with the machine.
    words = ("-q", "-t", "ext4", "-m", "0", "-O", "^has_journal", "-E", "root_owner=0:0", "-d", str(root))
    _must_inside(root, "mke2fs", "mke2fs", *words, str(made / "disk"))
    (made / "release").write_text(release)


def _set_up(root: Path) -> None:
    set_up(root, accounts=ACCOUNTS, groups=GROUPS, settings=SETTINGS, switched_off=SWITCHED_OFF)
    for name, target in LINKS.items():
        shutil.rmtree(root / name, ignore_errors=True)
        (root / name).symlink_to(target)
    for name, source in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(_file(source))
    (root / "usr/lib/lab/settle").chmod(0o755)
    wanted = root / "etc/systemd/system/multi-user.target.wants"
    wanted.mkdir(exist_ok=True)
    (wanted / "lab-ssh.service").symlink_to("../lab-ssh.service")


def _merge(root: Path) -> None:
    """Have /bin, /sbin and /lib be links, as in every Debian since 12: packages of that release still bring folders."""
    for name in MERGED:
        folder = root / name
        if folder.is_dir() and not folder.is_symlink():
            must(["cp", "--archive", "--link", f"{folder}/.", str(root / "usr" / name)])
            shutil.rmtree(folder)
            folder.symlink_to(f"usr/{name}")


def _thin_out(root: Path, release: str) -> None:
    for name in LEFT_OUT:
        shutil.rmtree(root / "lib/modules" / release / name, ignore_errors=True)
    for name in UNREAD:
        shutil.rmtree(root / "usr/share" / name, ignore_errors=True)


def _must_inside(root: Path, program: str, called: str, *words: str) -> None:
    """Run a program of the system with libraries of the system: this computer may have neither."""
    loader = _one([str(path) for path in (root / "usr/lib").glob("*/ld-linux-*.so.*")], "loader of programs")
    libraries = ":".join(str(path) for path in (root / "usr/lib").glob("*-linux-*") if path.is_dir())
    path = next(path for path in (root / "usr/sbin" / program, root / "usr/bin" / program) if path.is_file())
    must([loader, "--argv0", called, "--library-path", libraries, str(path), *words])


def _one(found: Sequence[str], what: str) -> str:
    if len(found) == 1:
        return found[0]
    raise RequirementMissing(
        f"find the {what} of the virtual machine", f"its packages have {len(found)}: {', '.join(found)}", "tell us"
    )


def _file(name: str) -> bytes:
    return (this_project().root / "toolchain/images/vm" / name).read_bytes()


def _key() -> str:
    files = [_file(name) for name in ("init", *FILES.values())]
    settings = [ACCOUNTS, GROUPS, LINKS, sorted(SETTINGS.items()), SWITCHED_OFF, LEFT_OUT, UNREAD, DISK_GIGABYTES]
    inputs = [recipe_of(packages()), files, settings, str(Platform.here())]
    return hashlib.sha256(repr(inputs).encode()).hexdigest()[:12]
