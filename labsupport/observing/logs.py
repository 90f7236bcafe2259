"""The log collectors of a lab, as a trial uses them; in replay there are none, and nothing has to be awaited."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from labsupport.experiments.trial import Trial

if TYPE_CHECKING:
    from labsupport.systems.machines.machine import Machine
    from labsupport.systems.receivers.receivers import Receivers


class LogReceivers:
    """The collectors on the machine of the lab's engine: syslog, fluentd, gelf, splunk, cloudwatch."""

    def __init__(self, trial: Trial, machine: Callable[[], "Machine"]) -> None:
        self._receivers = _receivers(machine()) if trial.is_live else None
        self.start()
        if self._receivers is not None:
            self._receivers.forget()

    def start(self, *names: str) -> None:
        """Have these run and listen, all if none is named; one that was killed starts anew, one that stalls goes on."""
        if self._receivers is not None:
            self._receivers.start(*(names or self._receivers.names))

    def wait_for(self, name: str, text: str, lines: int = 1) -> None:
        """Return when a collector has written `lines` lines with this text.

        Raises:
            WaitExpired: it has not, in time.
        """
        if self._receivers is not None:
            self._receivers.wait_for(name, text, lines)


def _receivers(machine: "Machine") -> "Receivers":
    from labsupport.systems.receivers.receivers import Receivers

    return Receivers(machine)
