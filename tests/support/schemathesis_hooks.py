"""What Schemathesis is told in Python: who it is. Its command loads this by the name in its configuration file.

Some routes end sessions. So after a 401 the token is looked at, and another one fetched when it does not count any more.
"""

import os
import time
from typing import Any

import requests
import schemathesis

API = os.environ.get("FUZZED_API", "")
_suspect = [True]


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    """Note that the token may not count any more."""
    del context, case
    if response.status_code == 401:
        _suspect[0] = True


@schemathesis.auth(refresh_interval=None)
class SignedIn:
    """The user whose name and password are in the environment."""

    def __init__(self) -> None:
        self._token = ""

    def get(self, case: Any, context: Any) -> str:
        """A token that counts."""
        del case, context
        if _suspect[0] and not self._counts():
            given = {"name": os.environ["FUZZED_USER"], "password": os.environ["FUZZED_PASSWORD"]}
            while (answer := requests.post(f"{API}/sessions", json=given, timeout=30)).status_code == 429:
                time.sleep(min(int(answer.headers["Retry-After"]), 60))  # too many wrong passwords were made up
            answer.raise_for_status()
            self._token = answer.json()["access_token"]
        _suspect[0] = False
        return self._token

    def set(self, case: Any, data: str, context: Any) -> None:
        """Send it."""
        del context
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {data}"}

    def _counts(self) -> bool:
        known = {"Authorization": f"Bearer {self._token}"}
        return bool(self._token) and requests.get(f"{API}/me", headers=known, timeout=30).status_code == 200
