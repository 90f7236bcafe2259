"""The one double of the process seam: a runner that answers from a script and remembers what it was asked."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from labsupport.errors import WaitExpired
from labsupport.process.commands import CommandResult, Invocation

Answer = tuple[int, str, str]


@dataclass(frozen=True)
class Reply:
    """What a command leaves. `expires` stands for a command that does not end in time."""

    stdout: str = ""
    exit_code: int = 0
    stderr: str = ""
    seconds: float = 0.0
    expires: bool = False


@dataclass
class InTurn:
    """Answers the same words one after the other, each once."""

    answers: list[Answer | Reply] = field(default_factory=list)


class ScriptRanOut(AssertionError):
    """A test ran a command its script does not have, or had no more answers for."""


Scripted = Answer | Reply | InTurn | Callable[[Sequence[str], Invocation], Answer | Reply]


class ScriptedRunner:
    """Answers a command by the first entry whose words it starts with; an unexpected command fails the test.

    Words are a tuple, or a text split as a shell would. An answer is (exit code, stdout, stderr), a Reply, several
    InTurn, or a function of the argv and invocation that returns one.
    """

    def __init__(self, answers: Mapping[tuple[str, ...], Scripted] | Mapping[str, Scripted]) -> None:
        self.answers = {
            tuple(shlex.split(words)) if isinstance(words, str) else words: answer for words, answer in answers.items()
        }
        self.asked: list[tuple[str, ...]] = []

    def run(
        self, argv: Sequence[str], *, within_seconds: float = 60, invocation: Invocation = Invocation()
    ) -> CommandResult:
        self.asked.append(tuple(argv))
        for words, answer in self.answers.items():
            if tuple(argv)[: len(words)] == words:
                return _result(argv, _chosen(answer, argv, invocation), within_seconds)
        raise ScriptRanOut(f"nothing scripted for {argv}")

    def stream(
        self, argv: Sequence[str], on_line: Callable[[str], None], *, invocation: Invocation = Invocation()
    ) -> CommandResult:
        result = self.run(argv, invocation=invocation)
        for line in result.stdout.splitlines():
            on_line(line)
        return result


def _chosen(answer: Scripted, argv: Sequence[str], invocation: Invocation) -> Reply:
    if isinstance(answer, InTurn):
        if not answer.answers:
            raise ScriptRanOut(f"no more answers scripted for {argv}")
        answer = answer.answers.pop(0)
    elif callable(answer):
        answer = answer(argv, invocation)
    return answer if isinstance(answer, Reply) else Reply(answer[1], answer[0], answer[2])


def _result(argv: Sequence[str], reply: Reply, within_seconds: float) -> CommandResult:
    if reply.expires:
        raise WaitExpired(
            shlex.join(argv), f"still running after {within_seconds:g} s; it was killed", "find out what it waits for"
        )
    return CommandResult(tuple(argv), reply.exit_code, reply.stdout, reply.stderr, reply.seconds)
