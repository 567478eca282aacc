"""Mail, to a real mail server: once, later, or not at all."""

import logging
import re
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from davserver.domain.clock import system_clock
from davserver.domain.errors import MailNotSet, MailUnavailable, Unauthenticated
from davserver.domain.preferences import Notice
from davserver.domain.principal import Door, Origin
from davserver.jobs.queue import Job
from davserver.jobs.runner import Work
from davserver.mailing.base import Letter, MailRefused
from davserver.mailing.smtp import SmtpMailer, sender_of
from davserver.services.post import Post
from davserver.services.upkeep import Upkeep
from tests.support.clamd import EICAR, EICAR_NAME, ClamdServer
from tests.support.core import PASSWORD as CORRECT
from tests.support.core import path
from tests.support.mailserver import PASSWORD, USER, MailServer
from tests.support.scanned import Scanned, open_scanned

HERE = "http://drive.example"
ORIGIN = Origin(Door.REST, "192.0.2.7")


def mailing(port: int) -> dict[str, Any]:
    return {
        "smtp_host": "127.0.0.1", "smtp_port": port, "smtp_security": "none", "smtp_from": "Drive <drive@example.org>",
        "public_url": HERE, "testing": True,
    }  # fmt: skip


@pytest.fixture
def drive(tmp_path: Path, database_url: str, mail_server: MailServer) -> Iterator[Scanned]:
    made = open_scanned(tmp_path, database_url, **mailing(mail_server.port))
    made.services.users.change(Origin(Door.CLI), "ada", {"email": "Ada@Example.org"})
    yield made
    made.services.close()


def waiting(drive: Scanned) -> list[str]:
    return [job.kind for job in drive.services.queue.shown()]


def test_a_reset_link_comes_by_mail_and_works_once(drive: Scanned, mail_server: MailServer) -> None:
    drive.services.mails.ask_for_reset("ADA", ORIGIN)
    drive.look()
    [got] = mail_server.received
    assert (got.sender, got.recipients) == ("drive@example.org", ["Ada@Example.org"])
    assert got.message["From"] == "Drive <drive@example.org>"
    assert got.message["To"] == "Ada@Example.org"
    assert got.message["Auto-Submitted"] == "auto-generated"
    [token] = re.findall(rf"^{HERE}/reset\?token=(\S+)$", got.text, re.MULTILINE)
    drive.services.resets.reset(token, "a new password")
    assert drive.services.accounts.authenticate("ada", "a new password").name == "ada"
    with pytest.raises(Exception, match="used already"):
        drive.services.resets.reset(token, "another password")
    assert token not in str(drive.services.queue.shown())


def test_an_account_is_named_by_its_name_or_its_address(drive: Scanned, mail_server: MailServer) -> None:
    for account in ("ada@example.org", "ADA@EXAMPLE.ORG", "Ada"):
        drive.services.mails.ask_for_reset(account, ORIGIN)
    drive.look()
    assert [one.recipients for one in mail_server.received] == [["Ada@Example.org"]] * 3


def test_for_anybody_else_the_same_is_done_and_nothing_sent(drive: Scanned, mail_server: MailServer) -> None:
    drive.add_user("bob")  # has no address
    drive.add_user("carol")
    drive.services.users.change(Origin(Door.CLI), "carol", {"email": "c@example.org", "is_disabled": True})
    for account in ("nobody", "no@body.org", "bob", "carol", "a\0b", "\ud800", "x" * 5000, "%", "' or 1=1"):
        drive.services.mails.ask_for_reset(account, ORIGIN)
        assert waiting(drive) == ["send_resets"]  # as for those that there are
        drive.look()
        assert waiting(drive) == []
    assert mail_server.received == []


def test_all_accounts_of_an_address_get_a_link_each(drive: Scanned, mail_server: MailServer) -> None:
    drive.add_user("ada2")
    drive.services.users.change(Origin(Door.CLI), "ada2", {"email": "ada@example.org"})
    drive.services.mails.ask_for_reset("ada@example.org", ORIGIN)
    drive.look()
    assert sorted(re.findall(r"Hello (\w+)", "".join(one.text for one in mail_server.received))) == ["ada", "ada2"]


def test_a_mail_waits_while_the_server_is_away(drive: Scanned, mail_server: MailServer) -> None:
    mail_server.stop()
    drive.services.mails.ask_for_reset("ada", ORIGIN)
    drive.look()
    [job] = drive.services.queue.shown()
    assert (job.kind, job.state, job.attempts) == ("send_mail", "waiting", 0)
    assert "Connection refused" in job.last_error
    drive.clock.advance(3600)
    drive.look()
    assert waiting(drive) == ["send_mail"]
    mail_server.start()
    drive.clock.advance(3600)
    drive.look()
    [got] = mail_server.received
    [token] = re.findall(r"token=(\S+)", got.text)
    drive.services.resets.reset(token, "a new password")  # signed when it was sent, two hours later
    assert waiting(drive) == []


