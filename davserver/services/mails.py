"""Mails: a job each, written by the unit that causes it; composed and handed to the mail server when a worker does the job.

So a slow mail server delays nobody, one that is away loses no mail, and no secret lies in a job: a reset link is signed when its
mail is sent.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import func, or_, select

from davserver.db.rows import UserRow
from davserver.db.units import Database
from davserver.domain.activity import Action
from davserver.domain.clock import HOUR, Clock
from davserver.domain.errors import InvalidName, MailNotSet
from davserver.domain.principal import Door, Origin
from davserver.jobs.outbox import enqueue
from davserver.jobs.runner import Handler, Work
from davserver.mailing.base import Letter, Mailer, MailRefused
from davserver.services.accounts import check_user_name, is_email, name_key
from davserver.services.activity import record_stranger
from davserver.services.resets import RESET_SECONDS, Resets
from davserver.services.throttle import Throttle

log = logging.getLogger(__name__)

SEND_MAIL: Final = "send_mail"
"""The job that sends one mail to one user."""
SEND_RESETS: Final = "send_resets"
"""The job that has reset links sent to those whose account somebody named, or to nobody."""
LATE: Final = 24 * HOUR
"""What could not be sent for so long is not sent any more: nobody waits for it."""
RESET: Final = "reset"
_MOST_ACCOUNTS: Final = 10
_U: Final = UserRow.__table__.c
_REACHED: Final = (_U.disabled_at.is_(None), _U.removed_at.is_(None), _U.email.is_not(None))


@dataclass(frozen=True, slots=True)
class _Recipient:
    id: int
    name: str
    email: str


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

    @property
    def handlers(self) -> dict[str, Handler]:
        """What does which kind of job."""
        return {SEND_MAIL: self.send, SEND_RESETS: self.send_resets}

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
        del work
        if kind != RESET:
            raise LookupError(f"This release does not write mails of the kind {kind!r}.")
        link = f"{self._public_url}/reset?token={self._resets.token_of(who.id)}"
        return "Set a new password", _RESET_TEXT.format(name=who.name, link=link, minutes=RESET_SECONDS // 60)

    def _recipient(self, user_id: int) -> _Recipient | None:
        with self._database.read() as connection:
            query = select(_U.id, _U.name, _U.email).where(_U.id == user_id, *_REACHED)
            row: Any = connection.execute(query).one_or_none()
        return None if row is None else _Recipient(*row)

    def _is_late(self, work: Work) -> bool:
        return self._clock() - work.created_at > LATE


_RESET_TEXT: Final = """\
Hello {name},

somebody asked for a new password for your account. If it was you, set it here:

{link}

The link works once, for {minutes} minutes. All sessions end then; device tokens stay.

If it was not you, do nothing: your password stays as it is.
"""


def _keys(account: str) -> tuple[str, str]:
    """What to look for: the key of a name, and an address. What can be neither matches nobody."""
    try:
        key = name_key(check_user_name(account))
    except InvalidName:
        key = ""
    return key, account.lower() if is_email(account) else ""
