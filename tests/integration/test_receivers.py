"""The log collectors on a real machine: they listen, come back after a crash and a stall, and end with the machine."""

import signal
from collections.abc import Iterator

import pytest

from labsupport.errors import UsageError
from labsupport.process.commands import Invocation
from labsupport.project import this_project
from labsupport.systems.machines.machine import Machine
from labsupport.systems.receivers.receivers import Receivers
from tests.engines import toolchain
from tests.leaks import leak_checked_machine

pytestmark = [pytest.mark.needs("engine"), pytest.mark.timeout(300)]

OURS = ("fluentd", "gelf", "splunk", "syslog")


@pytest.fixture
def machine() -> Iterator[Machine]:
    found = toolchain()
    tools = [found.bin_folder("machine"), found.bin_folder("syslog")]
    with leak_checked_machine(tools=tools, visible=[found.cache, this_project().root]) as started:
        yield started


def shell(machine: Machine, line: str) -> str:
    return machine.runner.run(["sh", "-c", line]).or_raise().stdout


def pid_of(machine: Machine, name: str) -> str:
    return shell(machine, f"cat /run/receivers/{name}.pid").strip()


def test_they_listen_take_lines_and_forget_them(machine: Machine) -> None:
    receivers = Receivers(machine)
    receivers.start(*receivers.names)
    send = "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(open(0, 'rb').read(), ('127.0.0.1', 12201))"
    message = '{"version": "1.1", "host": "here", "short_message": "first line"}'
    machine.runner.run(["python3", "-c", send], invocation=Invocation(message)).or_raise()
    receivers.wait_for("gelf", "first line")
    receivers.forget()
    assert shell(machine, "cat /var/log/receivers/gelf.jsonl /var/log/syslog") == ""


def test_one_that_was_killed_starts_anew_and_one_that_stalls_goes_on(machine: Machine) -> None:
    receivers = Receivers(machine)
    receivers.start(*OURS)
    before = {name: pid_of(machine, name) for name in OURS}
    shell(machine, f"kill -{signal.SIGKILL:d} {before['fluentd']}; kill -{signal.SIGSTOP:d} {before['splunk']}")
    receivers.start(*OURS)
    after = {name: pid_of(machine, name) for name in OURS}
    assert {name for name in OURS if after[name] != before[name]} == {"fluentd"}
    assert shell(machine, f"cut -d' ' -f3 /proc/{after['splunk']}/stat").strip() != "T"


def test_another_process_finds_them_running(machine: Machine) -> None:
    Receivers(machine).start("gelf")
    first = pid_of(machine, "gelf")
    Receivers(machine).start("gelf")
    assert pid_of(machine, "gelf") == first


def test_an_unknown_name_is_refused(machine: Machine) -> None:
    with pytest.raises(UsageError, match="one of: syslog"):
        Receivers(machine).start("loki")
