"""Scans as rules of the services, with a real clamd: what is scanned when, what is refused, and what a failure changes."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from davserver.domain.clock import HOUR, SECOND
from davserver.domain.errors import (
    BadRequest,
    Conflict,
    Infected,
    NotFound,
    NotScanned,
    ScannerUnavailable,
    ScanPending,
)
from davserver.domain.verdict import Finding, Verdict
from davserver.scanning.base import ScanFailed, Scanner, no_sign
from davserver.scanning.clamd import ClamdScanner
from davserver.services.listing import Depth, Wanted
from davserver.services.scans import TRIES, Scans, ScanSettings
from davserver.stores.base import blob_key
from tests.support.clamd import EICAR, EICAR_NAME, ClamdServer
from tests.support.core import path
from tests.support.fixtures_clamd import STREAM_LIMIT
from tests.support.scanned import Scanned, open_scanned, work

Open = Callable[..., Scanned]
PROBE = b"a probe that nobody knows yet"


@pytest.fixture
def opened(tmp_path: Path, database_url: str) -> Iterator[Open]:
    """Open services on a fresh database, SQLite and PostgreSQL in turn."""
    made: list[Scanned] = []

    def open_services(clamd: ClamdServer | None, **settings: Any) -> Scanned:
        if clamd is not None:
            settings |= {"clamav_host": "127.0.0.1", "clamav_port": clamd.port}
        made.append(open_scanned(tmp_path / "data", database_url, **settings))
        return made[-1]

    yield open_services
    for one in made:
        one.services.close()


@pytest.fixture
def drive(opened: Open, clamd_server: ClamdServer) -> Scanned:
    """Services on the session's clamd, with a user."""
    return opened(clamd_server)


def scans_of(drive: Scanned, scanner: Scanner, **settings: int) -> Scans:
    services = drive.services
    return Scans(services.database, services.store, services.keyring, drive.clock, scanner, ScanSettings(**settings))


class BrokenScanner:
    """A scanner that is there and fails on every file."""

    def __init__(self, version: str = "Broken 1") -> None:
        self._version = version

    def scan(self, chunks: Iterable[bytes], alive: Callable[[], None] = no_sign) -> Finding:
        raise ScanFailed("it broke")

    def version(self) -> str:
        return self._version

    def check(self) -> None:
        pass


def revision_ids(drive: Scanned, where: str) -> dict[str, int]:
    revision = drive.services.tree.find(drive.who, path(where)).revision
    assert revision is not None
    return {"owner_id": drive.who.owner_id, "revision_id": revision.id}


@pytest.mark.parametrize("size", [100, 300_000], ids=["in_its_row", "in_the_store"])
def test_new_content_waits_and_is_then_clean_by_what_scanned_it(drive: Scanned, size: int) -> None:
    drive.put("/a", b"x" * size)
    assert drive.verdict("/a") is Verdict.WAITING
    assert drive.look() == 1
    report = drive.report("/a")
    assert report.verdict is Verdict.CLEAN
    assert report.signature_version.startswith("ClamAV ")
    assert report.scanned_at is not None
    assert drive.get("/a") == b"x" * size
    assert drive.jobs() == []


def test_a_virus_is_refused_to_readers_and_named(drive: Scanned) -> None:
    drive.put("/a", b"x" * 300_000 + EICAR)
    drive.look()
    assert drive.report("/a").signature == EICAR_NAME
    with pytest.raises(Infected, match=EICAR_NAME):
        drive.get("/a")


def test_what_replaces_a_virus_is_judged_by_itself(drive: Scanned) -> None:
    drive.put("/a", EICAR)
    drive.look()
    drive.put("/a", b"harmless")
    assert drive.verdict("/a") is Verdict.WAITING
    drive.look()
    assert drive.get("/a") == b"harmless"


