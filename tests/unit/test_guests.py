"""Guest containers, as far as nothing runs: which engines will do, what comes back, what passes on a stream."""

import io
import socket
import tarfile
from pathlib import Path
from typing import Any

import pytest
from docker.errors import APIError

from labsupport import guest
from labsupport.backends import LabOptions, Looks, takes_a_guest
from labsupport.errors import EngineError, UsageError
from labsupport.process.ownership import GUEST_VARIABLE
from labsupport.project import Project
from labsupport.systems.capabilities import Capability
from labsupport.systems.guests.container import GuestOptions, _NoSuchSource, _told
from labsupport.systems.guests.copies import unpack
from labsupport.systems.guests.fitness import is_elsewhere, unfit_for_guests
from labsupport.systems.machines.connections import Upgraded

HERE = "unix:///var/run/docker.sock"
DESKTOP = {
    "ApiVersion": "1.54",
    "KernelVersion": "6.12.54-linuxkit",
    "OSType": "linux",
    "OperatingSystem": "Docker Desktop",
    "MemTotal": 8e9,
    "SecurityOptions": ["name=seccomp,profile=unconfined", "name=cgroupns"],
}


def says(available: bool) -> Capability:
    return Capability("it", available, "it was looked at")


def looks(*, namespaces: bool = False, container: bool = False, guest: bool = True) -> Looks:
    return Looks(lambda: says(namespaces), lambda: says(container), lambda: says(guest))


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", HERE)
    monkeypatch.delenv(GUEST_VARIABLE, raising=False)


def test_docker_desktop_will_do() -> None:
    assert unfit_for_guests(HERE, DESKTOP) == ("", "")


@pytest.mark.parametrize(
    ("host", "differs", "because", "change_it"),
    [
        ("ssh://server", {}, "its address is ssh://server", "ssh -NL"),
        (HERE, {"OSType": "windows"}, "runs windows containers", "Linux containers"),
        (HERE, {"ApiVersion": "1.40"}, "too old: API 1.40", "update Docker"),
        (HERE, {"ApiVersion": None}, "too old", "update Docker"),
        (HERE, {"KernelVersion": "5.10.104-linuxkit"}, "older than 5.12", "update"),
        (HERE, {"SecurityOptions": ["name=rootless"]}, "without real root", "docker context use"),
        (HERE, {"SecurityOptions": ["name=userns"]}, "without real root", "docker context use"),
        (HERE, {"MemTotal": 1e9}, "1.0 GB of memory", "Resources"),
    ],
)
def test_an_engine_that_will_not_do_is_told_with_what_changes_it(
    host: str, differs: dict[str, Any], because: str, change_it: str
) -> None:
    said = unfit_for_guests(host, {**DESKTOP, **differs})
    assert because in said[0]
    assert change_it in said[1]


def test_an_engine_that_does_not_answer_is_no_host() -> None:
    assert "nothing answers" in unfit_for_guests(HERE, {})[0]


@pytest.mark.parametrize(
    ("host", "elsewhere"),
    [(HERE, False), ("tcp://127.0.0.1:2375", False), ("tcp://localhost:2375", False), ("tcp://192.0.2.1:2376", True)],
)
def test_another_computer_is_known_by_its_address(host: str, elsewhere: bool) -> None:
    assert is_elsewhere(host) is elsewhere


def test_a_guest_container_is_for_who_can_have_no_machine_here() -> None:
    assert takes_a_guest(LabOptions(), looks())
    assert not takes_a_guest(LabOptions(), looks(namespaces=True))
    assert not takes_a_guest(LabOptions(), looks(container=True))
    assert not takes_a_guest(LabOptions(), looks(guest=False))


def test_asked_for_by_name_it_comes_before_a_machine_of_this_computer() -> None:
    assert takes_a_guest(LabOptions(machine="container"), looks(namespaces=True))
    assert not takes_a_guest(LabOptions(machine="container"), looks(container=True))
    assert not takes_a_guest(LabOptions(machine="none"), looks())


def test_what_is_only_replayed_takes_none() -> None:
    assert not takes_a_guest(LabOptions(engine="replay"), looks())
    assert takes_a_guest(LabOptions(engine="replay", cluster="embedded"), looks())


