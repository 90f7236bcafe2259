"""Why a manifest was refused, and which line of it is to blame. Reads files and messages; talks to nobody."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

_YAML_LINE = re.compile(r"yaml: line (\d+)")
_OBJECT = re.compile(
    r'(?:The (?P<kind>\S+) "(?P<name>[^"]+)" is invalid|(?P<kind2>[A-Z]\w+) in version "[^"]+" cannot be handled)'
)
_STRICT = re.compile(r'(?:unknown|duplicate) field "(?P<path>[^"]+)"')
_GO_FIELD = re.compile(r"Go struct field \w+\.(?P<path>[\w.]+) of type")
_FIELD = r"(?P<path>[a-z][\w.\[\]\-/]*)"
_COMPLAINT = r"(?:Invalid value|Required value|Forbidden|Unsupported value|Duplicate value|Not found|Too \w+)"
_INVALID = re.compile(rf"(?:^|\* |is invalid: \[?|, ){_FIELD}: {_COMPLAINT}", re.MULTILINE)
_NO_KIND = re.compile(r'no matches for kind "(?P<kind>[^"]+)" in version')
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+|[^\]]+)\]")
_REPEATED = re.compile(r"^[Ee]rror(?: from server \(\w+\))?: (?:error when \w+ \"[^\"]*\": )?")
_AROUND = 2


@dataclass(frozen=True)
class Spot:
    """A line of a file (1 is the first), and the field found there."""

    line: int
    field: str


def locate(text: str, message: str) -> list[Spot]:
    """Return the lines of a manifest that an API server's or kubectl's refusal speaks of, first one first."""
    try:
        documents = [node for node in yaml.compose_all(text) if node is not None]
    except yaml.MarkedYAMLError as error:
        # Counted from the start of the file; kubectl counts from the start of the document.
        mark = error.problem_mark or error.context_mark
        return [Spot(mark.line + 1, "")] if mark else []
    if found := _YAML_LINE.search(message):
        return [Spot(int(found.group(1)), "")]
    named = _OBJECT.search(message)
    kind = (named.group("kind") or named.group("kind2")) if named else None
    name = named.group("name") if named and named.group("name") else None
    candidates = [node for node in documents if _is_object(node, kind, name)] or documents
    spots: list[Spot] = []
    for path in _paths(message):
        for document in candidates:
            spot = _spot(document, path)
            if spot is not None and spot not in spots:
                spots.append(spot)
                break
    return spots


def repeated_keys(text: str) -> list[Spot]:
    """Return the keys that stand twice in one mapping: YAML forbids it, kubectl takes the last one and says nothing."""
    try:
        nodes: list[yaml.Node] = [node for node in yaml.compose_all(text) if node is not None]
    except yaml.YAMLError:
        return []  # kubectl has more to say about it
    found: list[Spot] = []
    while nodes:
        node = nodes.pop()
        if isinstance(node, yaml.SequenceNode):
            nodes += node.value
        elif isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                if key.value in seen:
                    found.append(Spot(key.start_mark.line + 1, str(key.value)))
                seen.add(key.value)
                nodes.append(value)
    return sorted(found, key=lambda spot: spot.line)


def excerpt(text: str, spots: list[Spot], name: str) -> str:
    """Show the blamed lines with those around them, each with its number."""
    lines = text.splitlines()
    parts = []
    for line in dict.fromkeys(spot.line for spot in spots):
        first, last = max(1, line - _AROUND), min(len(lines), line + _AROUND)
        shown = [f"{'→' if n == line else ' '} {n:4} | {lines[n - 1]}" for n in range(first, last + 1)]
        parts.append("\n".join([f"{name}, line {line}:", *shown]))
    return "\n".join(parts)


def tidy(message: str) -> str:
    """Keep what a refusal says about the manifest: no warnings, no repeated beginnings."""
    lines = [line for line in message.strip().splitlines() if line.strip() and not line.startswith("Warning:")]
    return "\n".join(_REPEATED.sub("", line) for line in lines)


def count(text: str) -> int:
    """Return how many objects a manifest holds; more than one can be half made. 2 where that cannot be told."""
    try:
        found = [each for each in yaml.safe_load_all(text) if isinstance(each, dict)]
    except yaml.YAMLError:
        return 2
    return 2 if any(str(each.get("kind")).endswith("List") for each in found) else len(found)


def namespace_of(text: str, name: str) -> str | None:
    """Return the namespace a manifest gives an object that kubectl calls `name`, such as statefulset.apps/web."""
    kind, _, name = name.partition("/")
    for each in yaml.safe_load_all(text):
        metadata = (each.get("metadata") or {}) if isinstance(each, dict) else {}
        if metadata.get("name") == name and str(each.get("kind")).lower() == kind.partition(".")[0]:
            return metadata.get("namespace")
    return None


def only_misses_own_namespace(text: str, message: str) -> bool:
    """Whether a rehearsal failed for nothing but a namespace that the manifest itself makes."""
    documents = [
        each for each in yaml.safe_load_all(text) if isinstance(each, dict) and each.get("kind") == "Namespace"
    ]
    names = {str((each.get("metadata") or {}).get("name")) for each in documents}
    complaints = [line for line in message.splitlines() if line.startswith("Error")]
    return bool(complaints) and all(
        any(f'namespaces "{name}" not found' in line for name in names) for line in complaints
    )


def _paths(message: str) -> Iterator[str]:
    for pattern in (_STRICT, _GO_FIELD, _INVALID):
        for found in pattern.finditer(message):
            yield found.group("path")
    if _NO_KIND.search(message):
        yield "apiVersion"


def _is_object(node: yaml.Node, kind: str | None, name: str | None) -> bool:
    found_kind, found_name = _scalar(_child(node, "kind")), _scalar(_child(_child(node, "metadata"), "name"))
    return (kind is None or found_kind == kind.partition(".")[0]) and (name is None or found_name == name)


def _spot(document: yaml.Node, path: str) -> Spot | None:
    """Follow a path such as spec.template.spec.containers[0].imag; a path that breaks off blames where it breaks."""
    node: yaml.Node | None = document
    line: int | None = None
    for name, index in _STEP.findall(path):
        if index.isdigit() and isinstance(node, yaml.SequenceNode):
            if int(index) >= len(node.value):
                break
            node = node.value[int(index)]
            line = node.start_mark.line + 1
            continue
        key = _key(node, name or index)
        if key is None and isinstance(node, yaml.SequenceNode):
            # Go says `containers.image` of a list's items: the first item that has the key is meant, or the first.
            node = next((item for item in node.value if _key(item, name) is not None), None)
            key = _key(node, name)
        if key is None:
            break
        line = key.start_mark.line + 1
        node = _child(node, name or index)
    if line is None:
        return None
    return Spot(line, path)


def _key(node: yaml.Node | None, name: str) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        # The last one: of a duplicate it is the one too many.
        return next((key for key, _ in reversed(node.value) if key.value == name), None)
    return None


def _child(node: yaml.Node | None, name: str) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in reversed(node.value) if key.value == name), None)
    return None


def _scalar(node: yaml.Node | None) -> str | None:
    return node.value if isinstance(node, yaml.ScalarNode) else None