def test_a_virus_moves_and_is_deleted_but_is_not_copied(drive: Scanned) -> None:
    tree = drive.services.tree
    tree.make_collection(drive.who, path("/d"))
    tree.make_collection(drive.who, path("/d/e"))
    drive.put("/d/e/a", EICAR)
    drive.look()
    with pytest.raises(Infected, match=EICAR_NAME):
        tree.copy(drive.who, path("/d/e/a"), path("/b"), overwrite=True, deep=True)
    with pytest.raises(Infected, match="'a'"):
        tree.copy(drive.who, path("/d"), path("/b"), overwrite=True, deep=True)
    assert [entry.names for entry in tree.listing(drive.who, path("/"), Depth.ONE, Wanted()).entries] == [
        (),
        (".trash",),
        ("d",),
    ]
    assert tree.copy(drive.who, path("/d"), path("/shallow"), overwrite=True, deep=False)
    tree.move(drive.who, path("/d/e/a"), path("/b"), overwrite=True)
    assert tree.copy(drive.who, path("/d"), path("/now"), overwrite=True, deep=True)
    tree.discard(drive.who, path("/b"))
    with pytest.raises(Infected):
        drive.get("/.trash/b")


def test_another_owner_s_virus_does_not_stand_in_the_way(drive: Scanned) -> None:
    drive.put("/a", EICAR, drive.add_user("bob"))
    drive.services.tree.make_collection(drive.who, path("/d"))
    drive.look()
    assert drive.services.tree.copy(drive.who, path("/d"), path("/e"), overwrite=True, deep=True)


def test_copies_share_the_verdict(drive: Scanned) -> None:
    drive.put("/a", EICAR)
    drive.services.tree.copy(drive.who, path("/a"), path("/b"), overwrite=True, deep=True)
    assert drive.look() == 1
    assert drive.verdict("/a") is drive.verdict("/b") is Verdict.INFECTED


def test_empty_files_are_no_work_and_not_called_clean(drive: Scanned) -> None:
    drive.put("/a", b"")
    assert drive.jobs() == []
    assert drive.verdict("/a") is Verdict.EMPTY
    assert drive.get("/a") == b""
    scans_of(drive, ClamdScanner("127.0.0.1", drive.services.config.clamav_port)).scan_again(work("scan_again"))
    assert drive.jobs() == []


def test_without_a_scanner_nothing_is_clean_and_all_is_served(opened: Open) -> None:
    drive = opened(None)
    drive.put("/a", EICAR)
    assert drive.look() == 0
    report = drive.report("/a")
    assert (report.verdict.word, report.verdict.reason) == ("unscanned", "no_scanner")
    assert drive.get("/a") == EICAR


def test_jobs_that_a_scanner_left_behind_end_without_one(opened: Open, own_clamd: ClamdServer) -> None:
    drive = opened(own_clamd)
    drive.put("/a", b"x")
    without = opened_again(drive)
    without.look()
    assert without.verdict("/a") is Verdict.NO_SCANNER
    without.services.close()


def opened_again(drive: Scanned) -> Scanned:
    """The same drive by a server without a scanner."""
    from davserver.bootstrap import build
    from davserver.config import Config

    config = drive.services.config
    services = build(Config(data_dir=config.data_dir, database_url=config.database_url), clock=drive.clock)
    return Scanned(services, drive.clock, drive.who)


def test_a_file_over_the_limit_is_marked_and_served(drive: Scanned) -> None:
    drive.put("/a", bytes(STREAM_LIMIT + 1))
    drive.look()
    report = drive.report("/a")
    assert (report.verdict.word, report.verdict.reason) == ("unscanned", "too_large")
    assert len(drive.get("/a")) == STREAM_LIMIT + 1
    assert drive.jobs() == []


def test_a_file_over_the_limit_is_not_sent(opened: Open, own_clamd: ClamdServer) -> None:
    own_clamd.start()
    drive = opened(own_clamd, scan_max_size=1000)
    drive.put("/a", EICAR + bytes(1000))
    drive.look()
    assert drive.verdict("/a") is Verdict.TOO_LARGE
    assert own_clamd.streams == 0


def test_held_files_are_not_given_out_until_they_are_clean(opened: Open, clamd_server: ClamdServer) -> None:
    drive = opened(clamd_server, scan_unscanned="hold", scan_too_large="hold")
    for name, data in {"/a": b"x", "/large": bytes(STREAM_LIMIT + 1), "/empty": b""}.items():
        drive.put(name, data)
    assert drive.get("/empty") == b""
    with pytest.raises(ScanPending):
        drive.get("/a")
    drive.look()
    assert drive.get("/a") == b"x"
    with pytest.raises(NotScanned):
        drive.get("/large")


