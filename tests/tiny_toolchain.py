"""A toolchain folder with one tiny Go tool and one Debian program, for tests of how tools are got."""

from pathlib import Path

from labsupport.systems.toolchain.catalogue import Catalogue, read_catalogue

VERSIONS = """\
[go]
version = "1.27.3"
download_megabytes = 75
disk_megabytes = {disk_megabytes}

[builds.tiny]
minutes = 2
download_megabytes = 30
disk_megabytes = {disk_megabytes}
packages = 10

[projects.tiny]
version = "{version}"
module = "{module}"
folder = "tiny"
ldflags = "-X main.version={{version}}"
cgo = {cgo}
[projects.tiny.tools.tiny]
groups = ["small"]
package = ""
says = ["--version"]
{release}
[debian.greetings]
packages = ["hello"]
megabytes = 1
[debian.greetings.tools]
hello = {{ groups = ["greetings"], package = "hello", program = "hello-real" }}
"""

PROGRAM = """\
package main

import "os"

var version = "unknown"

func main() { os.Stdout.WriteString("tiny version " + version + "\\n") }
"""


def tiny_toolchain(
    folder: Path,
    *,
    version: str = "1.0.0",
    cgo: bool = False,
    disk_megabytes: int = 40,
    release: str = "",
    requires: str = "",
) -> Catalogue:
    """Write the folder and return what it says.

    `release` is TOML for [projects.tiny.release] and what comes after it. With `requires`, a module (path@version), the
    tool is that module's program instead of the folder's own.
    """
    (folder / "tiny").mkdir(exist_ok=True)
    require = f"\nrequire {requires.replace('@', ' ')}\n" if requires else ""
    name = "labsupport.invalid/tiny" if requires else "example.com/tiny"
    (folder / "tiny" / "go.mod").write_text(f"module {name}\n\ngo 1.21.0\n{require}")
    if not requires:
        (folder / "tiny" / "main.go").write_text(PROGRAM)
    settings = {"version": version, "cgo": str(cgo).lower(), "disk_megabytes": disk_megabytes, "release": release}
    settings["module"] = requires or name
    (folder / "versions.toml").write_text(VERSIONS.format(**settings))
    return read_catalogue(folder)
