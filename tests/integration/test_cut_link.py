"""The wire of a lab that was killed is cut by the next one, wherever that one is opened."""

import asyncio
from pathlib import Path

import pytest

from labsupport.process.ownership import new_name
from labsupport.systems.machines.links import cut

pytestmark = pytest.mark.needs("machine")


def test_a_wire_that_lingers_is_cut_from_within_an_event_loop_too() -> None:
    """A notebook's cells run inside one."""
    from pyroute2 import IPRoute

    name = new_name()
    with IPRoute() as routes:
        routes.link("add", ifname=name, kind="veth", peer={"ifname": f"p{name}"})

    async def cell() -> None:
        cut(name)

    asyncio.run(cell())
    assert not Path("/sys/class/net", name).exists()