def test_another_computer_is_used_only_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.1:2376")
    assert not takes_a_guest(LabOptions(), looks())
    assert takes_a_guest(LabOptions(machine="container"), looks())


def test_there_is_no_guest_in_a_guest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(GUEST_VARIABLE, "lab-000000")
    assert not takes_a_guest(LabOptions(), looks())


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("driver failed programming external connectivity: Bind for 127.0.0.1:8888: port is already allocated", "8889"),
        ("ports are not available: exposing port TCP 127.0.0.1:8888 -> listen tcp: address already in use", "8889"),
        ("authorization denied by plugin: privileged containers are not allowed", "Enhanced Container Isolation"),
        ("no space left on device", "correct what it names"),
    ],
)
def test_what_the_engine_answers_becomes_one_message_with_a_next_step(answer: str, error: str, tmp_path: Path) -> None:
    told = _told(APIError("500", explanation=answer), "lab-000000", "image", GuestOptions(Project(tmp_path), port=8888))
    assert answer in str(told)
    assert error in str(told)


@pytest.mark.parametrize(
    "answer",
    [
        'invalid mount config for type "bind": bind source path does not exist: /home/me/lab',
        "Mounts denied: The path /srv/lab is not shared from the host and is not known to Docker.",
    ],
)
def test_a_folder_that_the_engine_does_not_see_is_known(answer: str, tmp_path: Path) -> None:
    told = _told(APIError("400", explanation=answer), "lab-000000", "image", GuestOptions(Project(tmp_path)))
    assert isinstance(told, _NoSuchSource)


def archive(*entries: tarfile.TarInfo | str) -> io.BytesIO:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as files:
        for entry in entries:
            known = entry if isinstance(entry, tarfile.TarInfo) else tarfile.TarInfo(entry)
            known.size = 3 if known.isfile() else 0
            files.addfile(known, io.BytesIO(b"new"))
    made.seek(0)
    return made


def link(name: str, target: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = tarfile.SYMTYPE, target
    return entry


def test_results_come_back_where_they_are_new_or_differ(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work/same").write_text("new")
    (tmp_path / "work/other").write_text("old")
    written = unpack(archive("work/same", "work/other", "work/deep/one"), tmp_path)
    assert written == [tmp_path / "work/other", tmp_path / "work/deep/one"]
    assert (tmp_path / "work/deep/one").read_text() == "new"


def test_what_leads_elsewhere_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    target = tmp_path / "clone"
    target.mkdir()
    (target / "linked").symlink_to(tmp_path / "outside")
    assert unpack(archive("../one", "/tmp/one", "linked/one", link("work", "/etc"), "a/../../one"), target) == []
    assert list((tmp_path / "outside").iterdir()) == []
    assert [path.name for path in target.iterdir()] == ["linked"]


def upgraded(answer: bytes) -> Upgraded:
    here, there = socket.socketpair()
    there.sendall(answer)
    there.shutdown(socket.SHUT_WR)
    return Upgraded(here, "/exec/1/start", {})


def test_what_comes_with_the_answer_is_not_lost() -> None:
    frames = b"\x01\0\0\0\0\0\0\x03one" + b"\x02\0\0\0\0\0\0\x03two"
    stream = upgraded(b"HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\n" + frames)
    assert list(stream.frames()) == [(1, b"one"), (2, b"two")]


def test_a_refused_stream_is_an_error_with_the_engine_s_words() -> None:
    with pytest.raises(EngineError, match="409 Conflict"):
        upgraded(b"HTTP/1.1 409 Conflict\r\n\r\n")


def test_the_address_of_jupyterlab_is_told_once_when_it_is_whole() -> None:
    told: list[str] = []
    watch = guest._watching(told.append)
    for piece in (b"Lab\nJupyterLab: http://127.0.0.1:8888/lab?to", b"ken=abc\r\n", b"JupyterLab: http://x/\n"):
        watch(piece)
    assert told == ["http://127.0.0.1:8888/lab?token=abc"]


def test_the_next_free_port_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert guest.free_port(port) > port


def test_no_free_port_is_told() -> None:
    with pytest.raises(UsageError, match="--port"):
        guest.free_port(70000)
