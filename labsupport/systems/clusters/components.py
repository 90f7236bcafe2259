"""The programs a cluster is made of, each stoppable and startable alone, and what the log of one that died says."""

import json
import re
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from labsupport.errors import ClusterError, MachineError
from labsupport.process.ownership import ticks_at_start
from labsupport.systems.machines.machine import Host, Service

# klog marks errors E and fatal F; etcd and containerd write level names. The last such lines say why something ended.
_TELLING = re.compile(
    r'^[EF]\d{4} |"level":"(error|fatal|panic)"|level=(error|fatal)|^panic: |^[Ee]rror: |\[(ERROR|FATAL)\]|^plugin/'
)
_KLOG_HEAD = re.compile(r"^[IWEF]\d{4} [\d:.]+ +\d+ ")
_TAIL_LINES = 3
_TAIL_BYTES = 64 << 10


@dataclass
class Component:
    """One program of a cluster.

    Attributes:
        name: kube-scheduler, or kubelet@node-1 for what runs on a node.
        machine: where it runs.
    """

    name: str
    machine: Host
    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    _service: Service | None = None

    @property
    def program(self) -> str:
        return self.name.partition("@")[0]

    def find(self) -> "Component":
        """Take over what another process started; return self."""
        self._service = self.machine.service(self.program)
        return self

    def start(self) -> None:
        """Start it; already running is fine."""
        if not self.is_running():
            self._service = self.machine.start(self.program, self.argv, environment=self.environment)

    def stop(self, *, within_seconds: float = 5) -> None:
        """End it as a service manager would: ask, then kill. Already ended is fine."""
        if self._service is not None and self._service.is_running():
            self._service.stop(within_seconds)

    def kill(self) -> None:
        """End it at once, without asking."""
        if self._service is not None and self._service.is_running():
            self._service.signal(signal.SIGKILL)

    def freeze(self) -> None:
        """Have it stand still: it holds its connections and answers nobody."""
        if self._service is not None and self._service.is_running():
            self._service.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on; not frozen is fine."""
        if self._service is not None and self._service.is_running():
            self._service.signal(signal.SIGCONT)

    def is_running(self) -> bool:
        """Whether it runs. Nothing does on a machine that has ended."""
        try:
            return self._service is not None and self._service.is_running()
        except MachineError:
            return False

    @property
    def exit_code(self) -> int | None:
        return None if self._service is None else self._service.exit_code

    @property
    def pid(self) -> int:
        """Its process as this computer counts.

        Raises:
            ClusterError: it was never started.
        """
        if self._service is None:
            raise ClusterError(f"find the process of {self.name}", "it was never started", "start() it first")
        return self._service.pid

    @property
    def log(self) -> Path:
        return self.machine.folder / "log" / f"{self.program}.log"

    def said(self) -> str:
        """Return what it has written to its log."""
        return self.log.read_text(errors="replace")

    def refuse_if_ended(self, tried: str) -> None:
        """Raise ClusterError with its own last words if it was started and has ended."""
        if self._service is None or _is_there(self._service.pid):
            return  # a look, not a question: this is asked of everything, many times a second
        if (code := self._service.exit_code) is not None:
            said = last_words(self.log)
            happened = f"{self.name} ended with exit code {code}. It said: {said}"
            raise ClusterError(tried, happened, advice(said, self.log))


def _is_there(pid: int) -> bool:
    """Whether a process runs. One that has ended and that its starter has not asked for yet does not."""
    try:
        return ticks_at_start(Path(f"/proc/{pid}/stat").read_text(errors="replace")) is not None
    except OSError:
        return False


def last_words(log: Path) -> str:
    """Return the lines of a log that tell why its program ended: errors, else whatever came last."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            lines = stream.read().decode(errors="replace").splitlines()
    except OSError:
        return "nothing"
    telling = [line for line in lines if _TELLING.search(line)] or [line for line in lines if line.strip()]
    shortened = [_essence(line) for line in telling[-_TAIL_LINES:]]
    return "\n  ".join(["", *dict.fromkeys(shortened)]) if shortened else "nothing"


def _essence(line: str) -> str:
    """Drop time, process and stack of a log line: klog's head, etcd's JSON but for its message and error."""
    try:
        fields = json.loads(line)
        return ": ".join(str(fields[key]) for key in ("msg", "error") if key in fields)
    except (ValueError, TypeError):
        return _KLOG_HEAD.sub("", line)[:400]


def advice(said: str, log: Path) -> str:
    """Say what to do about it, from what it said."""
    for pattern, what in (
        (
            r"address already in use",
            "end what listens there (`ss -ltnp` inside the machine names it), then start again",
        ),
        (
            r"no space left on device|file too large",
            "free some space on the disk that holds the run folder, then start again",
        ),
        (r"read-only file system|permission denied", "make the run folder writable, then start again"),
        (r"cannot allocate memory|out of memory", "free some memory: a cluster takes about 400 MB"),
        (r"cgroup", "`./lab doctor` says which cgroup controllers this computer lacks"),
    ):
        if re.search(pattern, said, re.IGNORECASE):
            return what
    return f"read all of {log}"
