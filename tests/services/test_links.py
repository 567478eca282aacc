"""Download links: what they lead to, and when they lead nowhere."""

import io
import zipfile
from collections.abc import Iterator

import pytest
from sqlalchemy import func, select, update

from davserver.db.rows import LinkRow, LinkUseRow, RevisionRow
from davserver.domain.activity import Action, ActivityFilter
from davserver.domain.clock import HOUR, SECOND
from davserver.domain.errors import (
    ArchiveTooLarge,
    BadRequest,
    BlobMissing,
    Forbidden,
    LinkOver,
    LinkPasswordNeeded,
    NotFound,
    TooManyRequests,
)
from davserver.domain.principal import Door, Origin, Principal
from davserver.jobs.queue import Job
from davserver.jobs.runner import Work
from davserver.limiting.limiter import Limiter
from davserver.services import archives as archives_module
from davserver.services.activity import Activity
from davserver.services.archives import NOTE, Archives
from davserver.services.links import EXPIRE_LINKS, Links, LinkWish, Visitor
from davserver.services.passwords import PasswordHasher
from davserver.services.throttle import LINK, LINK_PASSWORD, Throttle
from davserver.stores.base import blob_key
from tests.support.core import PASSWORD, Core, path, statements
from tests.support.upkeep import helpers_of

HERE = Visitor(Origin(Door.LINK, "192.0.2.1"), "curl/8")
ELSEWHERE = Visitor(Origin(Door.LINK, "192.0.2.2"), "curl/8")


@pytest.fixture
def links(core: Core) -> Links:
    return Links(
        core.database,
        core.clock,
        core.random,
        b"secret",
        hasher=PasswordHasher(memory_kib=8, rounds=1),
        throttle=Throttle(Limiter()),
    )


@pytest.fixture
def archives(core: Core) -> Archives:
    return Archives(core.database, core.content)


def with_password(password: str) -> Visitor:
    return Visitor(HERE.origin, HERE.program, password)


def unzipped(pieces: Iterator[bytes]) -> zipfile.ZipFile:
    archive = zipfile.ZipFile(io.BytesIO(b"".join(pieces)))
    assert archive.testzip() is None
    return archive


def test_a_link_leads_to_its_file_on_behalf_of_its_owner_who_may_only_read(
    core: Core, alice: Principal, links: Links
) -> None:
    core.put(alice, "/f", b"content")
    made = links.create(alice, path("/f"), LinkWish())
    opened = links.open(made.token, HERE)
    assert (opened.resource.name, opened.path, opened.principal.owner_id) == ("f", path("/f"), alice.owner_id)
    assert (opened.principal.read_only, opened.principal.prefix) == (True, path("/f"))
    assert made.token not in repr(made)
    assert made.link.name == "f"


def test_the_token_is_not_in_the_database(core: Core, alice: Principal, links: Links) -> None:
    core.put(alice, "/f", b"content")
    made = links.create(alice, path("/f"), LinkWish())
    with core.database.read() as connection:
        [row] = connection.execute(select(LinkRow.__table__)).all()
    assert made.token not in str(row)
    assert len(made.token) == 64


def test_a_link_goes_along_when_its_file_is_moved_and_shows_what_is_put_there(
    core: Core, alice: Principal, links: Links
) -> None:
    core.mkcol(alice, "/a", "/b")
    core.put(alice, "/a/f", b"old")
    made = links.create(alice, path("/a/f"), LinkWish())
    core.tree.move(alice, path("/a/f"), path("/b/g"), overwrite=False)
    core.put(alice, "/b/g", b"new")
    opened = links.open(made.token, HERE)
    assert opened.path == path("/b/g")
    assert b"".join(core.content.read(opened.principal, opened.resource, 0, 3)) == b"new"


def test_a_link_leads_nowhere_while_its_file_or_a_folder_above_is_in_the_trash(
    core: Core, alice: Principal, links: Links
) -> None:
    core.mkcol(alice, "/a")
    core.put(alice, "/a/f", b"x")
    made = links.create(alice, path("/a/f"), LinkWish())
    core.tree.discard(alice, path("/a"))
    with pytest.raises(LinkOver):
        links.open(made.token, HERE)
    assert links.find(alice, made.link.id).path is None
    helpers = helpers_of(core)
    helpers.trash.restore(alice, "a")
    assert links.open(made.token, HERE).path == path("/a/f")
    core.tree.discard(alice, path("/a"))
    helpers.trash.empty(alice)
    helpers.work()
    assert core.scalar(select(func.count()).select_from(LinkRow)) == 0


