"""Mails: a job each, written by the unit that causes it; composed and handed to the mail server when a worker does the job.

So a slow mail server delays nobody, one that is away loses no mail, and no secret lies in a job: a reset link is signed when its
mail is sent.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import func, or_, select, update

from davserver.config.kinds import show_size
from davserver.db.rows import TreeRow, UserRow
from davserver.db.units import Database
from davserver.domain.activity import Action
from davserver.domain.clock import HOUR, Clock, Micros
from davserver.domain.errors import InvalidName, MailNotSet
from davserver.domain.preferences import UTC_NAME, Notice
from davserver.domain.principal import Door, Origin
from davserver.jobs.outbox import enqueue
from davserver.jobs.runner import Handler, Work
from davserver.mailing.base import Letter, Mailer, MailRefused
from davserver.services.accounts import check_user_name, is_email, name_key
from davserver.services.activity import record_stranger
from davserver.services.letters import RESET, letter
from davserver.services.post import SEND_MAIL, Post
from davserver.services.resets import RESET_SECONDS, Resets
from davserver.services.throttle import Throttle

log = logging.getLogger(__name__)

SEND_RESETS: Final = "send_resets"
"""The job that has reset links sent to those whose account somebody named, or to nobody."""
LATE: Final = 24 * HOUR
"""What could not be sent for so long is not sent any more: nobody waits for it."""
_MOST_ACCOUNTS: Final = 10
_U: Final = UserRow.__table__.c
WATCH_QUOTAS: Final = "watch_quotas"
"""The job that looks for drives that are nearly full."""
PERIODS: Final[Mapping[str, Micros]] = {WATCH_QUOTAS: HOUR}
"""How often that is done."""
_MOST_NOTICES: Final = 1_000
_WITH_QUOTA: Final = (
    select(_U.id, _U.quota_bytes, TreeRow.used_bytes)
    .join(TreeRow, TreeRow.owner_id == _U.id)
    .where(_U.quota_bytes > 0, _U.removed_at.is_(None))
)
_NEARLY_FULL: Final = _WITH_QUOTA.where(_U.quota_noticed_at.is_(None), TreeRow.used_bytes * 10 >= _U.quota_bytes * 9)
_ROOM_AGAIN: Final = (
    select(_U.id)
    .join(TreeRow, TreeRow.owner_id == _U.id)
    .where(
        _U.quota_noticed_at.is_not(None),
        or_(_U.quota_bytes.is_(None), TreeRow.used_bytes * 10 < _U.quota_bytes * 8),
    )
)
_REACHED: Final = (_U.disabled_at.is_(None), _U.removed_at.is_(None), _U.email.is_not(None))


@dataclass(frozen=True, slots=True)
class _Recipient:
    id: int
    name: str
    email: str
    time_zone: str


class Mails:
    """Use cases on mail. `public_url`: how people reach this server, without a slash at its end; never taken from a request."""

    def __init__(
        self, database: Database, clock: Clock, mailer: Mailer, resets: Resets, throttle: Throttle, public_url: str
    ) -> None:
        self._database = database
        self._clock = clock
        self._mailer = mailer
        self._resets = resets
        self._throttle = throttle
        self._public_url = public_url
        self._post = Post(is_on=mailer.is_on)

    @property
    def handlers(self) -> dict[str, Handler]:
        """What does which kind of job."""
        return {SEND_MAIL: self.send, SEND_RESETS: self.send_resets, WATCH_QUOTAS: self.watch_quotas}

    def ask_for_reset(self, account: str, origin: Origin) -> None:
        """Have a reset link sent to the address of an account, given by its name or that address.

        Does the same, and takes the same time, whether there is such an account or not. Raises `MailNotSet`.
        """
        if not self._mailer.is_on:
            raise MailNotSet
        may = self._throttle.may_mail_reset(account)
        key, email = _keys(account)
        named = or_(_U.name_key == key, func.lower(_U.email) == email)
        query = select(_U.id).where(*_REACHED, named).order_by(_U.id).limit(_MOST_ACCOUNTS)
        with self._database.write() as unit:
            ids = [str(user_id) for user_id in unit.connection.execute(query).scalars()]
            about: dict[str, str | Sequence[str]] = {"user_ids": ids if may else [], "address": origin.address or ""}
            enqueue(unit, SEND_RESETS, about, self._clock())

    def send_resets(self, work: Work) -> None:
        """Write a job for each mail, and note it in the log."""
        origin = Origin(Door.REST, str(work.payload["address"]) or None)
        if self._is_late(work):
            return
        with self._database.write() as unit:
            for user_id in map(int, work.payload["user_ids"]):
                enqueue(unit, SEND_MAIL, {"mail": RESET, "user_id": user_id}, self._clock())
                record_stranger(unit, user_id, origin, Action.PASSWORD_RESET_SENT, self._clock(), None)

    def send(self, work: Work) -> None:
        """Send a mail, when there still is somebody to send it to. Raises `MailUnavailable`: the job waits then."""
        kind, user_id = str(work.payload["mail"]), int(work.payload["user_id"])
        who = self._recipient(user_id)
        if who is None or self._is_late(work):
            log.warning("mail %s to user %d is not sent any more", kind, user_id)
            return
        subject, text = self._written(kind, who, work)
        try:
            self._mailer.send(Letter(who.email, subject, text))
        except MailRefused as error:
            log.warning("mail %s to user %d was not sent: %s", kind, user_id, error)

    def _written(self, kind: str, who: _Recipient, work: Work) -> tuple[str, str]:
        about = {**work.payload, "public_url": self._public_url, "minutes": RESET_SECONDS // 60}
        if kind == RESET:
            about["link"] = f"{self._public_url}/reset?token={self._resets.token_of(who.id)}"
        return letter(kind, who.name, about, work.created_at, who.time_zone)

    def _recipient(self, user_id: int) -> _Recipient | None:
        with self._database.read() as connection:
            zone = func.coalesce(_U.time_zone, UTC_NAME)
            query = select(_U.id, _U.name, _U.email, zone).where(_U.id == user_id, *_REACHED)
            row: Any = connection.execute(query).one_or_none()
        return None if row is None else _Recipient(*row)

    def watch_quotas(self, work: Work) -> None:
        """Tell whose drive has become nearly full, once until there is more room again. Two queries if nobody's."""
        if not self._post.is_on:
            return
        with self._database.read() as connection:
            full = connection.execute(_NEARLY_FULL.limit(_MOST_NOTICES)).all()
        for row in full:
            work.keep()
            used, quota = show_rounded(row.used_bytes), show_size(row.quota_bytes)
            with self._database.write() as unit:
                here = (_U.id == row.id) & _U.quota_noticed_at.is_(None)
                if unit.connection.execute(update(UserRow).where(here).values(quota_noticed_at=self._clock())).rowcount:
                    notice = Notice.QUOTA_NEARLY_FULL
                    self._post.notify(unit, row.id, notice, self._clock(), used=used, quota=quota)
        with self._database.read() as connection:
            roomy = connection.execute(_ROOM_AGAIN).scalars().all()
        if roomy:
            with self._database.write() as unit:
                unit.connection.execute(update(UserRow).where(_U.id.in_(roomy)).values(quota_noticed_at=None))

    def _is_late(self, work: Work) -> bool:
        return self._clock() - work.created_at > LATE


def _keys(account: str) -> tuple[str, str]:
    """What to look for: the key of a name, and an address. What can be neither matches nobody."""
    try:
        key = name_key(check_user_name(account))
    except InvalidName:
        key = ""
    return key, account.lower() if is_email(account) else ""


def show_rounded(size: int) -> str:
    """A size for people, with the unit of which it is at least one."""
    for unit, letter_of_it in ((1024**4, "T"), (1024**3, "G"), (1024**2, "M"), (1024, "K")):
        if size >= unit:
            return f"{size / unit:.1f}{letter_of_it}"
    return str(size)
