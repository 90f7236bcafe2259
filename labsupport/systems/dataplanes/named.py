"""Dataplanes by name."""

from labsupport.errors import UsageError
from labsupport.systems.dataplanes.bgp import Bgp
from labsupport.systems.dataplanes.dataplane import Dataplane
from labsupport.systems.dataplanes.flannel import BACKENDS, Flannel
from labsupport.systems.dataplanes.nothing import Nothing
from labsupport.systems.dataplanes.plain import PlainRoutes


def dataplane_called(name: str) -> Dataplane:
    """Return a dataplane by its name, as evidence has it.

    Raises:
        UsageError: there is none of that name; the message lists them.
    """
    known: list[Dataplane] = [PlainRoutes(), Nothing(), *(Flannel(backend) for backend in BACKENDS), Bgp()]
    for each in known:
        if each.name == name:
            return each
    names = ", ".join(each.name for each in known)
    raise UsageError(f"connect pods with {name!r}", "there is no such dataplane", f"choose one of: {names}")
