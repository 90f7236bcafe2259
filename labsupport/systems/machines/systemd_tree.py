"""What a systemd machine boots from: Debian's systemd, unpacked once into the cache and never written to.

Owns which packages it is made of and which units are switched off: those that would change the computer around it, and
those that cost time and have nothing to do in a machine without disks, seats and users.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from labsupport.process.progress import Listener, Progress, silent
from labsupport.systems.toolchain.catalogue import Platform
from labsupport.systems.toolchain.debian_tree import ORDINARY_PACKAGES, make_tree, recipe_of
from labsupport.systems.toolchain.store import Store

AREA = "systemd-tree"
MEGABYTES = 220
PACKAGES = (*ORDINARY_PACKAGES, "conntrack", "dbus", "ethtool", "kmod", "less", "systemd", "systemd-sysv")
# Accounts and groups that the packages' own scripts would add.
ACCOUNTS = "messagebus:x:100:101::/nonexistent:/usr/sbin/nologin\n"
GROUPS = "messagebus:x:101:\nsystemd-journal:x:102:\n"
SETTINGS = {
    # The kernel's own log is all of the computer's; what daemons log is theirs, and ends with the machine.
    "etc/systemd/journald.conf.d/lab.conf": "[Journal]\nStorage=volatile\nReadKMsg=no\nForwardToSyslog=no\nAudit=no\n"
    "RateLimitIntervalSec=0\n",
    # Counted per cgroup from the first moment, as on a computer that was set up for containers.
    "etc/systemd/system.conf.d/lab.conf": "[Manager]\nDefaultTimeoutStopSec=5s\nStatusUnitFormat=name\n",
    "etc/profile.d/lab.sh": "export SYSTEMD_PAGER= SYSTEMD_COLORS=0\n",
}
SWITCHED_OFF = (
    *("dev-hugepages.mount", "dev-mqueue.mount", "sys-fs-fuse-connections.mount", "sys-kernel-config.mount"),
    *("sys-kernel-debug.mount", "sys-kernel-tracing.mount", "proc-sys-fs-binfmt_misc.automount"),
    *("kmod-static-nodes.service", "modprobe@.service", "systemd-modules-load.service", "systemd-sysctl.service"),
    *("systemd-binfmt.service", "systemd-udevd.service", "systemd-udev-trigger.service"),
    *("systemd-udevd-control.socket", "systemd-udevd-kernel.socket", "systemd-hwdb-update.service"),
    *("systemd-random-seed.service", "systemd-pstore.service", "systemd-remount-fs.service"),
    *("systemd-firstboot.service", "systemd-sysusers.service", "systemd-machine-id-commit.service"),
    *("systemd-tmpfiles-setup-dev.service", "systemd-tmpfiles-clean.timer", "systemd-update-utmp.service"),
    *("systemd-update-utmp-runlevel.service", "systemd-logind.service", "systemd-user-sessions.service"),
    *("systemd-ask-password-console.path", "systemd-ask-password-wall.path", "systemd-initctl.socket"),
    *("systemd-journal-flush.service", "systemd-journal-catalog-update.service", "getty.target"),
)


def ensure_tree(store: Store, listener: Listener = silent) -> Path:
    """Return the file system; make it, once, if it is missing from the cache.

    Raises:
        RequirementMissing: this is not Debian or Ubuntu, or its packages cannot be had.
    """
    key = _key()
    if not (tree := store.root / AREA / key / "root").is_dir():
        listener(Progress(f"Making the systemd machine's system from Debian packages (about {MEGABYTES} MB), once"))
        with store.alone(listener), store.publishing(AREA, key) as made, store.workspace() as work:
            make_tree(made / "root", PACKAGES, work)
            set_up(made / "root")
    return tree


def has_tree(store: Store) -> bool:
    """Whether the file system is in the cache."""
    return store.find(AREA, _key()) is not None


def _key() -> str:
    inputs = [recipe_of(PACKAGES), ACCOUNTS, GROUPS, sorted(SETTINGS.items()), SWITCHED_OFF, str(Platform.here())]
    return hashlib.sha256(repr(inputs).encode()).hexdigest()[:12]


def set_up(
    root: Path,
    *,
    accounts: str = ACCOUNTS,
    groups: str = GROUPS,
    settings: Mapping[str, str] = SETTINGS,
    switched_off: Iterable[str] = SWITCHED_OFF,
) -> None:
    """Make of an unpacked tree a system whose systemd boots quickly; as it is, it changes nothing of the computer.

    Args:
        accounts, groups: lines that the packages' own scripts would add.
        settings: file → its text.
        switched_off: units that never start.
    """
    for name, more in (("passwd", accounts), ("group", groups)):
        with (root / "etc" / name).open("a") as file:
            file.write(more)
    for name, text in settings.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    units = root / "etc/systemd/system"
    for unit in switched_off:
        (units / unit).symlink_to("/dev/null")
    (units / "default.target").symlink_to("/lib/systemd/system/multi-user.target")
