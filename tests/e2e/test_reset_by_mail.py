"""A forgotten password: asked for over REST, the link by mail, the page, signed in. Running servers, of files and of mail."""

import http.client
import json
import re
from contextlib import closing
from urllib.parse import urlencode, urlsplit

from tests.support.davserver import Deployment, ServerProcess
from tests.support.mailserver import MailServer


def ask(
    server: ServerProcess, method: str, path: str, body: str = "", **headers: str
) -> tuple[int, dict[str, str], str]:
    with closing(http.client.HTTPConnection(*server.address, timeout=60)) as connection:
        connection.request(method, path, body or None, {k.replace("_", "-"): v for k, v in headers.items()})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode()


def as_json(server: ServerProcess, method: str, path: str, body: object) -> tuple[int, str]:
    status, _, text = ask(server, method, path, json.dumps(body), Content_Type="application/json", Host="evil.example")
    return status, text


def as_form(server: ServerProcess, **fields: str) -> tuple[int, str]:
    form = "application/x-www-form-urlencoded"
    status, headers, text = ask(server, "POST", "/reset", urlencode(fields), Content_Type=form)
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    return status, text


def test_a_forgotten_password_is_replaced_by_a_link_that_comes_by_mail(
    embedded: Deployment, mail_server: MailServer
) -> None:
    mail_server.stop()
    server = embedded.start(
        DAVSERVER_SMTP_HOST="127.0.0.1", DAVSERVER_SMTP_PORT=str(mail_server.port), DAVSERVER_SMTP_SECURITY="none",
        DAVSERVER_SMTP_FROM="Drive <drive@example.org>", DAVSERVER_PUBLIC_URL="http://drive.example",
    )  # fmt: skip
    user = embedded.add_user("grace", "--email", "grace@example.org")
    known = as_json(server, "POST", "/api/v1/accounts/password", {"account": "grace"})
    assert known[0] == 202
    assert as_json(server, "POST", "/api/v1/accounts/password", {"account": "nobody"}) == known
    [job] = re.findall(r"^(\d+) +send_mail ", jobs_with_mail(embedded), re.MULTILINE)
    mail_server.start()  # it was away: the mail comes when the job is tried again
    embedded.run("jobs", "retry", job)
    [mail] = mail_server.wait(1)
    assert mail.recipients == ["grace@example.org"]
    assert "evil.example" not in mail.text  # where the link leads is set, not asked for
    [link] = re.findall(r"http://drive\.example\S+", mail.text)
    target = urlsplit(link)
    where = f"{target.path}?{target.query}"
    token = target.query.removeprefix("token=")

    for _ in range(2):  # looking at it uses nothing up
        status, headers, page = ask(server, "GET", where)
        assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert f'value="{token}"' in page
    assert "<script" not in ask(server, "GET", "/reset?token=%22%3E%3Cscript%3E")[2]
    assert as_form(server, token=token, password="new password", again="another")[0] == 400
    assert as_form(server, token=token, password="short", again="short")[0] == 400
    assert as_form(server, token="x" + token, password="new password", again="new password")[0] == 403
    assert as_form(server, token=token, password="new password", again="new password")[0] == 200
    assert as_form(server, token=token, password="yet another", again="yet another")[0] == 403
    given = {"name": "grace", "password": "new password"}
    assert as_json(server, "POST", "/api/v1/sessions", given)[0] == 201
    assert as_json(server, "POST", "/api/v1/sessions", {**given, "password": user.password})[0] == 401
    assert ask(server, "DELETE", "/reset")[0] in {401, 405}  # what no browser sends is the WebDAV door's
    server.stop()
    assert token not in server.log
    assert "grace@example.org" not in server.log


def jobs_with_mail(deployment: Deployment) -> str:
    """`davserver jobs list`, once the job for the mail has been tried."""
    for _ in range(20):
        listed = deployment.run("jobs", "list").stdout
        if "send_mail" in listed and "MailUnavailable" in listed:
            return listed
    raise AssertionError(listed)


def test_the_command_sends_a_mail_and_says_what_became_of_it(embedded: Deployment, mail_server: MailServer) -> None:
    nothing = embedded.run("mail", "test", "ada@example.org", check=False)
    assert (nothing.returncode, nothing.stderr) == (1, "davserver: No mail server is set: DAVSERVER_SMTP_HOST.\n")
    embedded.settings.update(
        DAVSERVER_SMTP_HOST="127.0.0.1", DAVSERVER_SMTP_PORT=str(mail_server.port), DAVSERVER_SMTP_SECURITY="none",
        DAVSERVER_SMTP_FROM="drive@example.org", DAVSERVER_PUBLIC_URL="http://drive.example",
    )  # fmt: skip
    assert "has taken a mail" in embedded.run("mail", "test", "ada@example.org").stdout
    assert mail_server.wait(1)[0].recipients == ["ada@example.org"]
    embedded.run("user", "add", "ada")
    assert "http://drive.example/reset?token=" in embedded.run("user", "reset", "ada").stdout
    mail_server.stop()
    away = embedded.run("mail", "test", "ada@example.org", check=False)
    assert away.returncode == 1
    assert "does not take mail" in away.stderr
