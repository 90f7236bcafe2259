"""The wire between this computer and a machine, and the switch that inner machines hang on.

The wire is a veth pair in a link-local /30 of its own; its end on this computer has the lab's name, so that an
inventory finds it, and the kernel removes it with the machine's network namespace. The switch is a bridge in a network
namespace of its own inside the machine: packets between inner machines never meet the firewall rules of an engine.
"""

import ipaddress
import re
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from labsupport.errors import MachineError, WaitExpired
from labsupport.process.at_once import each_at_once
from labsupport.process.commands import Invocation, Runner
from labsupport.process.ownership import locked
from labsupport.process.waiting import wait_until

# 169.254.0 and .255 are reserved; 169 and 170 hold the metadata services of clouds.
_AVOIDED_THIRD_NUMBERS = frozenset({0, 169, 170, 255})
_LINK_LOCAL = ipaddress.IPv4Network("169.254.0.0/16")
# Of wires there can be at once: a /30 each.
LARGEST_NUMBER = (256 - len(_AVOIDED_THIRD_NUMBERS)) * 64
SWITCH = "switch"
# Where `ip netns` keeps it, for whoever looks inside from the machine.
SWITCH_FILE = f"/run/netns/{SWITCH}"


@dataclass(frozen=True)
class Link:
    """A /30: this computer's address in it, and the machine's."""

    network: str

    @property
    def host_address(self) -> str:
        return str(ipaddress.IPv4Network(self.network)[1])

    @property
    def address(self) -> str:
        return str(ipaddress.IPv4Network(self.network)[2])


def choose_link(name: str, taken: Collection[str]) -> Link:
    """Return a /30 that overlaps none of the networks in `taken`; where the search begins depends on the name.

    Raises:
        MachineError: all are taken.
    """
    busy = [ipaddress.IPv4Network(network) for network in taken]
    start = int(name.rpartition("-")[2], 16)
    for network in _candidates(start):
        if not any(network.overlaps(other) for other in busy):
            return Link(str(network))
    raise MachineError(
        f"find two free link-local addresses for {name}",
        f"all of {_LINK_LOCAL} is in use, by {len(busy)} networks",
        "end labs that nobody uses: `./lab status`, `./lab down`, `./lab clean`",
    )


def _candidates(start: int) -> Iterator[ipaddress.IPv4Network]:
    blocks = 1 << 14
    for offset in range(blocks):
        first = int(_LINK_LOCAL.network_address) + 4 * ((start + offset) % blocks)
        if (first >> 8) & 0xFF not in _AVOIDED_THIRD_NUMBERS:
            yield ipaddress.IPv4Network((first, 30))


def networks_in_use(routes: Path = Path("/proc/net/route")) -> set[str]:
    """Return the link-local networks this computer has routes to, other than the whole range."""
    found = set()
    for line in routes.read_text().splitlines()[1:]:
        fields = line.split()
        address, mask = (int.from_bytes(bytes.fromhex(fields[index]), "little") for index in (1, 7))
        network = ipaddress.IPv4Network((address, mask.bit_count()))
        if network.subnet_of(_LINK_LOCAL) and network != _LINK_LOCAL:
            found.add(str(network))
    return found


def connect(name: str, link: Link, pid: int, host: Runner) -> None:
    """Make the wire: one end here, called `name`; the other, `eth0`, in the network namespace of process `pid`."""
    _ip(
        host,
        f"link add name {name} type veth peer name eth0 netns {pid}",
        f"address add {link.host_address}/30 dev {name}",
        f"link set dev {name} up",
    )


def configure_inside(link: Link, pid: int, host: Runner) -> None:
    commands = ("link set lo up", f"address add {link.address}/30 dev eth0", "link set eth0 up")
    _ip(host, *commands, prefix=("nsenter", f"--net=/proc/{pid}/ns/net", "--"))


def cut(name: str) -> None:
    """Have the wire of an ended machine gone. The kernel does that by itself, unless connections still linger in it."""
    interface = Path("/sys/class/net") / name
    try:
        wait_until(lambda: not interface.exists(), f"{name} to go by itself", within_seconds=0.05, every_seconds=0.002)
    except WaitExpired:
        # In a thread: pyroute2 runs an event loop of its own, which a notebook's thread, having one, refuses.
        each_at_once(_delete, [name])
        wait_until(lambda: not interface.exists(), f"the interface {name} to go", within_seconds=60, every_seconds=0.01)


def _delete(name: str) -> None:
    from pyroute2 import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

    with IPRoute() as routes, suppress(NetlinkError):  # it may go while we ask
        for index in routes.link_lookup(ifname=name):
            routes.link("del", index=index)


def make_switch(folder: Path, network: ipaddress.IPv4Network, runner: Runner) -> None:
    """Make the switch of the machine with this run folder, unless it is there: a bridge in a namespace of its own.

    The machine's own end of the wire to it is called `nodes` and has the first address of `network`.
    """
    with locked(folder):
        made = folder / "switch"
        if made.exists():
            return
        runner.run(["ip", "netns", "add", SWITCH]).or_raise("`./lab doctor` says what is missing")
        _ip(
            runner,
            f"link add nodes type veth peer name outer netns {SWITCH}",
            f"address add {network[1]}/{network.prefixlen} dev nodes",
            "link set nodes up",
        )
        _ip(
            runner,
            f"link add {SWITCH} type bridge",
            f"link set {SWITCH} up",
            f"link set outer master {SWITCH} up",
            options=("-n", SWITCH),
        )
        made.touch()


def plug_in(name: str, address: str, gateway: str, pid: int, runner: Runner) -> None:
    """Connect the machine whose PID 1 is `pid` (as the machine of `runner` counts) to the switch, at a port `name`."""
    unplug(name, runner)
    _ip(
        runner,
        f"link add name {name} type veth peer name eth0 netns {pid}",
        f"link set dev {name} master {SWITCH} up",
        options=("-n", SWITCH),
    )
    _ip(
        runner,
        "link set lo up",
        f"address add {address} dev eth0",
        "link set eth0 up",
        f"route add default via {gateway}",
        prefix=("nsenter", f"--net=/proc/{pid}/ns/net", "--"),
    )


def unplug(name: str, runner: Runner) -> None:
    """Have the port of an ended machine gone; none there is fine.

    Connections that linger may keep its network for minutes, with the port's name and an address that answers.
    """
    runner.run(["ip", "-n", SWITCH, "link", "delete", name])


def cut_off(name: str, runner: Runner) -> None:
    """Take the inner machine `name` off the switch, as if its cable were pulled."""
    _ip(runner, f"link set dev {name} down", options=("-n", SWITCH))


def connect_again(name: str, runner: Runner) -> None:
    """Put the inner machine `name` back on the switch; never cut off is fine."""
    _ip(runner, f"link set dev {name} up", options=("-n", SWITCH))


def _ip(runner: Runner, *commands: str, prefix: tuple[str, ...] = (), options: tuple[str, ...] = ()) -> None:
    argv = [*prefix, "ip", *options, "-batch", "-"]
    result = runner.run(argv, invocation=Invocation(stdin="\n".join(commands) + "\n"))
    if not result.succeeded:
        failed = re.search(r"-:(\d+)$", result.stderr.strip())
        tried = f"ip {commands[int(failed[1]) - 1]}" if failed else "; ".join(f"ip {each}" for each in commands)
        raise MachineError(tried, result.stderr.strip() or result.stdout.strip(), "`./lab doctor` says what is missing")
