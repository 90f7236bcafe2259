"""JupyterLab on a live lab: starts the server with the lab's environment and ends it with the command that asked.

The server listens on this computer only, behind a token, and runs as the person who typed the command, also under
sudo. Knows nothing of engines or clusters: the environment it is given has their addresses.
"""

import json
import os
import pwd
import secrets
import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from labsupport.errors import MachineError, WaitExpired
from labsupport.process.commands import Background, Invocation, LocalRunner
from labsupport.process.ownership import caller, is_guest
from labsupport.process.waiting import FOREVER_SECONDS, wait_until
from labsupport.project import Project

HERE = "127.0.0.1"
SECONDS_TO_START = 120
SECONDS_TO_STOP = 10
PORTS_TRIED = 50
SETTINGS = {
    # JupyterLab's question about news would cover the notebook, and its answer calls out to the internet.
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    # Else widgets run beside the cells, in a thread that nothing interrupts: neither their Stop nor the toolbar's.
    "@jupyterlab/apputils-extension:kernels-settings": {"commsOverSubshells": "disabled"},
    # Slides, for who adds them (docs/README.md): else what is longer than the screen is cut off.
    "jupyterlab-rise:plugin": {"scroll": True},
}
# What JupyterLab opens with until the learner arranges it otherwise: the first notebook, and a terminal behind it.
FIRST_NOTEBOOK, TERMINAL = "00-start-here.ipynb", "1"
FIRST_LAYOUT = {
    "layout-restorer:data": {
        "main": {
            "dock": {
                "type": "tab-area",
                "currentIndex": 0,
                "widgets": [f"notebook:{FIRST_NOTEBOOK}", f"terminal:{TERMINAL}"],
            },
            "current": f"notebook:{FIRST_NOTEBOOK}",
        },
        "left": {"collapsed": False, "current": "filebrowser", "widgets": ["filebrowser"]},
        "right": {"collapsed": True, "widgets": []},
        "relativeSizes": [0.18, 0.82, 0],
    },
    f"notebook:{FIRST_NOTEBOOK}": {"data": {"path": FIRST_NOTEBOOK, "factory": "Notebook"}},
    f"terminal:{TERMINAL}": {"data": {"name": TERMINAL}},
}
# JupyterLab's name for the file of the layout that it opens without being told another.
LAYOUT_FILE = "default-37a8.jupyterlab-workspace"


@dataclass(frozen=True)
class Account:
    """Somebody on this computer, as numbers and home folder."""

    user: int
    group: int
    home: str
    name: str
    shell: str = "/bin/sh"


def calling_account() -> Account:
    """Return who typed the command: the caller of sudo where there is one, else this process's user."""
    who = caller()
    try:
        account = pwd.getpwuid(who.uid)
    except KeyError:  # a container may run under a number without a name
        return Account(who.uid, who.gid, os.environ.get("HOME", "/"), str(who.uid))
    return Account(who.uid, who.gid, account.pw_dir, account.pw_name, _shell(account.pw_shell))


def _shell(wanted: str) -> str:
    """The shell of an account; another where it has none to work with."""
    works = os.access(wanted, os.X_OK) and Path(wanted).name not in ("nologin", "false")
    return wanted if works else "/bin/sh"


def give_folders_to_caller(project: Project) -> None:
    """Under sudo, hand what root made in work/ and build/ to the person who called sudo."""
    account = calling_account()
    if os.geteuid() == account.user:
        return
    for folder in (project.work, project.build):
        for path in [folder, *folder.rglob("*")] if folder.is_dir() else []:
            os.chown(path, account.user, account.group, follow_symlinks=False)


class Server:
    """A running JupyterLab."""

    def __init__(self, process: Background, url: str) -> None:
        self._process = process
        self.url = url

    def wait(self) -> None:
        """Return when the server ends by itself (File > Shut Down)."""
        self._process.wait(FOREVER_SECONDS)