def test_what_is_held_can_be_copied_and_stays_held(opened: Open, clamd_server: ClamdServer) -> None:
    drive = opened(clamd_server, scan_unscanned="hold")
    drive.put("/a", b"x")
    drive.services.tree.copy(drive.who, path("/a"), path("/b"), overwrite=True, deep=True)
    with pytest.raises(ScanPending):
        drive.get("/b")


def test_with_clamd_away_the_scan_waits_and_is_done_when_it_is_back(opened: Open, own_clamd: ClamdServer) -> None:
    drive = opened(own_clamd)
    drive.put("/a", EICAR)
    for _ in range(30):  # more often than what fails is tried
        drive.look()
        drive.clock.advance(800)  # longer than any pause between two tries
    [job] = drive.jobs()
    assert job.state == "waiting"
    assert "does not answer" in job.last_error
    assert drive.verdict("/a") is Verdict.WAITING
    own_clamd.start()
    drive.look()
    assert drive.verdict("/a") is Verdict.INFECTED


def test_a_file_that_breaks_the_scanner_is_tried_and_then_marked(drive: Scanned) -> None:
    drive.put("/a", b"x")
    scans, ids = scans_of(drive, BrokenScanner()), revision_ids(drive, "/a")
    for attempt in range(1, TRIES):
        with pytest.raises(ScanFailed):
            scans.scan(work("scan", attempts=attempt, **ids))
        assert drive.verdict("/a") is Verdict.WAITING
    scans.scan(work("scan", attempts=TRIES, **ids))
    assert drive.report("/a").verdict.reason == "failed"
    assert drive.report("/a").signature_version == "Broken 1"


def test_damaged_content_is_marked_and_does_not_stay_for_ever(drive: Scanned) -> None:
    drive.put("/a", b"x" * 300_000)
    revision = drive.services.tree.find(drive.who, path("/a")).revision
    assert revision is not None
    drive.services.store.remove(blob_key(revision.blob_id))
    assert drive.look() == 1
    assert drive.verdict("/a") is Verdict.FAILED


def test_a_file_that_is_gone_by_its_turn_is_no_failure(drive: Scanned) -> None:
    drive.put("/a", b"x" * 300_000)
    drive.services.tree.discard(drive.who, path("/a"))
    drive.services.trash.empty(drive.who)
    drive.look()
    drive.put("/b", b"x" * 300_000)
    ids = revision_ids(drive, "/b")
    scans_of(drive, GoneMeanwhile(drive)).scan(work("scan", **ids))
    assert drive.jobs() == []
    assert drive.services.queue.shown() == ()


class GoneMeanwhile:
    """A scanner that takes so long that the file is gone for good by the time that it is clean."""

    def __init__(self, drive: Scanned) -> None:
        self._drive = drive

    def scan(self, chunks: Iterable[bytes], alive: Callable[[], None] = no_sign) -> Finding:
        for _ in chunks:
            alive()
        self._drive.services.tree.discard(self._drive.who, path("/b"))
        self._drive.services.trash.empty(self._drive.who)
        self._drive.look()
        return Finding(Verdict.CLEAN)

    def version(self) -> str:
        return "Slow 1"

    def check(self) -> None:
        pass


def test_a_scan_that_is_done_is_not_done_again(opened: Open, own_clamd: ClamdServer) -> None:
    own_clamd.start()
    drive = opened(own_clamd)
    drive.put("/a", EICAR)
    drive.look()
    scans_of(drive, ClamdScanner("127.0.0.1", own_clamd.port)).scan(work("scan", **revision_ids(drive, "/a")))
    assert own_clamd.streams == 1


def again(drive: Scanned, clamd: ClamdServer, **settings: int) -> int:
    """Look for what other signatures have scanned; returns how many scans that causes, and does them."""
    scans_of(drive, ClamdScanner("127.0.0.1", clamd.port), **settings).scan_again(work("scan_again"))
    caused = len(drive.jobs())
    drive.clock.advance(60)
    drive.look()
    return caused


def test_new_signatures_find_what_was_clean(opened: Open, own_clamd: ClamdServer) -> None:
    own_clamd.start()
    drive = opened(own_clamd)
    drive.put("/a", PROBE)
    drive.put("/b", b"harmless")
    drive.look()
    assert drive.get("/a") == PROBE
    assert again(drive, own_clamd) == 0
    own_clamd.stop()
    own_clamd.set_database(2, Probe=PROBE)
    own_clamd.start()
    assert again(drive, own_clamd) == 2
    with pytest.raises(Infected):
        drive.get("/a")
    assert drive.verdict("/b") is Verdict.CLEAN
    assert "/2/" in drive.report("/b").signature_version
    assert again(drive, own_clamd) == 0


