"""Search everything `docker save` writes for a pattern: the files of each layer, then the image's configuration.

    docker save IMAGE | python3 search_layers.py PATTERN

One line for each layer, oldest first: bytes of its files, what made it, where the pattern is, separated by tabs.
The last line is the configuration, which `docker history` and `docker inspect` show; its bytes are not counted.
"""

import io
import json
import re
import sys
import tarfile


def read_layer(layer: bytes, pattern: re.Pattern[bytes]) -> tuple[int, list[str]]:
    """Return the bytes of the layer's files, the files that hold the pattern, and those it hides (whiteouts)."""
    size, places = 0, []
    with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
        for member in archive:
            size += member.size
            file = archive.extractfile(member) if member.isfile() else None
            if file and pattern.search(file.read()):
                places.append(f"found in /{member.name}")
            elif "/.wh." in f"/{member.name}":
                places.append(f"hides /{member.name.replace('.wh.', '')}")
    return size, places


def instructions(config: dict) -> list[str]:
    """Return what made each layer, oldest first; other steps of the history make none."""
    made = [step.get("created_by", "?") for step in config["history"] if not step.get("empty_layer")]
    return [" ".join(line.replace("/bin/sh -c ", "").removesuffix("# buildkit").split()) for line in made]


def main(pattern: re.Pattern[bytes]) -> None:
    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as archive:
        blobs = {member.name: archive.extractfile(member).read() for member in archive if member.isfile()}
    image = json.loads(blobs["manifest.json"])[0]
    config = blobs[image["Config"]]
    for name, instruction in zip(image["Layers"], instructions(json.loads(config)), strict=True):
        size, places = read_layer(blobs[name], pattern)
        print(size, instruction, "; ".join(places), sep="\t")
    print("-", "(configuration)", "found in the history" if pattern.search(config) else "", sep="\t")


if __name__ == "__main__":
    main(re.compile(sys.argv[1].encode()))