def test_nothing_in_the_trash_is_shared(core: Core, alice: Principal, links: Links) -> None:
    core.put(alice, "/f", b"x")
    core.tree.discard(alice, path("/f"))
    for where in ("/.trash", "/.trash/f"):
        with pytest.raises(Forbidden):
            links.create(alice, path(where), LinkWish())


def test_a_link_ends_when_its_time_is_over(core: Core, alice: Principal, links: Links) -> None:
    core.put(alice, "/f", b"x")
    made = links.create(alice, path("/f"), LinkWish(expires_at=core.clock.now + HOUR))
    links.open(made.token, HERE)
    core.clock.advance(3600)
    with pytest.raises(LinkOver):
        links.open(made.token, HERE)


def test_a_link_that_is_taken_back_leads_nowhere_at_once(core: Core, alice: Principal, links: Links) -> None:
    core.put(alice, "/f", b"x")
    made = links.create(alice, path("/f"), LinkWish())
    links.open(made.token, HERE)
    links.revoke(alice, made.link.id)
    with pytest.raises(LinkOver):
        links.open(made.token, HERE)
    with pytest.raises(NotFound):
        links.revoke(alice, made.link.id)


def test_the_links_of_somebody_who_is_disabled_stop(core: Core, alice: Principal, links: Links) -> None:
    core.put(alice, "/f", b"x")
    made = links.create(alice, path("/f"), LinkWish())
    core.accounts.set_disabled("alice", disabled=True)
    with pytest.raises(LinkOver):
        links.open(made.token, HERE)
    core.accounts.set_disabled("alice", disabled=False)
    links.open(made.token, HERE)


def test_nobody_sees_or_takes_back_the_links_of_others(
    core: Core, alice: Principal, bob: Principal, links: Links
) -> None:
    core.put(alice, "/f", b"x")
    made = links.create(alice, path("/f"), LinkWish())
    assert links.links(bob) == []
    for attempt in (lambda: links.find(bob, made.link.id), lambda: links.revoke(bob, made.link.id)):
        with pytest.raises(NotFound):
            attempt()
    links.open(made.token, HERE)


def test_a_limited_token_shares_only_what_it_may_change(core: Core, alice: Principal, links: Links) -> None:
    core.mkcol(alice, "/a", "/b")
    with pytest.raises(Forbidden):
        links.create(Principal(alice.user_id, "alice", read_only=True), path("/a"), LinkWish())
    limited = Principal(alice.user_id, "alice", prefix=path("/a"))
    links.create(limited, path("/a"), LinkWish())
    with pytest.raises(Forbidden):
        links.create(limited, path("/b"), LinkWish())


# -- passwords


def test_a_password_is_asked_for_and_a_ticket_stands_for_it_for_an_hour(
    core: Core, alice: Principal, links: Links
) -> None:
    core.put(alice, "/f", b"x")
    made = links.create(alice, path("/f"), LinkWish(password=PASSWORD))
    for visitor in (HERE, with_password("another one"), Visitor(HERE.origin, ticket="1.2"), with_password("")):
        with pytest.raises(LinkPasswordNeeded):
            links.open(made.token, visitor)
    links.open(made.token, with_password(PASSWORD))
    ticket = links.ticket(made.token, with_password(PASSWORD))
    assert ticket is not None
    links.open(made.token, Visitor(HERE.origin, ticket=ticket))
    until, _, mac = ticket.partition(".")
    other = links.create(alice, path("/f"), LinkWish(password=PASSWORD))
    for token, shown in ((other.token, ticket), (made.token, f"{int(until) + 9}.{mac}"), (made.token, f"{until}.é")):
        with pytest.raises(LinkPasswordNeeded):
            links.open(token, Visitor(HERE.origin, ticket=shown))
    core.clock.advance(3601)
    with pytest.raises(LinkPasswordNeeded):
        links.open(made.token, Visitor(HERE.origin, ticket=ticket))


def test_a_link_that_could_never_be_used_is_refused(core: Core, alice: Principal, links: Links) -> None:
    core.put(alice, "/f", b"x")
    wishes = (
        LinkWish(expires_at=core.clock.now - SECOND),
        LinkWish(max_uses=0),
        LinkWish(password="short"),
        LinkWish(name="a\nb"),
        LinkWish(name="x" * 201),
    )
    for wish in wishes:
        with pytest.raises(BadRequest):
            links.create(alice, path("/f"), wish)
    assert links.links(alice) == []


# -- uses


