"""What engines that start together are started with: a folder of files, or a file or settings for each name."""

from pathlib import Path

from labsupport.observing.engines import contents


def test_a_folder_has_a_file_for_each_name(tmp_path: Path) -> None:
    for name in ("vfs.json", "btrfs.json", "README.md"):
        (tmp_path / name).write_text("{}")
    assert dict(contents(str(tmp_path))) == {"btrfs": tmp_path / "btrfs.json", "vfs": tmp_path / "vfs.json"}


def test_a_name_has_a_file_or_settings() -> None:
    given = {"sample": "assets/daemon.json", "control": {"live-restore": True}}
    assert dict(contents(given)) == {"sample": Path("assets/daemon.json"), "control": {"live-restore": True}}
