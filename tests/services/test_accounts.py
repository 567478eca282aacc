import secrets
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import event, func, select

from davserver.db.rows import ROOT_ID, ResourceRow, TreeRow, UserRow
from davserver.db.units import Database
from davserver.domain.clock import SECOND
from davserver.domain.errors import BadRequest, Conflict, InvalidName, NotFound, Unauthenticated, Unavailable
from davserver.services.accounts import Accounts, User
from davserver.services.passwords import PasswordHasher
from davserver.services.right_passwords import CACHE_ENTRIES, CACHE_SECONDS

PASSWORD = "correct horse"
CHEAP = {"memory_kib": 8, "rounds": 1}


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000 * SECOND

    def __call__(self) -> int:
        return self.now


class CountingHasher(PasswordHasher):
    """The real one, which remembers how often it worked."""

    def __init__(self) -> None:
        super().__init__(**CHEAP)
        self.verified = 0

    def verify(self, password: str, hashed: str | None) -> bool:
        self.verified += 1
        return super().verify(password, hashed)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    made = Database(database_url)
    yield made
    made.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hasher() -> CountingHasher:
    return CountingHasher()


@pytest.fixture
def accounts(database: Database, clock: Clock, hasher: CountingHasher) -> Accounts:
    return Accounts(database, clock, b"secret", hasher=hasher, default_quota=123)


def another_process(database: Database, clock: Clock) -> Accounts:
    return Accounts(database, clock, b"another secret", hasher=PasswordHasher(**CHEAP))


def test_a_user_who_was_added_signs_in_and_has_an_empty_tree(
    accounts: Accounts, database: Database, clock: Clock
) -> None:
    user = accounts.add("Ada", PASSWORD, email="ada@example.org", is_admin=True, quota_bytes=5)
    assert user == User(
        id=user.id,
        name="Ada",
        email="ada@example.org",
        is_admin=True,
        disabled_at=None,
        quota_bytes=5,
        created_at=clock.now,
    )
    principal = accounts.authenticate("Ada", PASSWORD)
    assert (principal.user_id, principal.name, principal.is_admin) == (user.id, "Ada", True)
    with database.read() as connection:
        assert connection.execute(select(TreeRow.used_bytes).where(TreeRow.owner_id == user.id)).scalar_one() == 0
        root = connection.execute(
            select(ResourceRow.parent_id, ResourceRow.name).where(
                ResourceRow.owner_id == user.id, ResourceRow.id == ROOT_ID
            )
        ).one()
    assert tuple(root) == (None, "")


def test_no_password_is_in_the_database(accounts: Accounts, database: Database) -> None:
    accounts.add("ada", PASSWORD)
    with database.read() as connection:
        assert connection.execute(select(UserRow.password_hash)).scalar_one().startswith("$argon2id$")


def test_without_a_quota_the_default_one_is_set(accounts: Accounts) -> None:
    assert accounts.add("ada", PASSWORD).quota_bytes == 123
    assert accounts.add("bob", PASSWORD, quota_bytes=0).quota_bytes == 0


@pytest.mark.parametrize("name", ["ada", "ADA", "\uff21da"])  # the last is NFKC's business
def test_a_name_is_matched_however_it_is_written(accounts: Accounts, name: str) -> None:
    user = accounts.add("Ada", PASSWORD)
    assert accounts.authenticate(name, PASSWORD).user_id == user.id
    assert accounts.find(name) == user
    with pytest.raises(Conflict, match="already"):
        accounts.add(name, PASSWORD)


def test_a_name_that_is_taken_changes_nothing(accounts: Accounts) -> None:
    accounts.add("ada", PASSWORD)
    with pytest.raises(Conflict):
        accounts.add("ada", "another password")
    assert accounts.authenticate("ada", PASSWORD).name == "ada"
    assert len(accounts.users()) == 1


@pytest.mark.parametrize(
    "name", ["", "a" * 65, "a:b", "a/b", "a\\b", "a\nb", "a\0", " a", "a ", "\u2100", "\ud800", "\x85"]
)
def test_a_name_that_clients_cannot_send_is_refused(accounts: Accounts, name: str) -> None:
    with pytest.raises(InvalidName):
        accounts.add(name, PASSWORD)
    assert accounts.users() == ()


@pytest.mark.parametrize("name", ["a", "a" * 64, "ada lovelace", "ada@example.org", "\u00e4d\u00e4", "\u9ed2\u732b"])
def test_a_name_of_any_script_signs_in(accounts: Accounts, name: str) -> None:
    accounts.add(name, PASSWORD)
    assert accounts.authenticate(name, PASSWORD).name == name