def test_what_is_no_virus_any_more_is_served_again(opened: Open, own_clamd: ClamdServer) -> None:
    own_clamd.set_database(1, Probe=PROBE)
    own_clamd.start()
    drive = opened(own_clamd)
    drive.put("/a", PROBE)
    drive.look()
    assert drive.verdict("/a") is Verdict.INFECTED
    own_clamd.stop()
    own_clamd.forget("Probe")
    own_clamd.set_database(2)
    own_clamd.start()
    again(drive, own_clamd)
    assert drive.get("/a") == PROBE
    assert drive.report("/a").signature == ""


def test_what_came_without_a_scanner_is_scanned_once_there_is_one(opened: Open, own_clamd: ClamdServer) -> None:
    without = opened(None)
    without.put("/a", EICAR)
    scans_of(without, ClamdScanner("127.0.0.1", start(own_clamd).port)).scan_again(work("scan_again"))
    assert len(without.jobs()) == 1


def start(clamd: ClamdServer) -> ClamdServer:
    clamd.start()
    return clamd


def test_scanning_again_is_slow_and_begins_with_the_oldest(opened: Open, own_clamd: ClamdServer) -> None:
    own_clamd.start()
    drive = opened(own_clamd)
    for name in "abcde":
        drive.put(f"/{name}", b"x")
        drive.look()
        drive.clock.advance(10)
    scans = scans_of(drive, BrokenScanner("New 1"), again_per_hour=120)
    scans.scan_again(work("scan_again"))
    [first, second] = sorted(drive.jobs(), key=lambda job: job.run_at)
    assert 29 * SECOND < second.run_at - first.run_at < 31 * SECOND
    ids = [revision_ids(drive, f"/{name}")["revision_id"] for name in "ab"]
    assert [f'"revision_id":{number}}}' in job.payload for number, job in zip(ids, (first, second), strict=True)] == [
        True,
        True,
    ]
    scans.scan_again(work("scan_again"))  # what was caused is not done yet
    assert len(drive.jobs()) == 2


@pytest.mark.parametrize("version", ["A scanner 1", "Z scanner 1"])
def test_any_other_version_scans_again_however_it_is_called(drive: Scanned, version: str) -> None:
    drive.put("/a", b"x")
    drive.look()
    scans_of(drive, BrokenScanner(version)).scan_again(work("scan_again"))
    assert len(drive.jobs()) == 1


def test_what_waits_is_left_to_its_own_job_unless_that_is_long_gone(drive: Scanned) -> None:
    drive.put("/a", b"x")
    with drive.services.database.write() as unit:
        unit.connection.execute(text("DELETE FROM job"))
    scans = scans_of(drive, BrokenScanner("New 1"))
    scans.scan_again(work("scan_again"))
    assert drive.jobs() == []
    drive.clock.advance(2 * HOUR / SECOND)
    scans.scan_again(work("scan_again"))
    assert len(drive.jobs()) == 1


def test_scanning_again_waits_for_clamd(drive: Scanned, own_clamd: ClamdServer) -> None:
    with pytest.raises(ScannerUnavailable):
        scans_of(drive, ClamdScanner("127.0.0.1", own_clamd.port)).scan_again(work("scan_again"))


def test_scanning_again_can_be_turned_off(drive: Scanned) -> None:
    drive.put("/a", b"x")
    drive.look()
    scans_of(drive, BrokenScanner("New 1"), again_per_hour=0).scan_again(work("scan_again"))
    assert drive.jobs() == []


def test_a_virus_stays_found_when_a_later_scan_says_nothing(drive: Scanned) -> None:
    drive.put("/a", EICAR)
    drive.look()
    scans_of(drive, BrokenScanner("New 1")).scan(work("scan", attempts=TRIES, **revision_ids(drive, "/a")))
    report = drive.report("/a")
    assert (report.verdict, report.signature, report.signature_version) == (Verdict.INFECTED, EICAR_NAME, "New 1")


