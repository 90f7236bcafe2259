"""Machines and engines for tests: started on demand, ended afterwards, and searched for what they left."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from labsupport.backends import have_images
from labsupport.process.ownership import Owner
from labsupport.systems.engines.engine import Engine
from labsupport.systems.engines.own import OwnEngineTools, use_own_engine
from labsupport.systems.engines.private import start_private_engine
from labsupport.systems.engines.tools import EngineTools
from labsupport.systems.images import Images
from labsupport.systems.inventory import leftovers, take_inventory
from labsupport.systems.machines.machine import Machine
from labsupport.systems.machines.namespaces import start_namespaces_machine
from labsupport.systems.toolchain import Toolchain
from labsupport.systems.visits import start_visit


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


@contextmanager
def own_engine(*images: str) -> Iterator[Engine]:
    """Give an engine as a lab has one that is the user's own; fail if anything of the lab's is left on it."""
    with private_engine() as users:
        before = users.snapshot()
        visit = start_visit(Owner.this_process(), users.host)
        try:
            docker, buildx = toolchain().path("docker"), toolchain().path("docker-buildx")
            programs = OwnEngineTools(docker, buildx, tools().sources)
            engine = use_own_engine(visit.name, visit.folder, programs, users.host, lambda: ())
            have_images(engine, images)
            yield engine
            engine.close()
        finally:
            visit.close()
        assert users.snapshot() == before
