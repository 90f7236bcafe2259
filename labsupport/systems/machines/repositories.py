"""Git repositories that a machine, or this computer, serves to what runs on it."""

import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from labsupport.errors import MachineError
from labsupport.process.waiting import wait_until
from labsupport.systems.machines.machine import Host, Service

DAEMON = "git-daemon"
PORT = 9418


@dataclass(frozen=True)
class Served:
    """A repository being served; `commands` made it, in a folder of its own."""

    url: str
    commands: tuple[str, ...]
    folder: Path
    daemon: Service

    def end(self) -> None:
        """Stop serving, and remove the repository."""
        if self.daemon.is_running():
            self.daemon.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def serve_repository(host: Host, name: str, address: str) -> Served:
    """Make a repository with one file, notes.txt, and serve it at git://ADDRESS/NAME.git; a former one goes.

    Raises:
        CommandFailed: there is no git on it, or it refused.
        WaitExpired: nothing listens at the address.
    """
    folder = host.folder / "repositories"
    with contextlib.suppress(MachineError):
        host.service(DAEMON).stop()
    host.runner.run(["rm", "-rf", str(folder)]).or_raise()
    commands = [
        f"git init --quiet --initial-branch main {folder}/{name}.git",
        f"cd {folder}/{name}.git",
        "echo 'from git' >notes.txt",
        "git add notes.txt",
        "git -c user.name=lab -c user.email=lab@example.invalid commit --quiet --message 'One file'",
    ]
    host.runner.run(["sh", "-ec", "\n".join(commands)]).or_raise("install git, and start a new lab")
    serving = ["git", "daemon", "--reuseaddr", "--export-all", f"--base-path={folder}", f"--listen={address}"]
    daemon = host.start(DAEMON, serving)
    asked = ["git", "ls-remote", f"git://{address}/{name}.git"]
    wait_until(lambda: host.runner.run(asked).succeeded, f"git at {address}", within_seconds=20)
    return Served(f"git://{address}/{name}.git", tuple(commands), folder, daemon)
