"""Two servers over one database and one store, as on two machines: each honours what the other did, at once."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.support.davserver import Deployment, User

pytestmark = pytest.mark.server

LOCK = (
    '<?xml version="1.0"?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope>'
    "<D:locktype><D:write/></D:locktype><D:owner>somebody</D:owner></D:lockinfo>"
)


def lock(url: str, user: User) -> requests.Response:
    return requests.request("LOCK", url, data=LOCK, auth=user.auth, headers={"Timeout": "Second-600"}, timeout=60)


def test_a_lock_taken_at_one_server_is_honoured_at_the_other(deployment: Deployment) -> None:
    one, other = deployment.start(), deployment.start()
    user = deployment.add_user()
    assert requests.put(one.url + "a.txt", b"first", auth=user.auth, timeout=20).status_code == 201
    granted = lock(one.url + "a.txt", user)
    token = granted.headers["Lock-Token"]
    assert requests.put(other.url + "a.txt", b"second", auth=user.auth, timeout=20).status_code == 423
    assert requests.get(other.url + "a.txt", auth=user.auth, timeout=20).content == b"first"
    with_token = {"If": f"({token})"}
    put = requests.put(other.url + "a.txt", b"third", auth=user.auth, headers=with_token, timeout=20)
    assert put.status_code == 204
    assert requests.get(one.url + "a.txt", auth=user.auth, timeout=20).content == b"third"
    unlock = requests.request("UNLOCK", other.url + "a.txt", auth=user.auth, headers={"Lock-Token": token}, timeout=20)
    assert unlock.status_code == 204
    assert requests.put(one.url + "a.txt", b"fourth", auth=user.auth, timeout=20).status_code == 204


def test_of_two_hundred_locks_at_once_exactly_one_is_granted(deployment: Deployment) -> None:
    servers = [deployment.start(), deployment.start()]
    user = deployment.add_user()
    requests.put(servers[0].url + "a.txt", b"x", auth=user.auth, timeout=20)

    def attempt(number: int) -> int:
        return lock(servers[number % 2].url + "a.txt", user).status_code

    with ThreadPoolExecutor(40) as pool:
        statuses = list(pool.map(attempt, range(200)))
    assert sorted(set(statuses)) == [200, 423]
    assert statuses.count(200) == 1


def test_a_changed_password_and_a_disabled_user_act_at_once_everywhere(deployment: Deployment) -> None:
    servers = [deployment.start(), deployment.start()]
    user = deployment.add_user()

    def statuses() -> set[int]:
        return {
            requests.get(server.url, auth=user.auth, timeout=20).status_code for server in servers for _ in range(4)
        }

    assert statuses() == {200}
    deployment.run("user", "passwd", user.name, "--password-stdin", stdin="another password\n")
    assert statuses() == {401}
    user.password = "another password"
    assert statuses() == {200}
    deployment.run("user", "disable", user.name)
    assert statuses() == {401}
    deployment.run("user", "enable", user.name)
    assert statuses() == {200}
