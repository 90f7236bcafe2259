"""A room on one server: a lab and a JupyterLab for each of several accounts, all of them until this command ends.

Root starts the labs, so what it runs is root's: each learner's *seat* is a copy of this clone below build/room/, and
its environment is this clone's. Only its work/ and build/ are the learner's own, in their home. JupyterLab and kernels
run as the learner.
"""

import os
import pwd
import re
import shutil
import signal
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from labsupport import outlook
from labsupport.backends import LabOptions, make_toolchain
from labsupport.errors import LabError, RequirementMissing, UsageError
from labsupport.process.alone import alone
from labsupport.process.commands import Background, CommandResult, Invocation, LocalRunner
from labsupport.process.interrupts import interrupts_later
from labsupport.process.ownership import run_root
from labsupport.process.progress import Listener, Progress
from labsupport.process.waiting import FOREVER_SECONDS, patiently, wait_until
from labsupport.project import Project

# In a learner's home: their notebooks in work/, what they saw in build/, and where their JupyterLab is.
OF_THE_LEARNER = ("work", "build")
FOLDER, LOCK = "room", ".room.lock"
HOME_FOLDER, ADDRESS_FILE = "labs", "address.txt"
LEFT_OUT = (".git", ".venv", ".mypy_cache", ".ruff_cache", *OF_THE_LEARNER)
# Of root's environment, what a learner's lab gets too.
KEPT = re.compile(r"PATH|HOME|LANG|LC_\w+|TERM|TZ|LAB_\w+|(http|https|no|all)_proxy", re.IGNORECASE)
ADDRESS = re.compile(r"^JupyterLab: (http://\S+:(\d+)\S*)$", re.MULTILINE)
SECONDS_TO_END = 60


@dataclass(frozen=True)
class Learner:
    """An account of this computer."""

    name: str
    user: int
    group: int
    home: Path

    @property
    def folder(self) -> Path:
        return self.home / HOME_FOLDER

    def run(self, script: str, *words: str, stdin: str = "") -> CommandResult:
        """Run a shell's script as the learner: what root did in their folders, they could turn against it."""
        argv = ["setpriv", f"--reuid={self.user}", f"--regid={self.group}", "--init-groups", "--", "sh", "-ec", script]
        return LocalRunner().run([*argv, *words], invocation=Invocation(stdin=stdin, folder=Path("/")))

    def attempt(self, script: str, *words: str, stdin: str = "") -> str:
        """Run a script likewise, and return what went wrong: what one learner's home refuses is no other's trouble."""
        try:
            ran = self.run(script, *words, stdin=stdin)
        except LabError as error:
            return error.happened
        return "" if ran.succeeded else ran.stderr.strip() or f"exit code {ran.exit_code}"


@dataclass
class Seat:
    """A learner's place: the process that holds their lab, and the port of their JupyterLab once it is up.

    `problem` is why they cannot use it.
    """

    learner: Learner
    process: Background
    port: int | None = None
    problem: str = ""

    def look(self) -> bool:
        """Whether it is up or has failed; when it comes up its learner gets the address."""
        said = self.process.log.read_text(errors="replace")
        if found := ADDRESS.search(said):
            self.port = int(found[2])
            self.problem = _hand_over(self.learner, found[1])
        elif self.process.exit_code is not None:
            self.problem = "\n".join(said.splitlines()[-4:]) or "it ended without a word"
        return bool(self.port or self.problem)


def learners_of(names: Sequence[str]) -> list[Learner]:
    """Look up accounts.

    Raises:
        UsageError: one is not there, or root, or named twice.
    """
    found, wrong = [], []
    for name in names:
        try:
            account = pwd.getpwnam(name)
        except KeyError:
            wrong.append(f"{name} has no account here")
            continue
        if account.pw_uid == 0:
            wrong.append(f"{name} is root, whose JupyterLab could change all of this computer")
        found.append(Learner(name, account.pw_uid, account.pw_gid, Path(account.pw_dir)))
    numbers = [each.user for each in found]
    wrong += [f"{each.name} is there twice" for each in found if numbers.count(each.user) > 1]
    if wrong:
        do = "name each learner's account once; `sudo useradd --create-home NAME` makes one"
        raise UsageError("look up the learners", "; ".join(wrong), do)
    return found


