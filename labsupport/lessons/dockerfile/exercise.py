"""The exercise: rewrite a Dockerfile that works and is bad. Looks at the image and its container, not at the text."""

import hashlib
import shlex
from dataclasses import dataclass
from pathlib import Path

from labsupport.experiments.exercises import Exercise, Requirement, fault_by_seed
from labsupport.lessons.answers import SeedAnswer
from labsupport.lessons.dockerfile.layers import Layers, layers_of_output
from labsupport.process.commands import CommandResult, Runner
from labsupport.process.waiting import wait_until

ASSETS = Path("assets/06-dockerfile-instructions")
FOLDER = ASSETS / "exercise"
ANSWER = FOLDER / "better.Dockerfile"
# Each leaks the credential, is large, has needless layers, and does not stop when told, in its own way.
BAD = {
    "bad-0.Dockerfile": "`COPY .` and `cp` leave the credential in their layers, `download` its 8 MB, whatever the "
    "last RUN removes; five layers; a shell with a pipe is PID 1, and passes no TERM on",
    "bad-1.Dockerfile": "`ADD .` and `COPY session.txt` leave the credential in their layers, the first RUN 8 MB, "
    "which nobody removes; five layers; `sh -c` with two commands is PID 1, and passes no TERM on",
    "bad-2.Dockerfile": "two stages, but the second copies it all: with `/app` the credential, with `/tmp/download` "
    "8 MB; a layer only for a link; the shell form with two commands, so that a shell is PID 1",
}
ANSWERS = tuple(SeedAnswer(wrong) for wrong in BAD.values())
CREDENTIAL = FOLDER / "session.txt"
PATTERN = "session=[0-9a-f]"
IMAGE, CONTAINER = "rewrite", "rewrite-try"
GRACE_SECONDS = 5
MOST_LAYERS_ADDED = 2
MOST_BYTES_ADDED = 100_000


@dataclass(frozen=True)
class Rewrite:
    """What came of the learner's Dockerfile: `build_said` when it does not build; the rest is empty then."""

    text: str
    build_said: str = ""
    receipt: str = ""
    layers: Layers | None = None
    base: Layers | None = None
    service_said: str = ""
    exit_code: int = -1

    @property
    def layers_added(self) -> int:
        return len(self.layers.layers) - len(self.base.layers) if self.layers and self.base else 0

    @property
    def bytes_added(self) -> int:
        return self.layers.size_bytes - self.base.size_bytes if self.layers and self.base else 0

    @property
    def leaks(self) -> list[str]:
        return self.layers.found if self.layers else []


def rewrite(runner: Runner, seed: int = 0) -> Exercise[Rewrite]:
    """Make the exercise; it builds and runs the answer through `runner`. The seed chooses the bad Dockerfile."""
    bad = FOLDER / fault_by_seed(list(BAD), seed)
    attempt = _Attempt(runner, bad)
    return Exercise(
        "rewrite",
        f"Write {ANSWER.name}: what {bad.name} beside it does, without its faults.",
        attempt.look,
        lambda seen: bool(seen.text),
        REQUIREMENTS,
        hints=HINTS,
        praise="The image does the same work: no credential in it, nothing useless, and it stops when told. "
        "Compare it with the bad one: `docker history`.",
        after_each_check=attempt.remove,
        remove=attempt.remove,
    )


REQUIREMENTS: tuple[Requirement[Rewrite], ...] = (
    Requirement(
        "it builds",
        lambda seen: not seen.build_said,
        lambda seen: f"The engine cannot build it yet. It says: {seen.build_said}",
        "COPY finds only what lies beside the Dockerfile; the secret is there only in a RUN that mounts it.",
    ),
    Requirement(
        "the receipt is right",
        lambda seen: seen.receipt.startswith(_fingerprint()),
        lambda seen: (
            f"/app/receipt is {seen.receipt or 'not there'!r}, and should begin with the SHA-256 of the "
            "credential. `publish` makes it during the build: it needs /root/session and what `download` leaves."
        ),
        "In one RUN, in this order: `download`, `publish`, and then remove what `download` left in /tmp/download.",
    ),
    Requirement(
        "the service runs",
        lambda seen: "ready as" in seen.service_said,
        lambda seen: (
            "`docker run` of your image does not start the service. It says: "
            f"{seen.service_said or 'nothing'!r}. CMD or ENTRYPOINT should start /app/service."
        ),
        'COPY must bring `service` to /app/, and the last line start it: `CMD ["/app/service"]`.',
    ),
    Requirement(
        "no credential in any layer",
        lambda seen: not seen.leaks,
        lambda seen: (
            f"The credential is still in the image: {'; '.join(seen.leaks)}. Whoever has the image has it. "
            "What a layer has, a later layer can only hide: it must never be in one."
        ),
        "A build can use a file without having it in a layer: RUN --mount=type=secret,id=session,target=/root/session. "
        "check() builds with --secret id=session.",
    ),
    Requirement(
        "small",
        lambda seen: seen.bytes_added <= MOST_BYTES_ADDED,
        lambda seen: (
            f"Your layers hold {seen.bytes_added:,} bytes beyond lab/toolbox; {MOST_BYTES_ADDED:,} are enough. "
            f"Most are in: {_largest(seen)}. Only the build needs them."
        ),
        "A file made and removed in one RUN is in no layer. Only `publish` needs what `download` leaves in "
        "/tmp/download.",
    ),
    Requirement(
        "few layers",
        lambda seen: seen.layers_added <= MOST_LAYERS_ADDED,
        lambda seen: (
            f"Your image adds {seen.layers_added} layers to lab/toolbox; {MOST_LAYERS_ADDED} are enough. "
            "Which instructions make a layer, and which could be one?"
        ),
        "COPY takes several files at once, and RUN several commands with &&: one of each is enough.",
    ),
    Requirement(
        "it stops when told",
        lambda seen: seen.exit_code == 0 and "told to stop by TERM" in seen.service_said,
        lambda seen: (
            f"`docker stop` ended the container with exit code {seen.exit_code}. The service should be told to "
            "stop, and end with 0. Which process is PID 1, and who gets the signal?"
        ),
        "The exec form makes the service PID 1.",
    ),
)

