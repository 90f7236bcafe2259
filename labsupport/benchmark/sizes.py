"""Measures what the cache holds on disk, by area and by group of tools. Starts nothing."""

from labsupport.benchmark import readings
from labsupport.benchmark.equipment import Equipment, Seen
from labsupport.systems.toolchain.catalogue import Platform, read_catalogue


def measure_cache(equipment: Equipment) -> Seen:
    """Weigh the cache; its parts are its areas, and the groups of tools built from Go modules (some are in several)."""
    cache = equipment.toolchain.cache
    areas = {path.name: readings.disk_megabytes(path) for path in sorted(cache.iterdir()) if path.is_dir()}
    catalogue, tools = read_catalogue(), cache / "tools" / str(Platform.here())
    groups: dict[str, float] = {}
    for tool in catalogue.tools.values():
        if tool.go and (folder := tools / catalogue.key(tool)).is_dir():
            for group in tool.groups:
                groups[group] = groups.get(group, 0.0) + readings.disk_megabytes(folder)
    parts = {f"area {name}": size for name, size in areas.items()}
    parts |= {f"group {name}": size for name, size in sorted(groups.items())}
    return Seen({"cache": sum(areas.values())}, parts={"cache": parts})