def test_after_a_day_a_mail_is_dropped(drive: Scanned, mail_server: MailServer) -> None:
    mail_server.stop()
    drive.services.mails.ask_for_reset("ada", ORIGIN)
    drive.look()
    mail_server.start()
    drive.clock.advance(25 * 3600)
    drive.look()
    assert waiting(drive) == []
    assert mail_server.received == []


def test_who_was_disabled_meanwhile_gets_none(drive: Scanned, mail_server: MailServer) -> None:
    drive.services.mails.ask_for_reset("ada", ORIGIN)
    drive.services.users.change(Origin(Door.CLI), "ada", {"is_disabled": True})
    drive.look()
    assert mail_server.received == []


def test_what_the_server_refuses_is_dropped_and_logged_without_address_and_link(
    drive: Scanned, mail_server: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    mail_server.refuses = "550 5.1.1 <ada@example.org>: no such user"
    drive.services.mails.ask_for_reset("ada", ORIGIN)
    with caplog.at_level(logging.INFO):
        drive.look()
    assert waiting(drive) == []
    ours = "\n".join(one.getMessage() for one in caplog.records if one.name.startswith("davserver"))
    assert "was not sent: The mail server refused it: 550 5.1.1 <the address>: no such user" in ours
    assert "xample.org" not in ours
    assert "token" not in ours


def test_what_the_server_takes_later_waits(drive: Scanned, mail_server: MailServer) -> None:
    mail_server.refuses = "451 4.7.1 greylisted"
    drive.services.mails.ask_for_reset("ada", ORIGIN)
    drive.look()
    assert waiting(drive) == ["send_mail"]
    mail_server.refuses = ""
    drive.clock.advance(3600)
    drive.look()
    assert len(mail_server.received) == 1


def test_one_account_gets_three_mails_an_hour(tmp_path: Path, database_url: str, mail_server: MailServer) -> None:
    limited = open_scanned(tmp_path, database_url, **mailing(mail_server.port) | {"testing": False})
    limited.services.users.change(Origin(Door.CLI), "ada", {"email": "ada@example.org"})
    for _ in range(5):
        limited.services.mails.ask_for_reset("ada", ORIGIN)
    limited.look()
    assert len(mail_server.received) == 3
    limited.services.close()


def test_without_a_mail_server_nobody_is_promised_a_mail(tmp_path: Path, database_url: str) -> None:
    silent = open_scanned(tmp_path, database_url)
    with pytest.raises(MailNotSet):
        silent.services.mails.ask_for_reset("ada", ORIGIN)
    assert waiting(silent) == []
    silent.services.close()


def texts(drive: Scanned, server: MailServer) -> list[str]:
    drive.look()
    found = [f"{one.message['Subject']}: {one.text}" for one in server.received]
    server.received.clear()
    return found


def test_a_new_device_token_is_told(drive: Scanned, mail_server: MailServer) -> None:
    made = drive.services.devices.add(drive.who, "Ada's phone: {oops}")
    [told] = texts(drive, mail_server)
    assert told.startswith("A new device token: Hello ada,\n")
    assert '"Ada\'s phone: {oops}"' in told
    assert made.secret not in told


def test_who_does_not_want_to_hear_of_it_does_not(drive: Scanned, mail_server: MailServer) -> None:
    drive.services.settings.change(drive.who, lambda now: replace(now, notices=frozenset()))
    drive.services.devices.add(drive.who, "phone")
    assert waiting(drive) == []
    bob = drive.add_user("bob")  # has no address
    drive.services.devices.add(bob, "phone")
    assert waiting(drive) == []


def test_a_sign_in_from_a_new_network_is_told(drive: Scanned, mail_server: MailServer) -> None:
    def sign_in(address: str | None, password: str = CORRECT) -> None:
        drive.services.accounts.authenticate("ada", password, Origin(Door.REST, address))
        drive.clock.advance(2 * 3600)

    sign_in("192.0.2.7")  # the first one is no news
    sign_in("192.0.2.99")  # the same network
    sign_in(None)
    assert texts(drive, mail_server) == []
    sign_in("198.51.100.4")
    [told] = texts(drive, mail_server)
    assert "A sign-in from a new place" in told
    assert "198.51.100.4" in told
    sign_in("198.51.100.5")
    sign_in("192.0.2.7")
    assert texts(drive, mail_server) == []
    sign_in("2001:db8::1")
    assert len(texts(drive, mail_server)) == 1
    with pytest.raises(Unauthenticated):
        sign_in("203.0.113.1", "wrong")
    assert texts(drive, mail_server) == []


def test_a_drive_that_is_nearly_full_is_told_once_until_there_is_room(drive: Scanned, mail_server: MailServer) -> None:
    drive.services.users.change(Origin(Door.CLI), "ada", {"quota_bytes": 100_000})
    watch = Work(Job(1, "watch_quotas", {}, 1, 0, ""), lambda: None)

    def told() -> list[str]:
        drive.services.mails.watch_quotas(watch)
        return texts(drive, mail_server)

    drive.put("/a", b"x" * 80_000)
    assert told() == []
    drive.put("/b", b"x" * 10_000)
    [first] = told()
    assert "Your drive is nearly full" in first
    assert "87.9K of 100000" in first
    assert told() == []
    drive.services.users.change(Origin(Door.CLI), "ada", {"quota_bytes": 200_000})
    assert told() == []
    drive.services.users.change(Origin(Door.CLI), "ada", {"quota_bytes": 95_000})
    assert len(told()) == 1


def test_a_virus_is_told_with_the_name_of_the_file(
    tmp_path: Path, database_url: str, mail_server: MailServer, clamd_server: ClamdServer
) -> None:
    clamd = {"clamav_host": "127.0.0.1", "clamav_port": clamd_server.port}
    scanned = open_scanned(tmp_path, database_url, **mailing(mail_server.port), **clamd)
    scanned.services.users.change(Origin(Door.CLI), "ada", {"email": "ada@example.org"})
    scanned.put("/\u00e4\u202e b", EICAR)
    [told] = texts(scanned, mail_server)
    assert told.startswith("A virus was found in a file of yours: ")
    assert EICAR_NAME in told
    assert "\n/\u00e4\u202e b\n" in told
    scanned.services.close()


def test_a_purged_trash_is_told_to_who_asked_for_it(drive: Scanned, mail_server: MailServer) -> None:
    drive.services.settings.change(drive.who, lambda now: replace(now, notices=frozenset({Notice.TRASH_PURGED})))
    drive.put("/a", b"x")
    drive.services.tree.discard(drive.who, path("/a"))
    drive.clock.advance(2 * 86_400)
    upkeep = Upkeep(drive.services.database, drive.services.store, drive.clock, post=Post(is_on=True))
    upkeep.purge_expired(Work(Job(1, "purge_expired", {}, 1, 0, ""), lambda: None))
    [told] = texts(drive, mail_server)
    assert "1 thing in your trash" in told


def mailer(server: MailServer, **more: Any) -> SmtpMailer:
    settings = {"security": "none", "sender": "drive@example.org", "clock": system_clock, "random": lambda n: b"r" * n}
    return SmtpMailer("127.0.0.1", server.port, **settings | more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "letter",
    [
        Letter("a@b.org", "Hello\r\nBcc: x@evil.example", "text"),
        Letter("a@b.org", "Hello\nBcc: x@evil.example", "text"),
        Letter("a@b.org\r\nBcc: x@evil.example", "Hello", "text"),
        Letter("a@b.org>\r\nRCPT TO:<x@evil.example", "Hello", "text"),
        Letter("a,x@evil.example", "Hello", "text"),
        Letter("a@b.org, x@evil.example", "Hello", "text"),
        Letter("", "Hello", "text"),
        Letter("nobody", "Hello", "text"),
    ],
)
def test_nothing_can_add_a_header_field_or_a_recipient(mail_server: MailServer, letter: Letter) -> None:
    with pytest.raises(MailRefused):
        mailer(mail_server).send(letter)
    assert mail_server.received == []


def test_a_body_stays_a_body(mail_server: MailServer) -> None:
    text = "line\n.\nMAIL FROM:<x@evil.example>\nBcc: y@evil.example\n\n.leading dot, ä\n"
    mailer(mail_server).send(Letter("a@b.org", "ä: a subject", text))
    [got] = mail_server.received
    assert got.text == text
    assert got.recipients == ["a@b.org"]
    assert got.message["Subject"] == "ä: a subject"


def test_starttls_is_used_verified_and_never_left_out(
    tmp_path: Path, mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-keyout", key, "-out", certificate, "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    secure = MailServer(tls=context, wants_login=True)
    secure.start()
    try:
        letter = Letter("a@b.org", "Hello", "text\n")
        known = mailer(secure, security="starttls", user=USER, password=PASSWORD)
        with pytest.raises(MailUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
            known.send(letter)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        known.send(letter)
        assert [one.used_tls for one in secure.received] == [True]
        with pytest.raises(MailUnavailable) as wrong:
            mailer(secure, security="starttls", user=USER, password="not the one").send(letter)
        assert "not the one" not in str(wrong.value)
        with pytest.raises(MailUnavailable):  # this one offers no STARTTLS
            mailer(mail_server, security="starttls").send(letter)
        assert mail_server.received == []
    finally:
        secure.close()


@pytest.mark.parametrize("text", ["", "no address", "a@", "@b"])
def test_what_is_no_sender_is_told_at_the_start(text: str) -> None:
    with pytest.raises(ValueError, match="not an address"):
        sender_of(text)
