"""What a notebook sees of networks beside commands: topologies, captured frames, and the path of one packet.

Each is an observation of a trial, so evidence keeps it and replay shows it without a machine.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from labsupport.experiments.steps import Observation
from labsupport.experiments.trial import Trial, words_of

if TYPE_CHECKING:
    from labsupport.backends.running import Backends
    from labsupport.systems.engines.engine import Engine
    from labsupport.systems.machines.machine import Machine

FIRST_PORT, LAST_PORT = 8000, 8099


def topologies_seen(trial: Trial, backends: "Backends", engines: Sequence[str]) -> Observation:
    """Return the network of each engine's machine, a record each; without names, that of the lab's own engine."""

    def look() -> list[dict[str, Any]]:
        from labsupport.systems.network.topology import read_topology

        found = []
        for name in engines or ("",):
            engine, machine = _engine_and_machine(backends, name)
            found.append(read_topology(engine, machine.runner, name or "machine"))
        return found

    return trial.observe(f"topology {' '.join(engines)}".strip(), look, repeatable=True)


class FrameCapture:
    """Frames being captured, from the moment this is made until `read`; in replay, nothing is.

    Args:
        interface: of the machine of the lab's engine; or a port of the lab's switch, where `at_the_switch`.
        only: tcpdump's filter.
    """

    def __init__(
        self, trial: Trial, backends: "Backends", name: str, interface: str, only: str, *, at_the_switch: bool
    ) -> None:
        self._trial = trial
        self._name = name
        self._capture = _capture(backends, interface, only, at_the_switch) if trial.is_live else None

    def read(self) -> Observation:
        """End the capture; return its frames, each with its seconds, bytes and layers."""
        assert self._capture is not None or not self._trial.is_live
        return self._trial.observe(self._name, lambda: self._capture.read(), repeatable=True)  # type: ignore[union-attr]


def _capture(backends: "Backends", interface: str, only: str, at_the_switch: bool) -> Any:
    from labsupport.backends.starting import make_toolchain
    from labsupport.systems.machines.links import SWITCH_FILE
    from labsupport.systems.network.capture import Capture

    assert backends.machine is not None
    tcpdump = make_toolchain().path("tcpdump")
    namespace = SWITCH_FILE if at_the_switch else ""
    capture = Capture(backends.machine, tcpdump, interface, only.split(), namespace=namespace)
    backends.places.undo_at_the_end(f"the capture at {interface}", capture.end)
    return capture


def path_seen(trial: Trial, backends: "Backends", engine: str, containers: Sequence[str], command: str) -> Observation:
    """Run a command on `engine` while listening in its machine, in these containers and in its overlays' namespaces.

    Returns:
        {"said", "passages"}: what it printed, and where the first packets of its connection passed, as
        systems/network/tracing.py tells them.
    """

    def look() -> dict[str, Any]:
        from labsupport.backends.starting import make_toolchain
        from labsupport.systems.network.topology import spaces_of
        from labsupport.systems.network.tracing import Trace

        found, machine = _engine_and_machine(backends, engine)
        spaces = spaces_of(found, engine)
        networks = {space.network for space in spaces if space.name in containers}
        wanted = [space for space in spaces if space.name in (engine, *containers) or space.network in networks]
        files = {space.name: space.file for space in wanted if space.kind != "container" or space.name in containers}
        # A container in the machine's own namespace would tell everything twice.
        files = {where: file for where, file in files.items() if not file.endswith("/default")}
        trace = Trace(machine, make_toolchain().path("tcpdump"), files, (FIRST_PORT, LAST_PORT))
        try:
            said = backends.places.runner(engine).run(words_of(command)).stdout
        finally:
            passages = trace.read()
        return {"said": said, "passages": passages}

    return trial.observe(f"path of {command}", look, repeatable=True)


def _engine_and_machine(backends: "Backends", name: str) -> "tuple[Engine, Machine]":
    if name:
        return backends.places.engine(name), backends.places.machine(f"{name}-machine")
    assert backends.engine is not None and backends.machine is not None
    return backends.engine, backends.machine
