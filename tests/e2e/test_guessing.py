"""Passwords cannot be guessed at without end, by two processes together, and whoever has a device token never waits."""

import httpx

from tests.support.davserver import Deployment

NOT_TESTING = {"TESTING": "", "DAVSERVER_PROCESSES": "2"}


def at(url: str) -> httpx.Client:
    """A client whose connections come one at a time, each to whatever process takes it."""
    return httpx.Client(base_url=url, headers={"Connection": "close"}, timeout=30)


def test_guessing_over_webdav_is_slowed_and_keeps_no_device_out(deployment: Deployment) -> None:
    user = deployment.add_user()
    token = deployment.run("token", "add", user.name, "laptop").stdout
    secret = next(word for word in token.split() if word.startswith("dav_"))
    server = deployment.start(**NOT_TESTING)
    with at(server.url) as guesser, httpx.Client(base_url=server.url, timeout=30) as known:
        assert known.get("", auth=user.auth).status_code == 200
        guesses = [guesser.get("", auth=(user.name, f"guess {number}")).status_code for number in range(11)]
        assert guesses == [401] * 10 + [429]
        refused = guesser.get("", auth=(user.name, "another guess"))
        assert refused.status_code == 429
        assert int(refused.headers["Retry-After"]) > 0
        assert guesser.get("", auth=(user.name, secret)).status_code == 200
        # On the connection of before, in the process that remembers it.
        assert known.get("", auth=user.auth).status_code == 200