def require_room(project: Project, learners: Sequence[Learner]) -> None:
    """Refuse before anything starts what would not work for all.

    Raises:
        RequirementMissing: this is not root; fewer labs fit; or a learner cannot read what their lab takes.
    """
    tried = f"start labs for {len(learners)} learners"
    if os.geteuid() != 0:
        raise RequirementMissing(tried, "that takes root on Linux", "on a Linux server: sudo ./lab room NAME…")
    if not shutil.which("setpriv"):
        raise RequirementMissing(tried, "setpriv is not on PATH", "install util-linux")
    cache, python = make_toolchain().cache, project.python
    if not cache.is_dir():
        raise RequirementMissing(tried, f"the tools are not here: there is no {cache}", "`sudo ./lab run` gets them")
    ahead = outlook.look_ahead(LabOptions())
    if ahead.labs is None:
        why = next((each.because for each in ahead.notebooks if not each.live), "no lab can be live here")
        raise RequirementMissing(tried, why, "`./lab doctor` says what is missing")
    if ahead.labs < len(learners):
        tightest = min((each for each in ahead.rooms if each.fits is not None), key=lambda each: each.fits or 0)
        happened = f"{ahead.labs} more labs fit here, by {tightest.name}: {tightest.because}"
        raise RequirementMissing(tried, happened, tightest.change_it or "name fewer learners")
    project.build.mkdir(exist_ok=True)
    open_to_all = (
        "have clone, Python and tools where everybody may read: clone into /srv with umask 022, and with a Python that "
        "is the system's; for the tools, `sudo ./lab …` takes a folder that is open to all, or LAB_CACHE names one"
    )
    for what, script, path_of, do in (
        (f"the tools in {cache}", 'ls "$0"', lambda one: cache, open_to_all),
        (f"the Python {python}", '"$0" -P -c "import labsupport.errors"', lambda one: python, open_to_all),
        (f"the folder {project.build}", 'test -x "$0"', lambda one: project.build, open_to_all),
        ("their home", 'test -w "$0"', lambda one: one.home, "make it, and theirs: `sudo mkhomedir_helper NAME`"),
    ):
        if shut_out := [one.name for one in learners if one.attempt(script, str(path_of(one)))]:
            raise RequirementMissing(tried, f"{', '.join(shut_out)} may not use {what}", do)


@contextmanager
def seats(project: Project, learners: Sequence[Learner], port: int) -> Iterator[list[Seat]]:
    """Start a lab for each learner, with their JupyterLab on a port from `port` on; all end with the block.

    Raises:
        UsageError: learners' labs run here that another command has started.
    """
    folder = project.build / FOLDER
    begun: list[Seat] = []
    # Each lab has the lock too: what a killed command left is in use until the last of them has ended.
    with _the_room("start labs for learners") as lock:
        _clear(folder)
        folder.mkdir()
        folder.chmod(0o755)
        try:
            for number, learner in enumerate(learners):
                begun.append(_begin(project, folder, learner, port + number, lock))
            yield begun
        finally:
            with interrupts_later():
                for seat in begun:
                    seat.process.signal(signal.SIGTERM)
                for seat in begun:
                    _end(seat, within_seconds=SECONDS_TO_END * len(begun))
                _clear(folder)


def sweep(project: Project) -> list[str]:
    """Remove the seats that a killed command left; say whose they were."""
    folder = project.build / FOLDER
    if not folder.is_dir():
        return []
    if os.geteuid() != 0:
        return [f"not {folder}, which is root's: sudo ./lab clean"]
    try:
        with _the_room("remove what is left of learners' labs"):
            names = _clear(folder)
    except UsageError:  # they are in use
        return []
    return [f"seats of {', '.join(names)} in {folder}"] if names else []


