"""Where services put in what a user is to be told of by mail: a job, in the unit that does what it is about."""

from typing import Final

from sqlalchemy import select

from davserver.db.rows import UserRow
from davserver.db.units import Unit
from davserver.domain.clock import Micros
from davserver.domain.preferences import Notice
from davserver.jobs.outbox import enqueue
from davserver.services.settings import wants

SEND_MAIL: Final = "send_mail"
"""The job that sends one mail to one user."""
_U: Final = UserRow.__table__.c


class Post:
    """`is_on`: whether there is a mail server; without one nothing is put in."""

    def __init__(self, *, is_on: bool) -> None:
        self.is_on = is_on

    def notify(self, unit: Unit, user_id: int, notice: Notice, now: Micros, **about: str | int) -> bool:
        """Have a user told, when they have an address and want to hear of it. `about`: what the mail says; no secret.

        Returns whether they are. One or two queries.
        """
        if not self.is_on:
            return False
        reached = (_U.id == user_id) & _U.email.is_not(None) & _U.disabled_at.is_(None) & _U.removed_at.is_(None)
        if unit.connection.execute(select(_U.id).where(reached)).first() is None:
            return False
        if not wants(unit.connection, user_id, notice):
            return False
        enqueue(unit, SEND_MAIL, {"mail": notice.value, "user_id": user_id, **about}, now)
        return True


SILENT: Final = Post(is_on=False)
"""For what runs without mail."""
