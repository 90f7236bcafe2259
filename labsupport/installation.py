"""Makes the project's own Python environment, .venv, from requirements.lock. Owns that folder.

The packages come from pip's index, or from a bundle where there is no network.

Runs before anything is installed, so it imports the standard library and this package's plainest modules only.
Set-up is atomic by its stamp: the copy of the lock inside .venv is written last, and without it all begins again.
"""

import fcntl
import os
import pwd
import re
import shlex
import shutil
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from labsupport.bundle import BundleReader
from labsupport.errors import LabError, RequirementMissing, ToolchainError
from labsupport.process.commands import Invocation, LocalRunner
from labsupport.process.progress import Listener, Progress

DOWNLOAD_MEGABYTES = 190
DISK_MEGABYTES = 900
MINUTES = "1 to 3 minutes"
STAMP = "requirements.lock"
CLEAR_LINE = "\r\033[K"


def main() -> int:
    """Make the environment of the project named by the first argument; print progress; return the exit code.

    A second argument is a bundle that has the packages.
    """
    project = Path(sys.argv[1])
    try:
        install(project, _print_progress, bundle=Path(sys.argv[2]) if len(sys.argv) > 2 else None)
    except LabError as error:
        print(f"\n{error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("\nStopped. The next ./lab begins the set-up again.", file=sys.stderr)
        return 130
    return 0


def install(project: Path, listener: Listener, *, bundle: Path | None = None) -> None:
    """Bring .venv in line with requirements.lock; return at once where it is.

    Raises:
        UsageError, ToolchainError: the bundle is none, is for another computer, Python or edition, or is damaged.
        RequirementMissing: the folder is read-only or somebody else's, Debian's python3-venv is missing and we are
            not root, or the packages could not be fetched.
    """
    if not os.access(project, os.W_OK):
        raise RequirementMissing(
            f"make the folder {project / '.venv'}",
            f"{project} is not writable for this user (a read-only mount, or somebody else's clone)",
            "clone the project into a folder of your own and run ./lab there",
        )
    with _alone(project, listener):
        if is_current(project):
            return
        if bundle:
            with BundleReader(bundle) as reader:
                reader.require_useful(project)
        else:
            _ensure_venv_module(listener)
        _become_caller()
        _require_own(project)
        source = f"from {bundle}" if bundle else f"about {DOWNLOAD_MEGABYTES} MB to download"
        listener(
            Progress(
                f"Setting up Python packages in {project / '.venv'}: {source}, "
                f"{DISK_MEGABYTES} MB on disk, {MINUTES}. Once; later starts skip this."
            )
        )
        _make(project, listener, bundle)


def is_current(project: Path) -> bool:
    """Say whether .venv was finished with exactly the lock that is here now."""
    stamp = project / ".venv" / STAMP
    return stamp.is_file() and stamp.read_bytes() == (project / STAMP).read_bytes()


def _make(project: Path, listener: Listener, bundle: Path | None) -> None:
    environment = project / ".venv"
    shutil.rmtree(environment, ignore_errors=True)
    runner = LocalRunner({"PYTHONPATH": "", "PIP_USER": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"})
    # The version's own executable: python3 may point to another version after an upgrade of the system.
    # Debian has no pip for it before python3-venv is installed; a bundle has one.
    options = ["--without-pip"] if bundle else []
    python = os.path.realpath(sys.executable)
    runner.run([python, "-m", "venv", *options, str(environment)], within_seconds=300).or_raise()
    if bundle:
        _install_from_bundle(project, bundle, runner, listener)
    else:
        _install_packages(project, runner, listener, ["-m", "pip", "install"])
    # A relative path, so that the clone can be moved; and no build step, which would need the network.
    site_packages = Path(
        sysconfig.get_path("purelib", "venv", {"base": str(environment), "platbase": str(environment)})
    )
    (site_packages / "labsupport.pth").write_text(f"{os.path.relpath(project, site_packages)}\n")
    half_written = environment / f"{STAMP}.new"
    shutil.copyfile(project / STAMP, half_written)
    half_written.rename(environment / STAMP)
    listener(Progress("Python packages are ready.", 1.0))


def _install_from_bundle(project: Path, bundle: Path, runner: LocalRunner, listener: Listener) -> None:
    wheels = project / ".venv" / "wheels"
    with BundleReader(bundle) as reader:
        reader.take_wheels(wheels)
    pip = str(next(wheels.glob("pip-*.whl")))
    # A wheel of pip runs as it is.
    install = [f"{pip}/pip", "install", "--no-index", "--find-links", str(wheels)]
    _install_packages(project, runner, listener, install)
    python = str(project / ".venv" / "bin" / "python")
    runner.run([python, *install, "--no-deps", "--quiet", pip], within_seconds=300).or_raise()
    shutil.rmtree(wheels)


def _install_packages(project: Path, runner: LocalRunner, listener: Listener, install: Sequence[str]) -> None:
    collecting = Collecting(len(packages_of(project)), listener, 0.8)

    def follow(line: str) -> None:
        collecting(line)
        if line.startswith("Installing collected packages"):
            listener(Progress(f"unpacking {collecting.seen} packages (the longest step, no further news)", 0.8))

    python = str(project / ".venv" / "bin" / "python")
    argv = [python, *install, "--require-hashes", "--no-deps", "--no-input", "--progress-bar", "off"]
    argv += ["--retries", "2", "--requirement", str(project / STAMP)]
    result = runner.stream(argv, follow, invocation=Invocation(folder=project))
    if result.succeeded:
        return
    said = _telling_lines(result.stdout)
    if re.search(r"connection|resolve|timed out|No matching distribution|Network is unreachable", result.stdout, re.I):
        raise RequirementMissing(
            f"download Python packages ({result.command})",
            f"the package index could not be reached, or does not have them: {said}",
            "connect to the network (or set pip's index or proxy for it), then run the same command again",
        )
    raise ToolchainError(result.command, said, "remove the cause named above, then run the same command again")


def packages_of(project: Path) -> list[str]:
    """Return the packages of requirements.lock."""
    return re.findall(r"^(\S+)==", (project / STAMP).read_text(), re.MULTILINE)


class Collecting:
    """Follows the lines of pip while it gets so many packages, which are `share` of the whole work."""

    def __init__(self, total: int, listener: Listener, share: float) -> None:
        self.seen = 0
        self._total = total
        self._listener = listener
        self._share = share

    def __call__(self, line: str) -> None:
        if not line.startswith(("Collecting ", "Processing ")):
            return
        self.seen += 1
        name = Path(line.split()[1]).name.split("==")[0]
        done = self._share * min(self.seen / self._total, 1.0)
        self._listener(Progress(f"package {self.seen} of about {self._total}: {name}", done))


def _telling_lines(output: str) -> str:
    errors = [line for line in output.splitlines() if line.startswith(("ERROR", "OSError", "error"))]
    return " ".join(errors or output.splitlines()[-3:])[-600:]


def _ensure_venv_module(listener: Listener) -> None:
    try:
        import ensurepip  # noqa: F401 - Debian ships venv without it until python3-venv is installed
    except ImportError:
        package = f"python3.{sys.version_info.minor}-venv"
        command = ["apt-get", "install", "--yes", "--no-install-recommends", package]
        if os.geteuid() != 0 or not shutil.which("apt-get"):
            raise RequirementMissing(
                f"import ensurepip with {sys.executable}",
                "this Python cannot make virtual environments",
                f"sudo {' '.join(command)}    then run the same command again",
            ) from None
        listener(Progress(f"Installing Debian's {package} (about 2 MB): {' '.join(command)}"))
        runner = LocalRunner({"DEBIAN_FRONTEND": "noninteractive"})
        if not runner.run(command, within_seconds=300).succeeded:
            runner.run(["apt-get", "update"], within_seconds=300)
            runner.run(command, within_seconds=300).or_raise("install it by hand, then run the same command again")


def _become_caller() -> None:
    """Under sudo, become the user who called it: packages need no root, and the files are theirs."""
    if os.geteuid() != 0 or not os.environ.get("SUDO_UID"):
        return
    user = int(os.environ["SUDO_UID"])
    group = int(os.environ.get("SUDO_GID", user))
    account = pwd.getpwuid(user)
    os.initgroups(account.pw_name, group)
    os.setgid(group)
    os.setuid(user)
    os.environ["HOME"] = account.pw_dir


def _require_own(project: Path) -> None:
    """Refuse a clone that root made: under sudo set-up is the caller's, who could write nothing there."""
    for folder in (project, project / ".venv"):
        if folder.exists() and not os.access(folder, os.W_OK):
            caller, owner = _name_of(os.geteuid()), _name_of(folder.stat().st_uid)
            raise RequirementMissing(
                f"make the folder {project / '.venv'} as {caller}",
                f"{folder} belongs to {owner}, and {caller} may not write there",
                f"give the clone to its user: sudo chown -R {caller} {shlex.quote(str(project))}    "
                "then run the same command again; or clone without sudo",
            )


def _name_of(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:  # no account has that number
        return str(user)


@contextmanager
def _alone(project: Path, listener: Listener) -> Iterator[None]:
    # The lock is on the folder itself: no file to leave behind, and the kernel drops it with the process.
    folder = os.open(project, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            listener(Progress("Another ./lab is setting up this clone; waiting for it."))
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _print_progress(progress: Progress) -> None:
    terminal = sys.stderr.isatty()
    if terminal and progress.fraction is not None and progress.fraction < 1.0:
        print(f"{CLEAR_LINE}[{progress.fraction:4.0%}] {progress.text}"[:110], end="", file=sys.stderr, flush=True)
        return
    # In a log, one line in about ten says enough.
    telling = progress.fraction is None or progress.fraction in (0.8, 1.0) or int(progress.fraction * 1000) % 100 < 5
    if telling:
        print(f"{CLEAR_LINE if terminal else ''}{progress.text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