def test_a_link_is_good_for_so_many_downloads(core: Core, alice: Principal, links: Links) -> None:
    core.put(alice, "/f", b"x")
    made = links.create(alice, path("/f"), LinkWish(max_uses=2))
    here, elsewhere = links.open(made.token, HERE), links.open(made.token, ELSEWHERE)
    links.begin_download(here, is_part=False)
    links.begin_download(here, is_part=False)
    assert links.find(alice, made.link.id).uses == 2
    with pytest.raises(LinkOver):
        links.begin_download(elsewhere, is_part=False)
    with pytest.raises(LinkOver):
        links.begin_download(elsewhere, is_part=True)
    with pytest.raises(LinkOver):
        links.open(made.token, ELSEWHERE)
    assert links.find(alice, made.link.id).uses == 2


def test_further_parts_are_no_further_use_for_a_day(core: Core, alice: Principal, links: Links) -> None:
    core.put(alice, "/f", b"x")
    made = links.create(alice, path("/f"), LinkWish(max_uses=1))
    opened = links.open(made.token, HERE)
    for _ in range(3):
        links.begin_download(opened, is_part=True)
    links.begin_download(links.open(made.token, HERE), is_part=True)
    assert links.find(alice, made.link.id).uses == 1
    core.clock.advance(24 * 3600 + 1)
    with pytest.raises(LinkOver):
        links.begin_download(opened, is_part=True)


def test_the_owner_sees_who_opened_a_link_once_for_each_visitor(core: Core, alice: Principal, links: Links) -> None:
    core.put(alice, "/a", b"x")
    made = links.create(alice, path("/a"), LinkWish(name="for Bob"))
    for _ in range(2):
        links.begin_download(links.open(made.token, HERE), is_part=False)
    links.begin_download(links.open(made.token, ELSEWHERE), is_part=False)
    log = Activity(core.database, core.clock, 10**15)
    [second, first] = log.of(alice, ActivityFilter(actions=frozenset({Action.LINK_OPENED}))).items
    assert (first.actor, first.detail, first.origin) == (None, "for Bob", HERE.origin)
    assert (second.actor, second.detail, second.origin) == (None, "for Bob", ELSEWHERE.origin)


def test_who_used_a_link_is_forgotten_after_a_day_and_links_a_month_after_their_end(
    core: Core, alice: Principal, links: Links
) -> None:
    core.put(alice, "/f", b"x")
    lasting = links.create(alice, path("/f"), LinkWish())
    links.create(alice, path("/f"), LinkWish(expires_at=core.clock.now + HOUR))
    links.begin_download(links.open(lasting.token, HERE), is_part=False)
    work = Work(Job(0, EXPIRE_LINKS, {}, 1, core.clock(), "claim"), lambda: None)
    links.handlers[EXPIRE_LINKS](work)
    assert core.scalar(select(func.count()).select_from(LinkUseRow)) == 1
    core.clock.advance(25 * 3600)
    links.expire(work)
    assert core.scalar(select(func.count()).select_from(LinkUseRow)) == 0
    assert len(links.links(alice)) == 2
    core.clock.advance(31 * 24 * 3600)
    links.expire(work)
    assert [link.id for link in links.links(alice)] == [lasting.link.id]


def test_a_list_of_links_costs_two_queries_and_goes_on_where_it_ended(
    core: Core, alice: Principal, links: Links
) -> None:
    core.mkcol(alice, "/a")
    for number in range(6):
        core.put(alice, f"/a/{number}", b"x")
        links.create(alice, path(f"/a/{number}"), LinkWish())
    with statements(core.database) as seen:
        first = links.links(alice, limit=4)
    assert len([s for s in seen if not s.startswith("BEGIN")]) == 2
    rest = links.links(alice, after=first[-1].id, limit=4)
    assert [link.path for link in (*first, *rest)] == [path(f"/a/{n}") for n in (5, 4, 3, 2, 1, 0)]
    assert [link.path for link in links.links(alice, path=path("/a/3"))] == [path("/a/3")]


# -- archives


