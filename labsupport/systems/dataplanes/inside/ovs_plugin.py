"""The CNI plugin of the Open vSwitch dataplane: a wire from the pod to a port of the bridge, which is all it does.

Called by the container runtime as the CNI specification says. Who may talk to whom is the agent's work, which learns of
the port from what is noted in the database here. Standard library only: it runs on nodes, where nothing else is.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, __file__.rsplit("/", 5)[0])

from labsupport.errors import LabError
from labsupport.process.commands import Invocation, LocalRunner
from labsupport.systems.dataplanes.inside.addresses import hardware_of
from labsupport.systems.dataplanes.inside.ovs_flows import BRIDGE

NAME = "lab-ovs"
VERSIONS = ("0.4.0", "1.0.0")
_FAILED = 11  # the specification: "try again later"


def port_name(pod: str, address: str) -> str:
    """Name the port after its pod; the end of the address keeps names apart, and an interface has 15 letters."""
    return f"{pod[:7].strip('-.')}-{'-'.join(address.split('.')[2:])}"[:15]


def add(configuration: dict[str, Any], environment: dict[str, str]) -> dict[str, Any]:
    """Connect a pod; return the result as the runtime wants it."""
    runner, inside = LocalRunner(), ["nsenter", f"--net={environment['CNI_NETNS']}", "--"]
    given = json.loads(_ask_ipam(configuration, environment))["ips"][0]
    address, name = given["address"].partition("/")[0], environment["CNI_IFNAME"]
    arguments = dict(each.split("=", 1) for each in environment.get("CNI_ARGS", "").split(";") if "=" in each)
    pod = arguments.get("K8S_POD_NAME", "pod")
    port, hardware, mtu = port_name(pod, address), hardware_of(address), configuration["mtu"]
    lines = [
        f"link add {name} mtu {mtu} address {hardware} type veth peer name {port} mtu {mtu} netns {os.getpid()}",
        f"address add {given['address']} dev {name}",
        f"link set {name} up",
        f"route add default via {given['gateway']}",
    ]
    runner.run([*inside, "ip", "-batch", "-"], invocation=Invocation(stdin="\n".join(lines) + "\n")).or_raise()
    # Open vSwitch hands packets on as the pod sends them: with its checksums, which a virtual card would leave out.
    runner.run([*inside, "ethtool", "-K", name, "tx", "off"]).or_raise()
    runner.run(["ip", "link", "set", port, "up"]).or_raise()
    noted = {"pod": pod, "address": address, "hardware": hardware, "container": environment["CNI_CONTAINERID"]}
    words = ["--", "set", "interface", port, *(f'external_ids:{key}="{value}"' for key, value in noted.items())]
    runner.run(["ovs-vsctl", "--timeout=10", "--may-exist", "add-port", BRIDGE, port, *words]).or_raise()
    return {
        "cniVersion": configuration["cniVersion"],
        "interfaces": [{"name": name, "mac": hardware, "sandbox": environment["CNI_NETNS"]}],
        "ips": [{**given, "interface": 0}],
    }


def delete(configuration: dict[str, Any], environment: dict[str, str]) -> None:
    """Take a pod's port and address back; what is not there is fine."""
    runner = LocalRunner()
    found = f'external_ids:container="{environment["CNI_CONTAINERID"]}"'
    said = runner.run(["ovs-vsctl", "--timeout=10", "--bare", "--columns=name", "find", "interface", found])
    for port in said.stdout.split():
        runner.run(["ovs-vsctl", "--timeout=10", "--if-exists", "del-port", BRIDGE, port])
        runner.run(["ip", "link", "delete", port])
    _ask_ipam(configuration, environment)


def _ask_ipam(configuration: dict[str, Any], environment: dict[str, str]) -> str:
    """Have the plugin for addresses do its part of the same command."""
    program = configuration["ipam"]["type"]
    path = next(
        (found for each in environment["CNI_PATH"].split(":") if (found := Path(each) / program).is_file()), program
    )
    invocation = Invocation(stdin=json.dumps(configuration), environment=environment)
    return LocalRunner().run([str(path)], invocation=invocation).or_raise().stdout


def main() -> int:
    """Do what CNI_COMMAND says; answer on standard output."""
    environment = {name: value for name, value in os.environ.items() if name.startswith("CNI_")}
    configuration = json.load(sys.stdin)
    command = environment.get("CNI_COMMAND")
    try:
        if command == "VERSION":
            print(json.dumps({"cniVersion": VERSIONS[-1], "supportedVersions": VERSIONS}))
        elif command == "ADD":
            print(json.dumps(add(configuration, environment)))
        elif command == "DEL":
            delete(configuration, environment)
    except (LabError, KeyError) as error:
        version = configuration.get("cniVersion", VERSIONS[-1])
        print(json.dumps({"cniVersion": version, "code": _FAILED, "msg": f"{NAME} cannot {command}: {error}"}))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
