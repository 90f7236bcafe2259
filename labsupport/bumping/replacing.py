"""Gives several files new content, or none of them."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from labsupport.errors import ToolchainError
from labsupport.process.ownership import give_to_caller


def replace_together(contents: Mapping[Path, bytes]) -> None:
    """Write files, new ones and old. What fails half-way, Ctrl-C included, puts back what there was.

    All are written beside their places first, so that a full disk shows before the first of them changes.

    Raises:
        ToolchainError: one cannot be written; nothing was changed.
    """
    beside: dict[Path, Path] = {}
    before: dict[Path, bytes | None] = {}
    try:
        for path, content in contents.items():
            beside[path] = path.with_name(f".{path.name}.new")
            beside[path].write_bytes(content)
            if path.exists():
                shutil.copymode(path, beside[path])
        for path, new in beside.items():
            before[path] = path.read_bytes() if path.exists() else None
            new.replace(path)
            give_to_caller(path, path.stat().st_mode & 0o777)
    except BaseException as error:
        for path, old in before.items():
            if old is None:
                path.unlink(missing_ok=True)
            else:
                path.write_bytes(old)
        if isinstance(error, OSError):
            raise ToolchainError(
                f"write {', '.join(path.name for path in contents)}",
                f"{error}; nothing was changed",
                "make it writable",
            ) from error
        raise
    finally:
        for new in beside.values():
            new.unlink(missing_ok=True)
