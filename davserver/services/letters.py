"""What the mails say. Plain text; what users have written themselves stands in the body only, never in a header field."""

from collections.abc import Mapping
from typing import Any, Final

from davserver.domain.clock import Micros
from davserver.domain.preferences import Notice, local_time

RESET: Final = "reset"

_TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    RESET: (
        "Set a new password",
        (
            "somebody asked for a new password for your account. If it was you, set it here:\n\n{link}\n\n"
            "The link works once, for {minutes} minutes. All sessions end then; device tokens stay.\n\n"
            "If it was not you, do nothing: your password stays as it is.\n"
        ),
    ),
    Notice.QUOTA_NEARLY_FULL.value: (
        "Your drive is nearly full",
        (
            "your drive holds {used} of {quota}, the trash included. When it is full, uploads are refused.\n\n"
            "Emptying the trash makes room at once: {public_url}\n"
        ),
    ),
    Notice.INFECTED_UPLOAD.value: (
        "A virus was found in a file of yours",
        (
            "a virus ({signature}) was found in this file of your drive:\n\n{path}\n\n"
            "Its content is not given out any more. The file can be deleted. If you are sure that it is harmless, ask an "
            "administrator to release it.\n"
        ),
    ),
    Notice.NEW_SIGN_IN.value: (
        "A sign-in from a new place",
        (
            "somebody signed in with your password on {when} from the address {address}, from where nobody did so in the last 90 "
            "days.\n\nIf it was you, all is well. If not, set a new password at once: all sessions end then. Look at your device "
            "tokens too.\n"
        ),
    ),
    Notice.NEW_DEVICE_TOKEN.value: (
        "A new device token",
        (
            "a device token named {name!r} was made for your account on {when}. It opens your drive without your password.\n\n"
            "If it was not you, revoke it and set a new password.\n"
        ),
    ),
    Notice.TRASH_PURGED.value: (
        "Your trash was purged",
        "{count} {things} in your trash had been there for their time, and were removed for good on {when}.\n",
    ),
}


def letter(kind: str, name: str, about: Mapping[str, Any], at: Micros, time_zone: str) -> tuple[str, str]:
    """Subject and text. `at`: when it happened. Raises `LookupError` for a kind that this release does not write."""
    if kind not in _TEXTS:
        raise LookupError(f"This release does not write mails of the kind {kind!r}.")
    subject, text = _TEXTS[kind]
    when = f"{local_time(at, time_zone):%Y-%m-%d at %H:%M} ({time_zone})"
    things = "thing" if about.get("count") == 1 else "things"
    return subject, f"Hello {name},\n\n" + text.format_map({**about, "when": when, "things": things})
