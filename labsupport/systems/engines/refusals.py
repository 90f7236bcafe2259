"""Why a daemon did not start, in its own words. Reads log text; must not guess, explain or touch files."""

import re

_STRUCTURED = re.compile(r'^time="[^"]*" level=(?P<level>\w+) msg=')
_ERROR_FIELD = re.compile(r'\berror="(?P<error>(?:[^"\\]|\\.)*)"')
_MESSAGE_FIELD = re.compile(r'\bmsg="(?P<message>(?:[^"\\]|\\.)*)"')


def refusal_in(log: str) -> str:
    """Return the daemon's last words of failure.

    dockerd ends with its error as a plain line on stderr, after the structured lines of its log; where it was killed
    before it could say so, the last structured error stands in, and then whatever came last.
    """
    lines = [line for line in log.splitlines() if line.strip()]
    if plain := _plain_tail(lines):
        return "\n".join(plain)
    for line in reversed(lines):
        found = _STRUCTURED.match(line)
        if found and (found["level"] in ("error", "fatal", "panic") or _ERROR_FIELD.search(line)):
            return _words_of(line)
    return "\n".join(lines[-5:]) or "the daemon said nothing"


def _plain_tail(lines: list[str]) -> list[str]:
    """Lines after the last structured one; a daemon that dies early writes nothing else."""
    tail: list[str] = []
    for line in reversed(lines):
        if _STRUCTURED.match(line):
            break
        tail.append(line.strip())
    return tail[::-1][-10:]


def _words_of(line: str) -> str:
    message, error = _MESSAGE_FIELD.search(line), _ERROR_FIELD.search(line)
    words = [found for found in (message and message["message"], error and error["error"]) if found]
    return re.sub(r"\\(.)", lambda escaped: "\n" if escaped[1] == "n" else escaped[1], ": ".join(words)) or line