@contextmanager
def serve(project: Project, lab_environment: Mapping[str, str], *, port: int) -> Iterator[Server]:
    """Run JupyterLab on work/ until the block ends; the next free port is taken when `port` is not free.

    Raises:
        MachineError: the server did not come up; the message has its last words.
    """
    account = calling_account()
    private = project.build / "jupyter"
    shutil.rmtree(private / "runtime", ignore_errors=True)
    for folder in (private / "runtime", private / "config", private / "data", private / "ipython"):
        folder.mkdir(parents=True, exist_ok=True)
    private.chmod(0o700)
    configure(project, account, private / "config")
    log = private / "server.log"
    log.write_text("")
    give_folders_to_caller(project)
    token = secrets.token_urlsafe(24)
    process = LocalRunner().start(
        _command(project, account, port),
        log=log,
        invocation=Invocation(environment=_environment(project, account, lab_environment, token), folder=project.work),
    )
    try:
        yield Server(process, _wait_for_url(process, private / "runtime", log, token))
    finally:
        _stop(process)


def configure(project: Project, account: Account, folder: Path) -> None:
    """Write what JupyterLab reads at its start into `folder`; a layout of the learner's own stays."""
    # Left to itself, a server without a terminal of its own starts login shells, which begin with a PATH of the system:
    # docker and kubectl of the lab would not be on it.
    shell = {"ServerApp": {"terminado_settings": {"shell_command": [account.shell]}}}
    files: dict[str, object] = {
        "labconfig/default_setting_overrides.json": SETTINGS,
        "jupyter_server_config.json": shell,
    }
    layout = f"lab/workspaces/{LAYOUT_FILE}"
    if (project.work / FIRST_NOTEBOOK).exists() and not (folder / layout).exists():
        files[layout] = {"data": FIRST_LAYOUT, "metadata": {"id": "default"}}
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content))


def _command(project: Project, account: Account, port: int) -> list[str]:
    # A guest container's engine publishes one port, on 127.0.0.1 of the user's computer, and dials it from outside.
    address, tried = ("0.0.0.0", 0) if is_guest() else (HERE, PORTS_TRIED)
    server = [
        *(str(project.python), "-P", "-m", "jupyterlab", "--no-browser"),
        *(f"--ServerApp.ip={address}", f"--ServerApp.port={port}", f"--ServerApp.port_retries={tried}"),
        *(f"--ServerApp.root_dir={project.work}", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"),
        "--LabApp.news_url=None",
    ]
    if account.user == 0:
        server.append("--ServerApp.allow_root=True")
    setpriv = shutil.which("setpriv")
    if not setpriv:
        return server
    # A killed command line must not leave its server: the kernel ends it with its parent.
    prefix = [setpriv, "--pdeathsig", "TERM"]
    if account.user != os.geteuid():
        prefix += [f"--reuid={account.user}", f"--regid={account.group}", "--init-groups"]
    return [*prefix, "--", *server]


def _environment(
    project: Project, account: Account, lab_environment: Mapping[str, str], token: str
) -> Mapping[str, str]:
    private = project.build / "jupyter"
    path = lab_environment.get("PATH", os.environ.get("PATH", ""))
    return {
        **lab_environment,
        "PATH": f"{project.python.parent}{os.pathsep}{path}",
        "HOME": account.home,
        "USER": account.name,
        "LOGNAME": account.name,
        # Not on the command line, where everyone on this computer could read it.
        "JUPYTER_TOKEN": token,
        "JUPYTER_PATH": str(project.python.parent.parent / "share" / "jupyter"),
        "JUPYTER_RUNTIME_DIR": str(private / "runtime"),
        "JUPYTER_CONFIG_DIR": str(private / "config"),
        "JUPYTER_DATA_DIR": str(private / "data"),
        "IPYTHONDIR": str(private / "ipython"),
    }


def _wait_for_url(process: Background, runtime: Path, log: Path, token: str) -> str:
    def look() -> str | None:
        if process.exit_code is not None:
            raise MachineError(
                "start JupyterLab", f"it ended at once: {_last_lines(log)}", f"the whole log is in {log}; ./lab doctor"
            )
        for file in runtime.glob("jpserver-*.json"):
            try:
                server = json.loads(file.read_text())
            except ValueError:  # half written: look again
                return None
            return f"http://{HERE}:{server['port']}/lab?token={token}"
        return None

    return wait_until(look, "JupyterLab to answer", within_seconds=SECONDS_TO_START, last_seen=lambda: _last_lines(log))


def _last_lines(log: Path) -> str:
    return " / ".join(log.read_text(errors="replace").splitlines()[-5:]) or "it said nothing"


def _stop(process: Background) -> None:
    # Asked first, so that kernels close their labs; then ended.
    process.signal(signal.SIGTERM)
    with suppress(WaitExpired):
        process.wait(SECONDS_TO_STOP)
    process.close()
