"""Every error a lab raises on purpose. Each says what was tried, what happened, and what to do next.

    LabError                    1  something failed
    ├── UsageError              2  the words are wrong: an unknown notebook, option, experiment
    ├── RequirementMissing      3  this computer lacks something; the message says which and how to get it
    ├── CommandFailed           1  a command ended with an exit code it must not have
    ├── WaitExpired             1  a deadline passed before the awaited thing happened
    ├── ToolchainError          1  a tool could not be downloaded, verified, built or stored
    ├── MachineError            1  a machine did not start, or ended by itself
    ├── EngineError             1  an engine did not start, or refused
    ├── ClusterError            1  a cluster did not start, or refused
    ├── EvidenceError           1  evidence cannot be read: tampered with, or of another schema
    │   └── NotRecorded         1  nothing was recorded for this step; replay never invents
    └── LedgerError             1  a run's verdict differs from the ledger's, or the ledger is malformed

The number is the exit code of the command line.
"""


class LabError(Exception):
    """Base of all errors raised on purpose.

    Args:
        tried: what was attempted; a command someone can paste, where there is one.
        happened: what was seen instead of success.
        do: the next step for the reader.
    """

    exit_code = 1

    def __init__(self, tried: str, happened: str, do: str) -> None:
        super().__init__(tried, happened, do)
        self.tried = tried
        self.happened = happened
        self.do = do

    def __str__(self) -> str:
        return f"Tried: {self.tried}\nWhat happened: {self.happened}\nWhat to do: {self.do}"


class UsageError(LabError):
    exit_code = 2


class RequirementMissing(LabError):
    exit_code = 3


class CommandFailed(LabError):
    pass


class WaitExpired(LabError):
    pass


class ToolchainError(LabError):
    pass


class MachineError(LabError):
    pass


class EngineError(LabError):
    pass


class ClusterError(LabError):
    pass


class EvidenceError(LabError):
    pass


class NotRecorded(EvidenceError):
    pass


class LedgerError(LabError):
    pass
