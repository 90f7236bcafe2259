"""Machines and engines for tests: started on demand, ended afterwards, and searched for what they left."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from labsupport.process.ownership import Owner
from labsupport.systems.engines.engine import Engine
from labsupport.systems.engines.private import start_private_engine
from labsupport.systems.engines.tools import EngineTools
from labsupport.systems.images import Images
from labsupport.systems.inventory import leftovers, take_inventory
from labsupport.systems.machines.machine import Machine
from labsupport.systems.machines.namespaces import start_namespaces_machine
from labsupport.systems.toolchain import Toolchain


@cache
def toolchain() -> Toolchain:
    return Toolchain()


@cache
def tools() -> EngineTools:
    return EngineTools.of(toolchain())


@contextmanager
def machine() -> Iterator[Machine]:
    """Give a machine; fail if it leaves anything behind."""
    started = start_namespaces_machine(owner=Owner.this_process(), tools=[tools().programs])
    before = take_inventory(started.name)
    try:
        yield started
    finally:
        started.close()
    assert [str(thing) for thing in leftovers(started.name, before)] == []


@contextmanager
def private_engine(*images: str) -> Iterator[Engine]:
    """Give a private engine that has `images`."""
    with machine() as own:
        engine = start_private_engine(own, tools())
        try:
            Images(engine, toolchain()).ensure(*images)
            yield engine
        finally:
            engine.close()