def test_an_archive_holds_the_folder_byte_for_byte(core: Core, alice: Principal, archives: Archives) -> None:
    core.mkcol(alice, "/Fotos", "/Fotos/été", "/Fotos/empty", "/other")
    files = {"a.txt": b"small", "été/日本.bin": b"x" * 50_000, "été/none": b""}
    for name, data in files.items():
        core.put(alice, f"/Fotos/{name}", data)
    core.put(alice, "/other/f", b"no")
    archive = unzipped(archives.archive(alice, path("/Fotos")))
    assert {name: archive.read(f"Fotos/{name}") for name in files} == files
    folders = {"Fotos/", "Fotos/été/", "Fotos/empty/"}
    assert set(archive.namelist()) == folders | {f"Fotos/{name}" for name in files}
    utf8 = {info.filename: bool(info.flag_bits & 0x800) for info in archive.infolist()}
    assert utf8["Fotos/été/none"]
    assert archive.getinfo("Fotos/a.txt").date_time[0] == 2023


def test_an_archive_of_the_root_has_nothing_of_the_trash(core: Core, alice: Principal, archives: Archives) -> None:
    core.put(alice, "/kept", b"k")
    core.put(alice, "/gone", b"g")
    core.tree.discard(alice, path("/gone"))
    assert set(unzipped(archives.archive(alice, path("/"))).namelist()) == {"Files/", "Files/kept"}
    with pytest.raises(Forbidden):
        archives.archive(alice, path("/.trash"))
    with pytest.raises(BadRequest):
        archives.archive(alice, path("/kept"))


def test_what_is_infected_or_missing_is_left_out_and_told(core: Core, alice: Principal, archives: Archives) -> None:
    core.mkcol(alice, "/a")
    core.put(alice, "/a/good", b"good")
    core.put(alice, f"/a/{NOTE}", b"of the user")
    core.put(alice, "/a/ill", b"ill")
    missing = core.put(alice, "/a/missing", b"m" * 50_000).resource.revision
    assert missing is not None
    ill = core.tree.find(alice, path("/a/ill")).revision
    assert ill is not None
    with core.database.write() as unit:
        values = {"verdict": "infected", "signature": "Eicar"}
        unit.connection.execute(update(RevisionRow).where(RevisionRow.id == ill.id).values(values))
    core.store.remove(blob_key(missing.blob_id))
    archive = unzipped(archives.archive(alice, path("/a")))
    assert set(archive.namelist()) == {"a/", "a/good", f"a/{NOTE}", "a/NOT IN THIS ARCHIVE (2).txt"}
    told = archive.read("a/NOT IN THIS ARCHIVE (2).txt").decode()
    assert "a/ill: A virus was found" in told
    assert f"a/missing: {BlobMissing.summary}" in told


def test_an_archive_of_too_much_is_refused_before_it_begins(
    core: Core, alice: Principal, archives: Archives, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives_module, "MAX_ENTRIES", 2)
    core.mkcol(alice, "/a", "/a/1", "/a/2")
    unzipped(archives.archive(alice, path("/a")))
    core.mkcol(alice, "/a/3")
    with pytest.raises(ArchiveTooLarge):
        archives.archive(alice, path("/a"))


def test_a_file_that_goes_meanwhile_is_left_out_and_told(core: Core, alice: Principal, archives: Archives) -> None:
    core.mkcol(alice, "/a")
    core.put(alice, "/a/f", b"x")
    pieces = archives.archive(alice, path("/a"))
    core.tree.discard(alice, path("/a/f"))
    core.tree.discard(alice, path("/.trash"))
    helpers_of(core).work()
    archive = unzipped(pieces)
    assert archive.namelist() == ["a/", f"a/{NOTE}"]
    assert "a/f: it was removed meanwhile." in archive.read(f"a/{NOTE}").decode()


def test_a_link_s_password_cannot_be_guessed_at_without_end(core: Core, alice: Principal, links: Links) -> None:
    core.put(alice, "/f", b"x")
    made = links.create(alice, path("/f"), LinkWish(password=PASSWORD))
    ticket = links.ticket(made.token, with_password(PASSWORD))
    for number in range(LINK_PASSWORD.amount):
        with pytest.raises(LinkPasswordNeeded):
            links.open(made.token, with_password(f"guess {number}"))
    with pytest.raises(TooManyRequests):
        links.open(made.token, with_password(PASSWORD))
    links.open(made.token, Visitor(HERE.origin, ticket=ticket))
    links.open(made.token, Visitor(ELSEWHERE.origin, password=PASSWORD))


def test_one_address_cannot_knock_at_links_without_end(core: Core, alice: Principal, links: Links) -> None:
    core.put(alice, "/f", b"x")
    made = links.create(alice, path("/f"), LinkWish())
    for _ in range(LINK.amount):
        with pytest.raises(LinkOver):
            links.open("a" * 64, HERE)
    with pytest.raises(TooManyRequests):
        links.open(made.token, HERE)
    links.open(made.token, ELSEWHERE)
