"""The services with a real clamd, and what a test does with them."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from davserver.bootstrap import Services, build
from davserver.bootstrap.people import post_of
from davserver.config import Config, SecretUrl
from davserver.domain.conditions import NO_CONDITIONS
from davserver.domain.principal import Principal
from davserver.domain.verdict import ScanReport, Verdict
from davserver.jobs.queue import Job, ShownJob
from davserver.jobs.runner import Work
from davserver.services.accounts import Accounts
from davserver.services.content import PutDetails
from davserver.services.listing import Depth, Wanted
from davserver.services.passwords import PasswordHasher
from tests.support.core import PASSWORD, BytesBody, ManualClock, path


@dataclass
class Scanned:
    """Services whose jobs are done when a test says so."""

    services: Services
    clock: ManualClock
    who: Principal

    def put(self, where: str, data: bytes, who: Principal | None = None) -> None:
        """Store a file."""
        self.services.content.put(who or self.who, path(where), BytesBody(data, len(data)), PutDetails(), NO_CONDITIONS)

    def get(self, where: str) -> bytes:
        """The whole content of a file."""
        resource = self.services.tree.find(self.who, path(where))
        assert resource.revision is not None
        return b"".join(self.services.content.read(self.who, resource, 0, resource.revision.size))

    def verdict(self, where: str) -> Verdict:
        """What is known of a file."""
        revision = self.services.tree.find(self.who, path(where)).revision
        assert revision is not None
        return revision.verdict

    def report(self, where: str) -> ScanReport:
        """All that is known of its scan, as a listing tells it."""
        listing = self.services.tree.listing(self.who, path(where), Depth.ZERO, Wanted(scans=True))
        [entry] = listing.entries
        assert entry.scan is not None
        return entry.scan

    def look(self) -> int:
        """Do what is due. Returns how many jobs were done."""
        return self.services.runner.look()

    def jobs(self, kind: str = "scan") -> list[ShownJob]:
        """The jobs of that kind, as an administrator sees them."""
        return [job for job in self.services.queue.shown() if job.kind == kind]

    def add_user(self, name: str) -> Principal:
        """Another user."""
        user = self.services.accounts.add(name, PASSWORD)
        return Principal(user.id, user.name)


def work(kind: str, *, attempts: int = 1, **payload: int) -> Work:
    """A job under way, whose worker need not say that it lives."""
    return Work(Job(1, kind, dict(payload), attempts, 0, "claim"), lambda: None)


def open_scanned(folder: Path, database_url: str, **settings: Any) -> Scanned:
    """The services on a migrated database, with a user."""
    clock = ManualClock()
    services = build(Config(data_dir=folder, database_url=SecretUrl(database_url), **settings), clock=clock)
    accounts = Accounts(
        services.database,
        clock,
        b"a secret of the tests",
        hasher=PasswordHasher(memory_kib=8, rounds=1),
        post=post_of(services.config),
    )
    made = Scanned(replace(services, accounts=accounts), clock, Principal(0, ""))
    made.who = made.add_user("ada")
    return made
