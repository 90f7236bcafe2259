"""Engines for one question: a given daemon.json on an inner machine of its own, gone when the question is answered."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from labsupport.systems.engines.engine import Engine
from labsupport.systems.engines.private import start_daemon
from labsupport.systems.engines.settings import EngineFolders
from labsupport.systems.engines.tools import EngineTools
from labsupport.systems.machines.machine import Machine

_numbers = itertools.count(1)


@contextmanager
def throwaway_engine(
    machine: Machine,
    tools: EngineTools,
    daemon_json: Mapping[str, Any] | str | Path,
    flags: Sequence[str] = (),
) -> Iterator[Engine]:
    """Give an engine started with exactly this daemon.json and these flags; end it, whatever happens.

    Its machine, network namespace, data-root and firewall are its own. Beside the given settings it gets only what
    keeps it apart (data-root, exec-root, pidfile, socket), as flags, and only where the settings leave that open.

    Args:
        daemon_json: settings; or the text, or the path, of a file that need not be valid.

    Raises:
        EngineError: the daemon refused; `happened` holds its own words.
    """
    content = daemon_json.read_text() if isinstance(daemon_json, Path) else daemon_json
    inner = machine.nested(f"engine{next(_numbers)}")
    try:
        engine = start_daemon(inner, tools, EngineFolders(inner.folder / "engine"), content, flags)
        try:
            yield engine
        finally:
            engine.close()
    finally:
        inner.close()
