"""The small client of an API server, against sockets that say little."""

import socket
import time
from contextlib import closing
from pathlib import Path

import pytest

from labsupport.process.waiting import PATIENCE_VARIABLE
from labsupport.systems.clusters.certificates import Authority
from labsupport.systems.clusters.client_files import write_client_files


@pytest.mark.parametrize(("patience", "waits"), [("1", False), ("8", True)])
def test_where_a_computer_is_slow_an_answer_may_take_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patience: str, waits: bool
) -> None:
    monkeypatch.setenv(PATIENCE_VARIABLE, patience)
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        door = write_client_files(tmp_path, f"https://127.0.0.1:{silent.getsockname()[1]}", Authority())
        began = time.monotonic()
        assert door.status("/version", within_seconds=0.1) == 0
        assert (time.monotonic() - began > 0.5) == waits