@pytest.mark.parametrize("password", ["", "1234567", "a" * 1025, "with\nnewline", "with\0nul", "surrogate\ud800"])
def test_a_password_that_cannot_be_used_is_refused(accounts: Accounts, password: str) -> None:
    with pytest.raises(BadRequest, match="password"):
        accounts.add("ada", password)
    accounts.add("ada", PASSWORD)
    with pytest.raises(BadRequest, match="password"):
        accounts.set_password("ada", password)
    assert accounts.authenticate("ada", PASSWORD).name == "ada"


@pytest.mark.parametrize("email", ["", "ada", "ada@", "a b@c", "a@b\n", "a" * 250 + "@b.de"])
def test_what_is_no_email_address_is_refused(accounts: Accounts, email: str) -> None:
    with pytest.raises(BadRequest, match="e-mail"):
        accounts.add("ada", PASSWORD, email=email)


def test_a_password_matches_in_composed_and_decomposed_form(accounts: Accounts) -> None:
    accounts.add("ada", "p\u00e4sswort")
    assert accounts.authenticate("ada", "pa\u0308sswort").name == "ada"


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("ada", "wrong"), ("ada", ""), ("ada", "a" * 100_000), ("bob", PASSWORD), ("", ""), ("\ud800", "\ud800"),
        ("ada\0", PASSWORD), ("ada", PASSWORD + "\0"), ("a" * 100_000, PASSWORD),
    ],
)  # fmt: skip
def test_wrong_credentials_are_refused_in_one_way(
    accounts: Accounts, hasher: CountingHasher, name: str, password: str
) -> None:
    accounts.add("ada", PASSWORD)
    for attempt in (1, 2):
        with pytest.raises(Unauthenticated, match="wrong"):
            accounts.authenticate(name, password)
        assert hasher.verified == attempt  # each costs a hash, known name or not, and none is remembered


def test_a_wrong_password_does_not_pass_after_a_right_one(accounts: Accounts) -> None:
    accounts.add("ada", PASSWORD)
    accounts.authenticate("ada", PASSWORD)
    with pytest.raises(Unauthenticated):
        accounts.authenticate("ada", PASSWORD + "x")


