"""Image archives made without an engine: one layer each, in the OCI layout that every container runtime imports.

The same content gives the same bytes, so that a digest tells whether two images are the same.
"""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class ProgramImage:
    """An image that holds one static program, and nothing else unless there is a `tree` of files that it calls.

    Args:
        place: the folder that the program is in, such as usr/local/bin; the root unless given.
    """

    name: str
    program: Path
    arguments: Sequence[str] = ()
    place: str = ""
    tree: Path | None = None

    def write(self, archive: Path) -> Path:
        """Write the image as an OCI archive; the same program gives the same bytes."""
        config = {
            "Entrypoint": ["/" + "/".join(word for word in (self.place, self.program.name) if word)],
            "Cmd": list(self.arguments) or None,
            "Env": [f"PATH=/:{SYSTEM_PATH}" if self.tree else "PATH=/"],
        }
        return write_image(archive, self.name, self._fill, config)

    def _fill(self, layer: tarfile.TarFile) -> None:
        if self.tree:
            add_tree(layer, self.tree)
        else:
            _add_bare_system(layer)
        entry = tarfile.TarInfo("/".join(word for word in (self.place, self.program.name) if word))
        entry.size, entry.mode = self.program.stat().st_size, 0o755
        with self.program.open("rb") as source:
            layer.addfile(entry, source)


def write_image(archive: Path, name: str, fill: Callable[[tarfile.TarFile], None], config: Mapping[str, Any]) -> Path:
    """Write an image of one layer, which `fill` fills, as an OCI archive; return the archive.

    Args:
        config: what its containers run with, in the words of the OCI image specification: Entrypoint, Env, …
    """
    layer = archive.with_suffix(".layer")
    try:
        with tarfile.open(layer, "w", format=tarfile.PAX_FORMAT) as tar:
            fill(tar)
        _write_archive(archive, layer, name, config)
    finally:
        layer.unlink(missing_ok=True)
    return archive


def add_tree(layer: tarfile.TarFile, tree: Path) -> None:
    """Add all files of a folder, as root's and without their times."""

    def anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = entry.mtime = 0
        entry.uname = entry.gname = ""
        return entry

    for path in sorted(tree.iterdir()):
        layer.add(path, path.name, filter=anonymous)


def _add_bare_system(layer: tarfile.TarFile) -> None:
    for name in ("tmp", "etc"):
        folder = tarfile.TarInfo(name)
        folder.type, folder.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
        layer.addfile(folder)
    for name, text in (("etc/passwd", "root:x:0:0:root:/:/bin/sh\n"), ("etc/group", "root:x:0:\n")):
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(text), 0o644
        layer.addfile(entry, io.BytesIO(text.encode()))


def _write_archive(archive: Path, layer: Path, name: str, config: Mapping[str, Any]) -> None:
    with layer.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    configuration = _json(
        {
            "architecture": _ARCHITECTURES.get(os.uname().machine, os.uname().machine),
            "os": "linux",
            "config": dict(config),
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        }
    )
    kind = "application/vnd.oci.image"
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": f"{kind}.manifest.v1+json",
            "config": _descriptor(f"{kind}.config.v1+json", configuration),
            "layers": [
                {"mediaType": f"{kind}.layer.v1.tar", "digest": f"sha256:{digest}", "size": layer.stat().st_size}
            ],
        }
    )
    reference = {"io.containerd.image.name": full_name(name), "org.opencontainers.image.ref.name": "latest"}
    described = {**_descriptor(f"{kind}.manifest.v1+json", manifest), "annotations": reference}
    index = {"schemaVersion": 2, "manifests": [described]}
    at_config, at_layer = (f"blobs/sha256/{each}" for each in (hashlib.sha256(configuration).hexdigest(), digest))
    # The same again as `docker load` reads it where an engine keeps images by a storage driver.
    loaded = [{"Config": at_config, "RepoTags": [full_name(name)], "Layers": [at_layer]}]
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as tar:
        for path, text in (
            ("oci-layout", _json({"imageLayoutVersion": "1.0.0"})),
            ("index.json", _json(index)),
            ("manifest.json", _json(loaded)),
            (at_config, configuration),
            (f"blobs/sha256/{hashlib.sha256(manifest).hexdigest()}", manifest),
        ):
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(text), 0o644
            tar.addfile(entry, io.BytesIO(text))
        entry = tarfile.TarInfo(at_layer)
        entry.size, entry.mode = layer.stat().st_size, 0o644
        with layer.open("rb") as stream:
            tar.addfile(entry, stream)


def full_name(name: str) -> str:
    """Spell an image's name in full, as containerd keeps it: lab/toolbox → docker.io/lab/toolbox:latest."""
    first, slash, _ = name.partition("/")
    if not slash:
        name = f"library/{name}"
    if not slash or not ("." in first or ":" in first):
        name = f"docker.io/{name}"
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def _descriptor(media_type: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": f"sha256:{hashlib.sha256(content).hexdigest()}", "size": len(content)}


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
