"""What you set for yourself."""

from dataclasses import replace
from typing import Annotated, Any, Final

from pydantic import Field

from davserver.domain.clock import SECOND
from davserver.domain.errors import PreconditionFailed
from davserver.domain.preferences import Notice, Preferences
from davserver.rest.context import principal, services
from davserver.rest.models import WHOLE, Answer, Flag, Given
from davserver.rest.noun import Noun
from davserver.rest.tags import check_if_match, tag_header, tag_of

noun = Noun("settings", "What you set for yourself.")

_HIDES_TRASH: Final = "Leave `.trash` out of listings, so that a sync client cannot empty it; its URL still works."
_HIDES_QUOTA: Final = "Leave the quota properties (RFC 4331) out of WebDAV: for clients that stumble over them."
_NOTIFY: Final = "What you are told of by mail."


class SettingsShown(Answer):
    """Your settings."""

    trash_retention: Annotated[
        int | None, Field(description="Seconds that what you delete is kept; null: as long as the server keeps it.")
    ]
    longest_trash_retention: Annotated[int, Field(description="How long that is.")]
    hides_trash: Annotated[bool, Field(description=_HIDES_TRASH)]
    hides_quota: Annotated[bool, Field(description=_HIDES_QUOTA)]
    time_zone: Annotated[str, Field(description="For days in statistics, and times in exports.")]
    notify: Annotated[list[Notice], Field(description=_NOTIFY)]


class SettingsWanted(Given):
    """What is to change; what is left out stays as it is."""

    trash_retention: Annotated[
        Annotated[int, Field(ge=0, lt=2**40), WHOLE] | None, Field(description="Seconds; null: as the server says.")
    ] = None
    hides_trash: Annotated[Flag, Field(description=_HIDES_TRASH)] = False
    hides_quota: Annotated[Flag, Field(description=_HIDES_QUOTA)] = False
    time_zone: Annotated[str, Field(max_length=64, description="As in `Europe/Zurich`.")] = "UTC"
    notify: Annotated[list[Notice], Field(default_factory=list, description=_NOTIFY)]


@noun.on("GET", "/settings", gives=SettingsShown)
def show_settings() -> Any:
    """See your settings."""
    return _shown(services().settings.of(principal()))


@noun.on("PATCH", "/settings", gives=SettingsShown, errors=(PreconditionFailed,))
def change_settings(body: SettingsWanted) -> Any:
    """Change some of your settings; with If-Match, only as you have seen them."""

    def change(found: Preferences) -> Preferences:
        check_if_match(_tag(found))
        return replace(found, **_wanted(body))

    return _shown(services().settings.change(principal(), change))


def _wanted(body: SettingsWanted) -> dict[str, Any]:
    given: dict[str, Any] = {name: getattr(body, name) for name in body.model_fields_set}
    if given.get("trash_retention") is not None:
        given["trash_retention"] *= SECOND
    if "notify" in given:
        given["notices"] = frozenset(given.pop("notify"))
    return given


def _shown(found: Preferences) -> tuple[SettingsShown, dict[str, str]]:
    shown = SettingsShown(
        trash_retention=None if found.trash_retention is None else found.trash_retention // SECOND,
        longest_trash_retention=services().settings.longest // SECOND,
        hides_trash=found.hides_trash,
        hides_quota=found.hides_quota,
        time_zone=found.time_zone,
        notify=sorted(found.notices),
    )
    return shown, tag_header(_tag(found))


def _tag(found: Preferences) -> str:
    notices = sorted(found.notices)
    return tag_of(found.trash_retention, found.hides_trash, found.hides_quota, found.time_zone, *notices)