def test_a_right_password_is_hashed_once_and_then_costs_one_query(
    accounts: Accounts, hasher: CountingHasher, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts.add("ada", PASSWORD)
    accounts.authenticate("ada", PASSWORD)
    statements: list[str] = []
    quick = database.quick.first

    def asked(sql: str, *values: int | str) -> object:
        statements.append(sql)
        return quick(sql, *values)

    monkeypatch.setattr(database.quick, "first", asked)
    listener = lambda *args: statements.append(args[2])  # noqa: E731
    event.listen(database.engine, "before_cursor_execute", listener)
    accounts.authenticate("ada", PASSWORD)
    event.remove(database.engine, "before_cursor_execute", listener)
    assert hasher.verified == 1
    assert len(statements) == 1
    assert statements[0].startswith("SELECT")


def test_what_is_remembered_is_forgotten_after_its_time(
    accounts: Accounts, hasher: CountingHasher, clock: Clock
) -> None:
    accounts.add("ada", PASSWORD)
    accounts.authenticate("ada", PASSWORD)
    clock.now += CACHE_SECONDS * SECOND - 1
    accounts.authenticate("ada", PASSWORD)
    assert hasher.verified == 1
    clock.now += 1
    accounts.authenticate("ada", PASSWORD)
    assert hasher.verified == 2


def test_a_changed_password_acts_on_the_next_request_in_every_process(
    accounts: Accounts, database: Database, clock: Clock
) -> None:
    accounts.add("ada", PASSWORD)
    others = another_process(database, clock)
    others.authenticate("ada", PASSWORD)
    accounts.set_password("Ada", "new password")
    with pytest.raises(Unauthenticated):
        others.authenticate("ada", PASSWORD)
    assert others.authenticate("ada", "new password").name == "ada"


def test_a_disabled_user_is_out_on_the_next_request_in_every_process(
    accounts: Accounts, database: Database, clock: Clock
) -> None:
    accounts.add("ada", PASSWORD)
    others = another_process(database, clock)
    others.authenticate("ada", PASSWORD)
    accounts.set_disabled("ada", disabled=True)
    assert accounts.find("ada").disabled_at == clock.now
    for each in (accounts, others):
        with pytest.raises(Unauthenticated):
            each.authenticate("ada", PASSWORD)
    accounts.set_disabled("ada", disabled=False)
    assert others.authenticate("ada", PASSWORD).name == "ada"


def test_changing_an_unknown_user_is_an_error(accounts: Accounts) -> None:
    with pytest.raises(NotFound, match="bob"):
        accounts.set_password("bob", PASSWORD)
    with pytest.raises(NotFound, match="bob"):
        accounts.set_disabled("bob", disabled=True)
    with pytest.raises(NotFound, match="bob"):
        accounts.find("bob")


def test_users_are_listed_by_name(accounts: Accounts) -> None:
    for name in ("bob", "Ada", "cy"):
        accounts.add(name, PASSWORD)
    assert [user.name for user in accounts.users()] == ["Ada", "bob", "cy"]


def test_an_old_hash_is_renewed_at_sign_in_and_nobody_is_signed_out(
    accounts: Accounts, database: Database, clock: Clock
) -> None:
    accounts.add("ada", PASSWORD)
    accounts.authenticate("ada", PASSWORD)
    stronger = Accounts(database, clock, b"s", hasher=PasswordHasher(memory_kib=16, rounds=2))
    stronger.authenticate("ada", PASSWORD)
    with database.read() as connection:
        hashed, version = connection.execute(select(UserRow.password_hash, UserRow.credential_version)).one()
    assert "m=16,t=2" in hashed
    assert version == 1
    assert accounts.authenticate("ada", PASSWORD).name == "ada"


def test_the_first_user_is_added_once_however_many_servers_start(database: Database, clock: Clock) -> None:
    starting = [another_process(database, clock) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        added = list(pool.map(lambda pair: pair[1].add_first(f"user{pair[0]}", PASSWORD), enumerate(starting)))
    first = [user for user in added if user is not None]
    assert len(first) == 1
    assert first[0].is_admin
    assert starting[0].users() == (first[0],)


def test_many_at_once_sign_in_with_one_database(accounts: Accounts) -> None:
    for n in range(4):
        accounts.add(f"user{n}", f"{PASSWORD}{n}")
    with ThreadPoolExecutor(8) as pool:
        names = list(pool.map(lambda n: accounts.authenticate(f"user{n % 4}", f"{PASSWORD}{n % 4}").name, range(200)))
    assert names == [f"user{n % 4}" for n in range(200)]


def test_the_cache_is_bounded(accounts: Accounts) -> None:
    accounts.add("ada", PASSWORD)
    accounts.authenticate("ada", PASSWORD)
    cache = accounts._cache
    for _ in range(CACHE_ENTRIES + 10):
        cache.put(secrets.token_bytes(32), 1, 1, 0)
    assert len(cache._entries) == CACHE_ENTRIES
    assert accounts.authenticate("ada", PASSWORD).name == "ada"


def test_a_flood_of_sign_ins_is_bounded_and_told_to_wait() -> None:
    slow = PasswordHasher(memory_kib=64 * 1024, rounds=8, at_once=1, patience=0.05)
    hashed = PasswordHasher(**CHEAP).hash(PASSWORD)
    begun = threading.Barrier(4)
    answers: list[bool | None] = []

    def sign_in() -> None:
        begun.wait()
        try:
            answers.append(slow.verify("wrong password", None) or slow.verify(PASSWORD, hashed))
        except Unavailable:
            answers.append(None)

    threads = [threading.Thread(target=sign_in) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert None in answers
    assert True in answers


def test_an_unknown_name_takes_as_long_as_a_wrong_password(database: Database, clock: Clock) -> None:
    accounts = Accounts(database, clock, b"s", hasher=PasswordHasher())
    accounts.add("ada", PASSWORD)

    def shortest(name: str) -> float:
        times = []
        for _ in range(5):
            began = time.process_time()  # work, not the machine's load
            with pytest.raises(Unauthenticated):
                accounts.authenticate(name, "wrong password")
            times.append(time.process_time() - began)
        return min(times)

    known, unknown = shortest("ada"), shortest("bob")
    assert unknown > known / 2
    assert known > unknown / 2


def test_nothing_of_a_password_is_in_reprs_or_errors(accounts: Accounts) -> None:
    user = accounts.add("ada", PASSWORD)
    with pytest.raises(Unauthenticated) as caught:
        accounts.authenticate("ada", "wrong " + PASSWORD)
    assert PASSWORD not in f"{user!r} {accounts!r} {caught.value!r} {accounts.__dict__}"


def test_the_database_counts_one_user_a_name(accounts: Accounts, database: Database) -> None:
    def add(_: int) -> bool:
        try:
            accounts.add("ada", PASSWORD)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(add, range(8))) == 1
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(TreeRow)).scalar_one() == 1


def test_many_who_come_at_once_with_the_same_password_are_hashed_once(
    accounts: Accounts, hasher: CountingHasher
) -> None:
    accounts.add("ada", PASSWORD)
    together = threading.Barrier(12)
    came: list[str] = []

    def come() -> None:
        together.wait(30)
        came.append(accounts.authenticate("ada", PASSWORD).name)

    threads = [threading.Thread(target=come) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert came == ["ada"] * 12
    assert hasher.verified == 1
    assert not accounts._turns._waiting
