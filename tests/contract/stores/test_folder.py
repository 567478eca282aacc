"""What only the folder store does."""

import logging
import os
import stat
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from davserver.domain.errors import StoreFull, StoreUnavailable
from davserver.stores.base import blob_key
from davserver.stores.folder import FolderStore

MIB = 1 << 20
KEY = blob_key("ab" + "0" * 30)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_files_and_folders_are_for_the_owner_alone(folder_store: FolderStore, tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        folder_store.put(KEY, iter([b"x"]), 1)
    finally:
        os.umask(old)
    root = tmp_path / "blobs"
    assert stat.S_IMODE((root / KEY).stat().st_mode) == 0o600
    assert {stat.S_IMODE(path.stat().st_mode) for path in (root, *root.iterdir())} == {0o700}


def test_bytes_are_synced_before_they_are_named_and_the_name_after(
    folder_store: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder_store.check()
    target = tmp_path / "blobs" / KEY
    steps: list[tuple[str, bool]] = []
    real_sync = os.fsync

    def noting(descriptor: int) -> None:
        synced = Path(f"/proc/self/fd/{descriptor}").readlink()
        steps.append(("folder" if synced == target.parent else synced.suffix, target.exists()))
        real_sync(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    folder_store.put(KEY, iter([b"x" * 1000]), 1000)
    assert steps == [(".part", False), ("folder", True)]


def test_new_folders_are_synced_up_to_the_first_that_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    real_sync = os.fsync

    def noting(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        real_sync(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    FolderStore(tmp_path / "a" / "b").put(KEY, iter([b"x"]), 1)
    assert {tmp_path, tmp_path / "a", tmp_path / "a" / "b", tmp_path / "a" / "b" / "ab"} <= set(synced)


def test_no_descriptor_is_left_open(folder_store: FolderStore) -> None:
    folder_store.put(KEY, iter([bytes(3 * MIB)]), None)
    before = descriptors()
    for _ in range(5):
        blocks = folder_store.read(KEY, 0, 3 * MIB)
        next(blocks)
        getattr(blocks, "close")()  # noqa: B009 an Iterator that is a generator
        folder_store.read(KEY, 0, 3 * MIB)  # never begun
        list(folder_store.list())
        with pytest.raises(ZeroDivisionError):
            folder_store.put(KEY, iter([1 // 0 for _ in "x"]) if False else failing(), None)
    assert descriptors() == before


def failing() -> Iterator[bytes]:
    yield b"x"
    raise ZeroDivisionError


def test_a_failed_put_leaves_the_object_that_was_there(folder_store: FolderStore) -> None:
    folder_store.put(KEY, iter([b"old"]), 3)
    with pytest.raises(ZeroDivisionError):
        folder_store.put(KEY, failing(), None)
    assert b"".join(folder_store.read(KEY, 0, 3)) == b"old"


def test_shard_folders_that_were_removed_come_back(folder_store: FolderStore, tmp_path: Path) -> None:
    folder_store.put(KEY, iter([b"x"]), 1)
    (tmp_path / "blobs" / KEY).unlink()
    (tmp_path / "blobs" / "ab").rmdir()
    assert list(folder_store.list()) == []
    assert folder_store.put(KEY, iter([b"y"]), 1) == 1


def test_what_else_lies_in_the_folder_is_passed_over(folder_store: FolderStore, tmp_path: Path) -> None:
    folder_store.put(KEY, iter([b"x"]), 1)
    for name in ("README", "ab/notes.txt", "ab/.hidden", "cd/" + "ab" + "0" * 30, "ab/" + "AB" + "0" * 30):
        (tmp_path / "blobs" / name).write_text("not ours")
    assert [blob.key for blob in folder_store.list()] == [KEY]
    assert list(folder_store.incomplete()) == []
    assert folder_store.remove_incomplete(datetime.now(UTC) + timedelta(days=1)) == 0
    assert (tmp_path / "blobs" / "ab" / ".hidden").exists()


def test_a_listing_of_a_folder_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    assert list(FolderStore(tmp_path / "none").list()) == []
    assert not (tmp_path / "none").exists()


def test_a_root_that_is_a_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "blobs").write_text("")
    store = FolderStore(tmp_path / "blobs")
    with pytest.raises(StoreUnavailable):
        store.check()
    with pytest.raises(StoreUnavailable):
        store.put(KEY, iter([b"x"]), 1)
    with pytest.raises(StoreUnavailable):
        next(store.read(KEY, 0, 1))


def test_a_shard_that_cannot_be_read_is_not_called_missing(folder_store: FolderStore, tmp_path: Path) -> None:
    folder_store.check()
    (tmp_path / "blobs" / "ab").rmdir()
    (tmp_path / "blobs" / "ab").write_text("")
    with pytest.raises(StoreUnavailable):
        folder_store.size(KEY)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount the small file system that this test fills")
    mounted = tmp_path / "small"
    mounted.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(mounted)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"this machine does not let root mount: {done.stderr.strip()}")
    yield mounted
    subprocess.run(["umount", str(mounted)], check=True)


def test_a_full_disk_is_told_and_leaves_nothing(small_disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = FolderStore(small_disk / "blobs")
    free = store.free_bytes()
    assert free is not None
    assert 0 < free <= 4 * MIB
    other = blob_key("cd" + "0" * 30)
    store.put(other, iter([bytes(MIB)]), MIB)
    for size in (8 * MIB, None):
        with caplog.at_level(logging.DEBUG), pytest.raises(StoreFull):
            store.put(KEY, (bytes(100_000) for _ in range(84)), size)
        assert [blob.key for blob in store.list()] == [other]
        assert list(store.incomplete()) == []
    assert store.put(KEY, iter([bytes(MIB)]), MIB) == MIB
