"""Which engines of the user's can run a container machine, and where they are looked for."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from labsupport.systems.machines.own_engine import NOTHING_LIVE, USUAL_HOST, host_in_use, unfit

PLAIN = {"KernelVersion": os.uname().release, "OperatingSystem": "Debian GNU/Linux 12", "SecurityOptions": None}


def test_a_plain_engine_on_this_computer_will_do() -> None:
    assert unfit(USUAL_HOST, PLAIN) == ""


@pytest.mark.parametrize(
    ("host", "differs", "because"),
    [
        ("tcp://192.0.2.1:2376", {}, "no socket of this computer"),
        (USUAL_HOST, {"OperatingSystem": "Docker Desktop"}, "virtual machine"),
        (USUAL_HOST, {"KernelVersion": "1.2.3"}, "its kernel is 1.2.3"),
        (USUAL_HOST, {"KernelVersion": None}, "not known"),
        (USUAL_HOST, {"SecurityOptions": ["name=rootless"]}, "without real root"),
        (USUAL_HOST, {"SecurityOptions": ["name=userns"]}, "without real root"),
    ],
)
def test_an_engine_that_cannot_share_sockets_and_root_is_refused(
    host: str, differs: dict[str, Any], because: str
) -> None:
    assert because in unfit(host, {**PLAIN, **differs})


def test_the_engine_in_use_is_that_of_the_variable_then_of_the_context_then_the_usual(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    assert host_in_use(tmp_path) == USUAL_HOST
    folder = tmp_path / ".docker/contexts/meta" / hashlib.sha256(b"mine").hexdigest()
    folder.mkdir(parents=True)
    (folder / "meta.json").write_text(json.dumps({"Endpoints": {"docker": {"Host": "unix:///mine.sock"}}}))
    (tmp_path / ".docker/config.json").write_text('{"currentContext": "mine"}')
    assert host_in_use(tmp_path) == "unix:///mine.sock"
    monkeypatch.setenv("DOCKER_HOST", "unix:///said.sock")
    assert host_in_use(tmp_path) == "unix:///said.sock"


def test_what_stands_for_no_live_engine_is_not_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{NOTHING_LIVE}/engine/nothing-is-live")
    assert host_in_use(tmp_path) == USUAL_HOST
