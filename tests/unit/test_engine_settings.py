"""What a lab writes into daemon.json, and which flags keep an engine in its own folders."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from labsupport.systems.engines.settings import DaemonSettings, EngineFolders


def test_daemon_json_has_the_daemons_own_names_and_only_what_is_set() -> None:
    written = DaemonSettings(storage_driver="vfs", labels=("a=b",)).as_daemon_json()
    assert written == {
        "group": "root",
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        "firewall-backend": "iptables",
        "ip6tables": False,
        "labels": ["a=b"],
        "storage-driver": "vfs",
    }


def test_the_storage_driver_is_the_engines_own_choice_unless_asked_for() -> None:
    assert "storage-driver" not in DaemonSettings().as_daemon_json()


@pytest.mark.parametrize(
    "wrong", [{"storage_driver": ""}, {"log_level": "loud"}, {"firewall_backend": "ipfw"}, {"data_root": "/x"}]
)
def test_a_setting_that_is_no_setting_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        DaemonSettings.model_validate(wrong)


def test_folders_are_given_as_flags() -> None:
    assert EngineFolders(Path("/run/e")).flags(unless_set_in={}) == [
        "--data-root=/run/e/docker",
        "--exec-root=/run/e/exec",
        "--pidfile=/run/e/docker.pid",
        "--host=unix:///run/e/docker.sock",
    ]


def test_no_flag_repeats_a_key_of_daemon_json() -> None:
    flags = EngineFolders(Path("/run/e")).flags(unless_set_in={"data-root": "/other", "hosts": []})
    assert flags == ["--exec-root=/run/e/exec", "--pidfile=/run/e/docker.pid"]