def test_an_administrator_sees_and_releases_what_was_found(drive: Scanned) -> None:
    quarantine = drive.services.quarantine
    drive.services.tree.make_collection(drive.who, path("/d"))
    drive.put("/d/ä b", EICAR)
    drive.services.tree.copy(drive.who, path("/d"), path("/e"), overwrite=True, deep=True)
    drive.put("/c", b"x")
    drive.put("/gone", EICAR)
    drive.look()
    drive.services.tree.discard(drive.who, path("/gone"))
    found = quarantine.found()
    assert [(one.owner, one.path, one.scan.signature) for one in found] == [
        ("ada", "/.trash/gone", EICAR_NAME),
        ("ada", "/d/ä b", EICAR_NAME),
        ("ada", "/e/ä b", EICAR_NAME),
    ]
    assert quarantine.release(drive.who, path("/d/ä b")) == EICAR_NAME
    assert drive.get("/d/ä b") == drive.get("/e/ä b") == EICAR
    assert [one.scan.verdict for one in quarantine.found()] == [Verdict.INFECTED, Verdict.RELEASED, Verdict.RELEASED]
    assert quarantine.counts() == {Verdict.INFECTED: 1, Verdict.RELEASED: 1, Verdict.CLEAN: 1}


def test_only_what_is_infected_can_be_released(drive: Scanned) -> None:
    quarantine = drive.services.quarantine
    drive.put("/a", b"x")
    with pytest.raises(Conflict, match="unscanned"):
        quarantine.release(drive.who, path("/a"))
    with pytest.raises(NotFound):
        quarantine.release(drive.who, path("/b"))
    with pytest.raises(BadRequest):
        quarantine.release(drive.who, path("/"))


def test_a_release_holds_for_what_it_was_given_for(opened: Open, own_clamd: ClamdServer) -> None:
    own_clamd.start()
    drive = opened(own_clamd)
    drive.put("/a", EICAR)
    drive.look()
    drive.services.quarantine.release(drive.who, path("/a"))
    own_clamd.stop()
    own_clamd.set_database(2)
    own_clamd.start()
    again(drive, own_clamd)
    assert drive.verdict("/a") is Verdict.RELEASED
    assert "/2/" in drive.report("/a").signature_version
    own_clamd.stop()
    own_clamd.forget("Davserver.Test.Eicar")
    own_clamd.set_database(3, Another=EICAR)
    own_clamd.start()
    again(drive, own_clamd)
    assert drive.verdict("/a") is Verdict.INFECTED
    assert drive.report("/a").signature.startswith("Another")


def test_a_file_is_scanned_again_at_once_when_an_administrator_wants_it(drive: Scanned) -> None:
    quarantine = drive.services.quarantine
    drive.put("/a", EICAR)
    drive.look()
    quarantine.release(drive.who, path("/a"))
    quarantine.scan_again(drive.who, path("/a"))
    assert drive.verdict("/a") is Verdict.INFECTED  # not for a moment is it called anything better
    assert drive.look() == 1
    assert drive.report("/a").signature_version.startswith("ClamAV")


def test_all_files_are_scanned_again_when_an_administrator_wants_it(drive: Scanned, clamd_server: ClamdServer) -> None:
    bob = drive.add_user("bob")
    drive.put("/a", b"x")
    drive.put("/b", b"", drive.who)
    drive.put("/a", b"y", bob)
    drive.look()
    assert drive.services.quarantine.scan_all_again(bob) == 1
    assert drive.services.quarantine.scan_all_again() == 2
    assert again(drive, clamd_server) == 2
    assert again(drive, clamd_server) == 0


def test_the_look_for_old_scans_and_for_viruses_uses_the_indexes(drive: Scanned) -> None:
    if not drive.services.database.is_sqlite:
        pytest.skip("PostgreSQL reads so small a table as a whole")
    with drive.services.database.read() as connection:
        for condition, index in {
            "signature_version < 'x' ORDER BY signature_version, scanned_at": "ix_revision_signature_version_scanned_at",
            "v.owner_id = 1 AND v.verdict in ('infected', 'released') AND v.verdict = 'infected'": "ix_revision_found",
        }.items():
            plan = connection.execute(text(f"EXPLAIN QUERY PLAN SELECT v.id FROM revision v WHERE {condition}")).all()
            assert index in str(plan)
