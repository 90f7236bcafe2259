"""Which features the running kernel has, or would load when asked. Reads what the kernel and its modules say.

Where they say nothing (no build configuration, no modules folder, as in many containers), network devices are tried in
a network namespace that is thrown away.
"""

import contextlib
import gzip
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from labsupport.process.commands import Invocation, Runner


@dataclass(frozen=True)
class Feature:
    """A part of the kernel: the option it is built with, its module, and what experiments want it for."""

    name: str
    option: str
    module: str
    purpose: str
    device_kind: str = ""


FEATURES = (
    Feature("overlay file system", "OVERLAY_FS", "overlay", "images and containers"),
    Feature("btrfs", "BTRFS_FS", "btrfs", "the btrfs storage driver"),
    Feature("xfs", "XFS_FS", "xfs", "copies of files that share their blocks"),
    Feature("loop devices", "BLK_DEV_LOOP", "loop", "file systems in a file"),
    Feature("bridge", "BRIDGE", "bridge", "container networks", "bridge"),
    Feature("bridge firewalling", "BRIDGE_NETFILTER", "br_netfilter", "policies between containers of one node"),
    Feature("veth", "VETH", "veth", "every container's network", "veth"),
    Feature("vxlan", "VXLAN", "vxlan", "overlay networks, Flannel, Calico", "vxlan"),
    Feature("macvlan", "MACVLAN", "macvlan", "the macvlan network driver", "macvlan"),
    Feature("ipvlan", "IPVLAN", "ipvlan", "the ipvlan network driver", "ipvlan"),
    Feature("IPsec (ESP)", "INET_ESP", "esp4", "encrypted overlay networks"),
    Feature("nftables", "NF_TABLES", "nf_tables", "kube-proxy in nftables mode"),
    Feature("iptables", "NETFILTER_XTABLES", "x_tables", "published ports and services"),
    Feature("ipset", "IP_SET", "ip_set", "network policies"),
    Feature("ip_vs", "IP_VS", "ip_vs", "swarm services, kube-proxy in ipvs mode"),
    Feature("netem", "NET_SCH_NETEM", "sch_netem", "delay and loss on purpose"),
    Feature("device-mapper", "BLK_DEV_DM", "dm-mod", "the devicemapper storage driver"),
    Feature("openvswitch", "OPENVSWITCH", "openvswitch", "Open vSwitch in the kernel"),
    Feature("tun", "TUN", "tun", "user-space networks, a way out for a machine"),
    Feature("BPF", "BPF_SYSCALL", "", "Cilium"),
    Feature("BPF type information", "DEBUG_INFO_BTF", "", "Cilium"),
)


@dataclass(frozen=True)
class Verdict:
    available: bool
    because: str


class KernelFeatures:
    """What this kernel says of itself; each source is read once."""

    def __init__(self, runner: Runner, root: Path = Path("/"), release: str | None = None) -> None:
        self._runner = runner
        self._root = root
        self.release = release or os.uname().release

    def verdict(self, feature: Feature) -> Verdict:
        """Say whether the kernel has a feature, and how that is known."""
        if self._configuration:
            built = self._configuration.get(feature.option, "n")
            if built == "y":
                return Verdict(True, "built into this kernel")
            if built == "m" and self._has_module(feature.module):
                return Verdict(True, "a module that this kernel loads when asked")
            if built == "m":
                return Verdict(False, f"this kernel was built with it as a module, {feature.module}, which is not here")
            return Verdict(False, f"this kernel ({self.release}) was built without it (CONFIG_{feature.option})")
        if feature.module and self._has_module(feature.module):
            return Verdict(True, "its module is here")
        if (self._root / "sys/module" / feature.module.replace("-", "_")).exists() and feature.module:
            return Verdict(True, "it is loaded")
        if feature.module in self._file_systems:
            return Verdict(True, "listed in /proc/filesystems")
        if feature.device_kind in self._devices_that_work:
            return Verdict(True, "a device of this kind could be made")
        return Verdict(False, f"neither this kernel ({self.release}) nor its modules show it")

    @cached_property
    def _configuration(self) -> dict[str, str]:
        """The options this kernel was built with; empty where it does not tell."""
        for path in (self._root / "proc/config.gz", self._root / f"boot/config-{self.release}"):
            with contextlib.suppress(OSError, EOFError):
                data = path.read_bytes()
                text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
                options = (line.removeprefix("CONFIG_").partition("=") for line in text.splitlines())
                return {name: value for name, _, value in options if value in ("y", "m")}
        return {}

    def _has_module(self, module: str) -> bool:
        return module.replace("-", "_") in self._modules

    @cached_property
    def _modules(self) -> frozenset[str]:
        folder = self._root / "lib/modules" / self.release
        lines: list[str] = []
        for name in ("modules.builtin", "modules.dep"):
            with contextlib.suppress(OSError):
                lines += (folder / name).read_text().splitlines()
        files = (line.partition(":")[0].rpartition("/")[2] for line in lines)
        return frozenset(file.partition(".ko")[0].replace("-", "_") for file in files)

    @cached_property
    def _file_systems(self) -> frozenset[str]:
        try:
            lines = (self._root / "proc/filesystems").read_text().splitlines()
        except OSError:
            return frozenset()
        return frozenset(line.split()[-1] for line in lines)

    @cached_property
    def _devices_that_work(self) -> frozenset[str]:
        if os.geteuid() != 0:
            return frozenset()
        kinds = [feature.device_kind for feature in FEATURES if feature.device_kind]
        lines = ["link add lower type veth peer name other"]
        for kind in kinds:
            options = {"vxlan": " id 7 dstport 4789", "macvlan": "", "ipvlan": ""}.get(kind, "")
            on = " link lower" if kind in ("macvlan", "ipvlan") else ""
            lines.append(f"link add{on} name try-{kind} type {kind}{options}")
        lines.append("link show")
        argv = ["unshare", "--net", "ip", "-force", "-batch", "-"]
        result = self._runner.run(argv, within_seconds=60, invocation=Invocation(stdin="\n".join(lines) + "\n"))
        return frozenset(kind for kind in kinds if f"try-{kind}" in result.stdout)