def _the_room(tried: str) -> AbstractContextManager[int]:
    """The lock of all clones on this computer: a learner has one home, and so one seat."""
    run_root().mkdir(parents=True, exist_ok=True)
    return alone(run_root() / LOCK, tried, "end it, and wait until `sudo ./lab status` lists no lab of it")


def settle(seats: Sequence[Seat], listener: Listener) -> None:
    """Wait until each seat has its JupyterLab or has failed; learners get their addresses as they come."""
    waiting = list(seats)

    def all_are_settled() -> bool:
        waiting[:] = [seat for seat in waiting if not seat.look()]
        done = len(seats) - len(waiting)
        listener(Progress(f"{done} of {len(seats)} labs are up or have failed", done / len(seats)))
        return not waiting

    # How long each may take, its own command knows.
    wait_until(all_are_settled, "all labs", within_seconds=FOREVER_SECONDS)


def ended(seats: Sequence[Seat]) -> Iterator[Seat]:
    """Yield each seat whose lab ends from now on, until none is left."""
    running = [seat for seat in seats if seat.port]

    def one_that_ended() -> Seat | None:
        return next((seat for seat in running if seat.process.exit_code is not None), None)

    while running:
        seat = wait_until(one_that_ended, "the end of a lab", within_seconds=FOREVER_SECONDS, every_seconds=0.1)
        running.remove(seat)
        yield seat


def _begin(project: Project, folder: Path, learner: Learner, port: int, lock: int) -> Seat:
    own = folder / learner.name
    # Compiled files come along: a seat is root's, and its learner's kernels could not keep theirs there.
    shutil.copytree(project.root, own, ignore=lambda at, names: _left_out(project, at, names), symlinks=True)
    (own / ".venv").symlink_to(project.python.parent.parent)
    for name in OF_THE_LEARNER:
        learner.attempt('mkdir -p "$0"', str(learner.folder / name))  # without it their lab says so itself
        (own / name).symlink_to(learner.folder / name)
    log = folder / f"{learner.name}.log"
    log.touch(mode=0o600)
    # A killed command must not leave its labs: the kernel ends them with their parent.
    words = ["setpriv", "--pdeathsig", "TERM", "--", "env", "-i", *_environment(learner)]
    words += [str(own / "lab"), "start", "--no-browser", "--port", str(port)]
    return Seat(learner, LocalRunner().start(words, log=log, pass_fds=[lock], invocation=Invocation(folder=own)))


def _left_out(project: Project, at: str, names: Sequence[str]) -> set[str]:
    return {*LEFT_OUT} & {*names} if Path(at) == project.root else set()


def _environment(learner: Learner) -> list[str]:
    """What sudo would set if the learner had called it, and what says where things are; no more of root's."""
    kept = {name: value for name, value in os.environ.items() if KEPT.fullmatch(name)}
    caller = {"SUDO_UID": str(learner.user), "SUDO_GID": str(learner.group), "SUDO_USER": learner.name}
    return [f"{name}={value}" for name, value in {**kept, **caller, "LAB_CACHE": str(make_toolchain().cache)}.items()]


def _hand_over(learner: Learner, address: str) -> str:
    """Write where their JupyterLab is, with its token, into a file that only they can read; return what went wrong."""
    file = str(learner.folder / ADDRESS_FILE)
    wrong = learner.attempt('umask 077; rm -f "$0"; cat > "$0"', file, stdin=f"{address}\n")
    return f"the address could not be written: {wrong}" if wrong else ""


def _end(seat: Seat, *, within_seconds: float) -> None:
    try:
        seat.process.wait(patiently(within_seconds))
    except LabError:
        seat.process.close()


def _clear(folder: Path) -> list[str]:
    """Remove all seats, and the addresses that lead nowhere now; return whose they were."""
    names = sorted(each.name for each in folder.iterdir() if each.is_dir()) if folder.is_dir() else []
    for name in names:
        with suppress(UsageError):  # an account may have gone meanwhile
            (learner,) = learners_of([name])
            learner.attempt('rm -f "$0"', str(learner.folder / ADDRESS_FILE))
    shutil.rmtree(folder, ignore_errors=True)
    return names