HINTS = (
    "COPY . copies everything beside the Dockerfile. Which of those files does the image need when it runs?",
    "`docker history` of the bad image shows what each instruction left. Which of it is needed when the image runs?",
)


class _Attempt:
    """Builds the answer, runs it, stops it, and removes what that made."""

    def __init__(self, runner: Runner, bad: Path) -> None:
        self._runner = runner
        self._bad = bad
        self._made = False

    def look(self) -> Rewrite:
        text = _instructions(self._bad)
        if not text:
            return Rewrite(text)
        self._made = True
        built = self._run(
            f"docker build --quiet --secret id=session,src={CREDENTIAL} --tag {IMAGE} --file {ANSWER} {FOLDER}"
        )
        if not built.succeeded:
            return Rewrite(text, build_said=built.stderr.strip()[-600:] or f"exit code {built.exit_code}")
        receipt = self._run(f"docker run --rm --network none --entrypoint cat {IMAGE} /app/receipt")
        said, exit_code = self._run_and_stop()
        return Rewrite(
            text,
            receipt=receipt.stdout.strip(),
            layers=self._layers_of(IMAGE),
            base=self._layers_of("lab/toolbox"),
            service_said=said,
            exit_code=exit_code,
        )

    def remove(self) -> None:
        if self._made:
            self._run(f"docker rm --force {CONTAINER}")
            self._run(f"docker image rm --force {IMAGE}")
            self._made = False

    def _run_and_stop(self) -> tuple[str, int]:
        self._run(f"docker run --detach --network none --name {CONTAINER} {IMAGE}")
        wait_until(self._spoke_or_ended, f"the first words of {CONTAINER}", within_seconds=60)
        self._run(f"docker stop --timeout {GRACE_SECONDS} {CONTAINER}")
        exit_code = self._run(f"docker inspect --format '{{{{.State.ExitCode}}}}' {CONTAINER}").stdout.strip()
        logs = self._run(f"docker logs {CONTAINER}")
        return f"{logs.stdout}{logs.stderr}".strip(), int(exit_code or -1)

    def _spoke_or_ended(self) -> bool:
        running = self._run(f"docker inspect --format '{{{{.State.Running}}}}' {CONTAINER}").stdout.strip()
        return running != "true" or "ready as" in self._run(f"docker logs {CONTAINER}").stdout

    def _layers_of(self, image: str) -> Layers:
        search = f"docker save {image} | python3 {ASSETS}/search_layers.py {PATTERN!r}"
        result = self._runner.run(["sh", "-c", search]).or_raise()
        return layers_of_output(result.stdout, result.command)

    def _run(self, command: str) -> CommandResult:
        return self._runner.run(shlex.split(command))


def _instructions(bad_one: Path) -> str:
    """The answer without comments and empty lines; nothing when there is no answer, or it is the bad one unchanged."""
    if not ANSWER.exists():
        return ""
    answer, bad = (_without_comments(path) for path in (ANSWER, bad_one))
    return "" if answer == bad else answer


def _without_comments(path: Path) -> str:
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("#"))


def _fingerprint() -> str:
    return hashlib.sha256(CREDENTIAL.read_bytes()).hexdigest()


def _largest(seen: Rewrite) -> str:
    if seen.layers is None or seen.base is None:
        return "no layer"
    added = seen.layers.layers[len(seen.base.layers) :]
    return max(added, key=lambda layer: layer.size_bytes).instruction if added else "no layer"
