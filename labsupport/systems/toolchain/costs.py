"""What it costs to get tools that are missing, as toolchain/versions.toml has it. Looks at nothing, gets nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

from labsupport.systems.toolchain.catalogue import Catalogue


@dataclass(frozen=True)
class Cost:
    """What getting something once takes, at most: minutes are those of 2 cores, and 0 where it is only unpacked.

    `disk_megabytes` are for as long as it lasts.
    """

    what: str
    minutes: float
    download_megabytes: int
    disk_megabytes: int


def costs_of(catalogue: Catalogue, missing: Sequence[str]) -> list[Cost]:
    """Return what the tools of `missing` cost: one for each folder of modules they are built in, and for each package.

    Those that an official release has cost less, where it can be reached.
    """
    tools = [catalogue.tools[name] for name in missing]
    built: dict[str, list[str]] = {}
    for tool in tools:
        if tool.go:
            built.setdefault(tool.go.folder, []).append(tool.name)
    costs = []
    for folder, names in built.items():
        build = catalogue.builds[folder]
        what = f"build {', '.join(names)}"
        costs.append(Cost(what, build.minutes, build.download_megabytes, build.disk_megabytes))
    for name in dict.fromkeys(tool.debian.set for tool in tools if tool.debian):
        packages = catalogue.debian[name]
        size = packages.megabytes
        costs.append(Cost(f"unpack Debian's {', '.join(packages.packages)}", 0, size, size))
    return costs
