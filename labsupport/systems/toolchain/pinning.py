"""versions.toml with another version in it. Decides on text; reads, runs and writes nothing."""

import re
from collections.abc import Mapping

from labsupport.errors import ToolchainError, UsageError
from labsupport.systems.toolchain.catalogue import Catalogue, Pin

VERSION = re.compile(r"\d[0-9A-Za-z.+-]*")


def pin_of(catalogue: Catalogue, name: str) -> Pin:
    """Return what has a version of its own under this name; a tool's name stands for its project.

    Raises:
        UsageError: nothing pinned has that name; Debian's programs have the version their release has.
    """
    for pin in catalogue.pins.values():
        if name == pin.name or name in pin.tools:
            return pin
    if name in catalogue.tools:
        raise UsageError(
            f"change the version of {name}",
            "it is Debian's own program, which has the version that Debian's release has",
            "use a newer Debian",
        )
    raise UsageError(
        f"change the version of {name!r}",
        "neither toolchain/versions.toml nor requirements.lock has that name",
        f"use a Python package's name, or one of {', '.join(sorted(catalogue.pins))}",
    )


def module_at(pin: Pin, version: str, module_version: str | None) -> str:
    """Return the module (path@version) of `version`: the same number, unless the project numbers its module apart.

    Raises:
        UsageError: it does, and `module_version` is missing.
    """
    path, _, now = pin.module.partition("@")
    number, plus, suffix = now.removeprefix("v").partition("+")
    if module_version:
        return f"{path}@v{module_version.removeprefix('v')}"
    if number != pin.version:
        raise UsageError(
            f"change the version of {pin.name} to {version}",
            f"its module has numbers of its own: {pin.version} is {now}",
            f"say which is meant: ./lab bump {pin.name} {version} --module VERSION",
        )
    return f"{path}@v{version}{plus}{suffix}"


def check_version(version: str) -> str:
    """Return the version without a leading v.

    Raises:
        UsageError: it is none.
    """
    number = version.removeprefix("v")
    if not VERSION.fullmatch(number):
        raise UsageError(f"change a version to {version!r}", "that is no version", "write one such as 1.2.3")
    return number


def with_values(text: str, section: str, values: Mapping[str, str]) -> str:
    """Return the TOML text with other strings for the keys right below `[section]`; all else stays as it is.

    Raises:
        ToolchainError: the section or a key is not there exactly once.
    """
    parts = re.split(r"^(?=\[)", text, flags=re.MULTILINE)
    numbers = [number for number, part in enumerate(parts) if part.startswith(f"[{section}]\n")]
    for number in numbers:
        for key, value in values.items():
            line = re.compile(rf'^{key} = "[^"\n]*"', re.MULTILINE)
            if len(line.findall(parts[number])) != 1:
                numbers = []
            parts[number] = line.sub(f'{key} = "{value}"', parts[number])
    if len(numbers) != 1:
        raise ToolchainError(
            f"write {', '.join(values)} of [{section}] in versions.toml",
            "they are not there exactly once",
            'give each one line of its own: version = "1.2.3"',
        )
    return "".join(parts)
