"""JupyterHub for tests: its image built as its Dockerfile says, put on a cluster by its own manifests, used by HTTP."""

import json
import re
import shutil
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import requests
import websocket
import yaml
from packaging.markers import Marker

from labsupport.process.commands import CommandResult, LocalRunner
from labsupport.process.waiting import wait_until
from labsupport.project import this_project
from labsupport.systems.clusters.embedded import EmbeddedCluster
from labsupport.systems.guests.image import make_system
from tests.engines import private_engine, toolchain

FOLDER = Path("deploy/jupyterhub")
BASE = "lab/system"
NAMESPACE = "labs"
LEARNERS_PASSWORD, TEACHERS_PASSWORD = "learners-come-in", "teachers-have-a-much-longer-password"
DOWNLOAD_WITHIN_SECONDS = 900
BUILD_WITHIN_SECONDS = 600
TURNS_IN_A_KERNEL_WITHIN_SECONDS = 120


def image_name() -> str:
    """The image as the manifests name it."""
    [image] = yaml.safe_load((this_project().root / FOLDER / "kustomization.yaml").read_text())["images"]
    return f"{image['name']}:{image['newTag']}"


def build_image(folder: Path) -> Path:
    """Build the hub's image by its Dockerfile, without a network: from a Debian made of packages, and from wheels."""
    root, archive = this_project().root, folder / "image.tar"
    system = make_system(toolchain().store, print)
    with private_engine() as engine:
        with system.open("rb") as content:
            engine.client.api.import_image(content, repository=BASE, tag="latest")
        asked = ["docker", "run", "--rm", BASE, "python3", "-c", "import platform; print(platform.python_version())"]
        wheels = get_wheels(folder, engine.runner.run(asked).or_raise().stdout.strip())
        argv = [
            *("docker", "buildx", "build", "--quiet", "--provenance=false", "--network=none"),
            *(f"--file={root / FOLDER / 'Dockerfile'}", f"--build-arg=BASE={BASE}", f"--build-context=wheels={wheels}"),
            *(f"--output=type=docker,dest={archive},name={image_name()},compression=uncompressed", str(root)),
        ]
        engine.runner.run(argv, within_seconds=BUILD_WITHIN_SECONDS).or_raise()
    shutil.rmtree(wheels)
    return archive


def get_wheels(folder: Path, python: str) -> Path:
    """Have the wheels of the lock in a folder, as a Python of this version takes them, which need not be this one."""
    lock = (this_project().root / FOLDER / "requirements.lock").read_text()
    chosen = folder / "requirements.txt"
    chosen.write_text("".join(wanted(entry, python) for entry in re.split(r"^(?=\S+==)", lock, flags=re.MULTILINE)))
    argv = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes"]
    argv += [f"--python-version={python}", f"--requirement={chosen}", f"--dest={folder / 'wheels'}"]
    LocalRunner().run(argv, within_seconds=DOWNLOAD_WITHIN_SECONDS).or_raise()
    return folder / "wheels"


def wanted(entry: str, python: str) -> str:
    """An entry of the lock without its condition; nothing where that does not hold for this version of Python."""
    line, _, hashes = entry.partition(" \\\n")
    pin, _, condition = line.partition(" ; ")
    here = {"python_version": python.rpartition(".")[0], "python_full_version": python}
    return f"{pin} \\\n{hashes}" if pin and (not condition or Marker(condition).evaluate(here)) else ""


@dataclass(frozen=True)
class Hub:
    """JupyterHub on a cluster, deployed from `folder`, a copy of this project's."""

    cluster: EmbeddedCluster
    folder: Path

    def kubectl(self, *words: str, within_seconds: float = 200) -> CommandResult:
        return self.cluster.runner.run(["kubectl", *words], within_seconds=within_seconds)

    def let_in(self) -> None:
        """Say how people sign in."""
        passwords = {"LEARNERS_PASSWORD": LEARNERS_PASSWORD, "TEACHERS_PASSWORD": TEACHERS_PASSWORD}
        literals = [f"--from-literal={name}={value}" for name, value in passwords.items()]
        self.kubectl("create", "secret", "generic", "sign-in", "--namespace", NAMESPACE, *literals).or_raise()

    def apply(self, **settings: object) -> None:
        """Deploy it with these settings instead of the folder's."""
        file = self.folder / "settings.yaml"
        file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **settings}))
        self.kubectl("apply", "-k", str(self.folder)).or_raise()

    def wait(self) -> None:
        """Return when the hub that was applied last answers."""
        rollout = self.kubectl("rollout", "status", "deployment/hub", "--namespace", NAMESPACE, "--timeout=180s")
        assert rollout.succeeded, rollout.stderr + self.said()

    def said(self) -> str:
        """What the hub and its pod have to say, for the message of a test."""
        log = self.kubectl("logs", "deployment/hub", "--namespace", NAMESPACE, "--tail=60").stdout
        return log + self.kubectl("describe", "pods", "--namespace", NAMESPACE).stdout[-3000:]

    def names(self, kind: str, *where: str) -> list[str]:
        return self.kubectl("get", kind, *where, "--output=name").or_raise().stdout.split()

    def of_learner(self, name: str, kind: str) -> dict[str, Any]:
        """The only object of a kind in a learner's namespace."""
        answer = self.kubectl("get", kind, "--namespace", f"{NAMESPACE}-{name}", "--output=json").or_raise()
        [found] = json.loads(answer.stdout)["items"]
        return dict(found)

    @contextmanager
    def reached(self, log: Path) -> Iterator[str]:
        """Give the hub's address on this computer, as its documentation has it for trying."""
        argv = ["kubectl", "port-forward", "--namespace", NAMESPACE, "service/proxy", ":80"]
        forward = self.cluster.runner.start(argv, log=log)
        try:
            found = wait_until(
                lambda: re.search(r"127\.0\.0\.1:\d+", log.read_text()), "a way to the hub", within_seconds=30
            )
            yield f"http://{found.group()}"
        finally:
            forward.close()


