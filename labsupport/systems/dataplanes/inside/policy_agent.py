"""Keeps a node's firewall as the cluster's NetworkPolicies say: `python -I -S policy_agent.py NODE KUBECONFIG FILE`.

Watches pods, namespaces and policies, and after each change puts the whole table in place at once, by way of FILE.
Standard library only: it runs on nodes, where nothing else is.
"""

import os
import socket
import struct
import sys
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, __file__.rsplit("/", 5)[0])

from labsupport.systems.dataplanes.inside.policy_decisions import decide, not_understood, tell_in_force
from labsupport.systems.dataplanes.inside.policy_rules import ruleset
from labsupport.systems.dataplanes.inside.watching import Server, Watch, say

WATCHED = ("/api/v1/pods", "/api/v1/namespaces", "/apis/networking.k8s.io/v1/networkpolicies")
# Netlink, to the kernel's connection tracking: delete; with nothing named, all. See linux/netfilter/nfnetlink*.h
NETLINK_NETFILTER, CONNTRACK_DELETE, REQUEST_AND_ANSWER = 12, 1 << 8 | 2, 1 | 4


def main(node: str, kubeconfig: str, file: Path) -> None:
    """Follow the cluster for ever."""
    with suppress(OSError):  # a kernel that cannot be asked
        forget_connections()
    for pods, namespaces, policies in Watch(Server(kubeconfig), WATCHED).changes():
        for name in not_understood(policies):
            say(f"{name}: ports by name are not understood, and stay closed")
        decisions = decide(node, pods, namespaces, policies)
        file.write_text(ruleset(decisions))
        code = os.spawnvp(os.P_WAIT, "nft", ["nft", "--file", str(file)])
        if code == 0:
            tell_in_force(file, decisions)
        say(f"{len(policies)} policies, {len(pods)} pods" if code == 0 else f"nft refused {file}: {code}")


def forget_connections() -> None:
    """Have the kernel forget all connections: what pods of before, with the same addresses, were let in by is gone."""
    family = struct.pack("=BBH", socket.AF_INET, 0, 0)
    header = struct.pack("=IHHII", 16 + len(family), CONNTRACK_DELETE, REQUEST_AND_ANSWER, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as kernel:
        kernel.send(header + family)
        kernel.recv(4096)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
