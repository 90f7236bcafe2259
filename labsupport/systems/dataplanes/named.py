"""Dataplanes by name."""

from labsupport.errors import UsageError
from labsupport.systems.dataplanes.bgp import Bgp
from labsupport.systems.dataplanes.cilium import NATIVE, TUNNEL, Cilium
from labsupport.systems.dataplanes.dataplane import Dataplane
from labsupport.systems.dataplanes.flannel import BACKENDS, Flannel
from labsupport.systems.dataplanes.mesh import Mesh
from labsupport.systems.dataplanes.nothing import Nothing
from labsupport.systems.dataplanes.ovs import OpenVSwitch
from labsupport.systems.dataplanes.plain import PlainRoutes
from labsupport.systems.dataplanes.product import PRODUCTS_THEMSELVES

# These translate Services themselves: kube-proxy does not run on their nodes.
WITHOUT_KUBE_PROXY = (NATIVE, TUNNEL)


def dataplane_called(name: str) -> Dataplane:
    """Return a dataplane by its name, as evidence has it.

    Raises:
        UsageError: there is none of that name; the message lists them.
    """
    known: list[Dataplane] = [
        PlainRoutes(),
        Nothing(),
        *(Flannel(backend) for backend in BACKENDS),
        Bgp(),
        *(Cilium(name) for name in WITHOUT_KUBE_PROXY),
        OpenVSwitch(),
        Mesh(),
        *PRODUCTS_THEMSELVES,
    ]
    for each in known:
        if each.name == name:
            return each
    names = ", ".join(each.name for each in known)
    raise UsageError(f"connect pods with {name!r}", "there is no such dataplane", f"choose one of: {names}")