class Visitor:
    """Somebody with a browser: signs in by the form, then asks what JupyterLab asks."""

    def __init__(self, url: str, name: str, password: str) -> None:
        self.url = url
        self.name = name
        self._password = password
        self.browser = requests.Session()

    def sign_in(self) -> int:
        """Fill in the form; return the status of what came of it."""
        page = self.browser.get(f"{self.url}/hub/login", timeout=30)
        [token] = set(re.findall(r'name="_xsrf" value="([^"]+)"', page.text))
        form = {"username": self.name, "password": self._password, "_xsrf": token}
        answer = self.browser.post(f"{self.url}/hub/login", data=form, timeout=30, allow_redirects=False)
        return answer.status_code

    @cached_property
    def token(self) -> str:
        """A token of theirs, as the page /hub/token makes one, once they have signed in."""
        assert self.sign_in() == 302, f"{self.name} was not let in"
        xsrf = next(each.value for each in self.browser.cookies if each.name == "_xsrf" and each.path == "/hub/")
        answer = self.browser.post(
            f"{self.url}/hub/api/users/{self.name}/tokens",
            json={"note": "test"},
            headers={"X-XSRFToken": str(xsrf)},
            timeout=30,
        )
        answer.raise_for_status()
        return str(answer.json()["token"])

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        headers = {"Authorization": f"token {self.token}"}
        return requests.request(method, f"{self.url}{path}", headers=headers, timeout=60, **options)

    def mine(self, method: str, path: str, **options: Any) -> Any:
        """Ask their own server; return its JSON."""
        answer = self.ask(method, f"/user/{self.name}/api/{path}", **options)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def have_server(self) -> None:
        """Have their server run."""
        path = f"/hub/api/users/{self.name}"
        asked = self.ask("POST", f"{path}/server")
        assert asked.status_code in (201, 202, 400), asked.text  # 400: it runs

        def ready() -> bool:
            servers = self.ask("GET", path).json()["servers"]
            assert servers, f"the server of {self.name} failed to start"
            return bool(servers[""]["ready"])

        wait_until(ready, f"the server of {self.name}", within_seconds=200, every_seconds=0.5)

    def stop_server(self) -> None:
        path = f"/hub/api/users/{self.name}"
        self.ask("DELETE", f"{path}/server").raise_for_status()
        wait_until(lambda: not self.ask("GET", path).json()["servers"], f"no server of {self.name}", within_seconds=60)

    def kernel(self) -> "Kernel":
        return Kernel(self, str(self.mine("POST", "kernels", json={"name": "python3", "path": "x.ipynb"})["id"]))


class Kernel:
    """A kernel on a learner's server, as JupyterLab has one: by a websocket through the hub's proxy."""

    def __init__(self, visitor: Visitor, name: str) -> None:
        self._visitor = visitor
        self._name = name
        url = f"{visitor.url.replace('http', 'ws')}/user/{visitor.name}/api/kernels/{name}/channels"
        headers = [f"Authorization: token {visitor.token}"]
        self._socket = websocket.create_connection(url, header=headers, timeout=TURNS_IN_A_KERNEL_WITHIN_SECONDS)

    def run(self, code: str) -> str:
        """Run a cell; return all it put out as text. A cell that fails raises."""
        header = {
            "msg_id": uuid.uuid4().hex,
            "msg_type": "execute_request",
            "username": "",
            "session": "",
            "version": "5.3",
        }
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
        request = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
        self._socket.send(json.dumps(request))
        said: list[str] = []
        while True:
            message = json.loads(self._socket.recv())
            if message["parent_header"].get("msg_id") != header["msg_id"]:
                continue
            kind, content = message["msg_type"], message["content"]
            assert kind != "error", f"{code}\n{content}"
            if kind == "status" and content["execution_state"] == "idle":
                return "\n".join(said)
            said += [content["text"]] if kind == "stream" else map(str, content.get("data", {}).values())

    def close(self) -> None:
        self._socket.close()
        self._visitor.mine("DELETE", f"kernels/{self._name}")
