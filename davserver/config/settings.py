"""The settings: one declaration each, from which they are read, checked, shown and documented."""

# ruff: noqa: RUF009 - the calls in the defaults make dataclass fields, as `field` does

import os
import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from davserver.config import kinds
from davserver.config.kinds import Kind, Network, Secret, SecretUrl

T = TypeVar("T")

OURS: Final = "davserver"
"""The section of the file that holds our settings; WsgiDAV's own stand beside it."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: where it is found, what it can be, what it is for."""

    name: str
    """The field of `Config`."""
    key: str
    """Where it stands in the file: ``davserver: {key: ...}``, or at the top for WsgiDAV's own."""
    is_wsgidav: bool
    env: str
    kind: Kind[Any]
    default: Any
    default_note: str
    """What is used when nothing is set and `default` does not say it."""
    help: str

    @property
    def is_secret(self) -> bool:
        """Whether its values must not be shown, not even wrong ones."""
        return self.kind.show is repr


def _setting(kind: Kind[T], default: T, text: str, *, env: str = "", wsgidav: str = "", note: str = "") -> T:
    """A field of `Config`. `wsgidav`: the key of WsgiDAV's own that it is. `env`: when not ``DAVSERVER_<FIELD>``."""
    metadata = {"kind": kind, "help": text, "env": env, "wsgidav": wsgidav, "note": note}
    made: T = field(default=default, metadata=metadata)
    return made


def _optional(kind: Kind[T], text: str, *, env: str = "", wsgidav: str = "", note: str = "") -> T | None:
    """A field of `Config` that may stay without a value."""
    return _setting(cast("Kind[T | None]", kind), None, text, env=env, wsgidav=wsgidav, note=note)


_BUCKET: Final = r"(?=.{3,63}\Z)[a-z0-9][a-z0-9.-]*[a-z0-9]"
_ENDPOINT: Final = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:.]+\])(?::\d{1,5})?"
_HOST: Final = r"[A-Za-z0-9.:_%-]+"


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that can be set. Sizes are bytes, durations are seconds. `Config()` is the embedded default."""

    host: str = _setting(
        kinds.text("a host name or an address", _HOST), "127.0.0.1",
        "Address to listen on. `0.0.0.0` is every IPv4 interface: put TLS in front, or set the certificate below.",
        wsgidav="host",
    )  # fmt: skip
    port: int = _setting(
        kinds.integer(0, 65535),
        8080,
        "Port to listen on; 0 takes a free one, which the ready line names.",
        wsgidav="port",
    )
    tls_cert: Path | None = _optional(
        kinds.path(), "Certificate chain (PEM) to serve HTTPS with.", wsgidav="ssl_certificate"
    )
    tls_key: Path | None = _optional(kinds.path(), "Private key (PEM) of the certificate.", wsgidav="ssl_private_key")

    data_dir: Path = _setting(
        kinds.path(), Path("var"),
        "Folder of all that the server keeps on this machine; made with mode 0700. A relative path in the file starts at "
        "the file's folder, else at the working folder.",
    )  # fmt: skip
    database_url: SecretUrl | None = _optional(
        kinds.url("sqlite:///", "postgresql://", "postgresql+psycopg://", "postgres://"),
        "The database.",
        env="DATABASE_URL", note="`sqlite:///DATA_DIR/davserver.db`",
    )  # fmt: skip
    minio_endpoint: str | None = _optional(
        kinds.text("HOST or HOST:PORT, without a scheme", _ENDPOINT),
        "The S3 server that keeps the sealed content: MinIO or any other. Without it, the folder `DATA_DIR/blobs` does.",
        env="MINIO_ENDPOINT",
    )  # fmt: skip
    minio_access_key: Secret | None = _optional(
        kinds.secret("text"), "Access key of the S3 server.", env="MINIO_ACCESS_KEY"
    )
    minio_secret_key: Secret | None = _optional(
        kinds.secret("text"), "Secret key of the S3 server.", env="MINIO_SECRET_KEY"
    )
    minio_bucket: str = _setting(
        kinds.text("3 to 63 lower-case letters, digits, dots and dashes", _BUCKET), "davserver",
        "Bucket for the sealed content; made when it is missing.",
        env="MINIO_BUCKET",
    )  # fmt: skip
    minio_secure: bool = _setting(
        kinds.boolean(), default=True, text="Whether to speak HTTPS with the S3 server.", env="MINIO_SECURE"
    )
    minio_region: str = _setting(
        kinds.text("the name of a region", r"[A-Za-z0-9-]{1,64}"),
        "us-east-1",
        "Region that requests to the S3 server are signed for.",
        env="MINIO_REGION",
    )
    redis_url: SecretUrl | None = _optional(
        kinds.url("redis://", "rediss://"), "Redis, for background work on other machines.", env="REDIS_URL"
    )
    clamav_host: str | None = _optional(
        kinds.text("a host name or an address", _HOST), "Host of clamd, which scans for viruses.", env="CLAMAV_HOST"
    )
    clamav_port: int = _setting(kinds.integer(1, 65535), 3310, "Port of clamd.", env="CLAMAV_PORT")
    scan_max_size: int = _setting(
        kinds.size("1K", "4G"),
        100 * 1024**2,
        "Larger files are not scanned, and marked so. No more than clamd's MaxFileSize and StreamMaxLength.",
    )
    scan_too_large: str = _setting(
        kinds.choice("serve", "hold"), "serve", "What is done with files that are too large to be scanned."
    )
    scan_unscanned: str = _setting(
        kinds.choice("serve", "hold"), "serve", "What is done with files that are not scanned yet, or cannot be."
    )
    scan_again_per_hour: int = _setting(
        kinds.integer(0, 1_000_000),
        3600,
        "With new signatures, so many files are scanned again in an hour; 0 does not scan again.",
    )
    secret_key: Secret | None = _optional(
        kinds.secret("at least 32 characters", 32),
        "Key for what the server signs or remembers by a keyed hash. Give all machines of one deployment the same.",
        env="SECRET_KEY", note="the file `DATA_DIR/secret`, made at the first start",
    )  # fmt: skip
    master_keys: Secret | None = _optional(
        kinds.secret("id:key,id2:key2 with keys of 32 bytes in base64"),
        "The key ring that seals the content, `id:base64key,...`; the first key seals what is new, all of them open. "
        "Give all machines of one deployment the same. Whoever loses it loses the content.",
        note="the file `DATA_DIR/keys.json`, made at the first start",
    )  # fmt: skip

    processes: int | None = _setting(
        kinds.or_word(kinds.integer(1, 256), "auto"), None, "Server processes on the one port; auto is one per core."
    )
    threads: int = _setting(kinds.integer(1, 256), 8, "Requests that one process works on at the same time.")
    max_connections: int = _setting(
        kinds.integer(10, 100_000), 2000, "Open connections per process; the longest idle one makes room for a new one."
    )
    max_head_size: int = _setting(
        kinds.size("8K", "1M"), 64 * 1024, "Request line and header fields of one request, together."
    )
    max_header_fields: int = _setting(kinds.integer(20, 10_000), 100, "Header fields of one request.")
    max_xml_size: int = _setting(
        kinds.size("16K", "64M"), 1024**2, "XML body of one request (PROPFIND, PROPPATCH, LOCK)."
    )
    idle_timeout: int = _setting(kinds.duration("1s", "1h"), 75, "A connection without a request is closed after this.")
    read_timeout: int = _setting(
        kinds.duration("1s", "1h"), 60, "A request body of which no byte arrives for so long is given up."
    )
    drain_timeout: int = _setting(
        kinds.duration("0s", "1h"), 30, "After SIGTERM, what is in flight has so long to end."
    )

    drain_delay: int = _setting(
        kinds.duration("0s", "10m"),
        0,
        "Before that, so long `/readyz` says no while requests are still taken: a balancer has the time to look elsewhere.",
    )
    monitor_networks: tuple[Network, ...] = _setting(
        kinds.networks(),
        (ip_network("127.0.0.0/8"), ip_network("::1")),
        "Who may read `/metrics`, and the details of `/readyz`; see operations.md.",
    )
    trusted_proxies: tuple[Network, ...] = _setting(
        kinds.networks(),
        (),
        "Proxies in front of this server: what they say of a client's address, of the scheme and of the host is believed.",
    )
    proxy_fields: str = _setting(
        kinds.choice("x-forwarded", "forwarded"),
        "x-forwarded",
        "Where these proxies say it: in X-Forwarded-For, -Proto and -Host, or in Forwarded (RFC 7239). The others are ignored.",
    )
    public_url: str | None = _optional(
        kinds.web_address(), "How people reach this server: for the links in mails, and what commands print."
    )
    smtp_host: str | None = _optional(
        kinds.text("a host name or an address", _HOST), "The mail server; without it no mail is sent. See mail.md."
    )
    smtp_port: int = _setting(kinds.integer(1, 65535), 587, "Its port.")
    smtp_security: str = _setting(
        kinds.choice("starttls", "tls", "none"), "starttls", "STARTTLS, TLS from the first byte (port 465), or neither."
    )
    smtp_user: str | None = _optional(kinds.text(), "The user name there, when it wants one.")
    smtp_password: Secret | None = _optional(kinds.secret("text"), "And the password.")
    smtp_from: str | None = _optional(
        kinds.text("an address such as Drive <drive@example.org>", r"[^\x00-\x1f\x7f]*[^@\s<>]+@[^@\s<>]+>?"),
        "The sender of mails.",
    )
    cors_origins: tuple[str, ...] = _setting(
        kinds.origins(),
        (),
        "Web programs of other origins that may use `/dav/` and `/api/` from a browser (CORS), such as KeeWeb; see clients.md.",
    )

    otlp_endpoint: SecretUrl | None = _optional(
        kinds.url("http://", "https://"),
        "Where traces are sent: an OpenTelemetry collector (OTLP over HTTP), such as `http://127.0.0.1:4318`; see operations.md.",
    )
    trace_percent: int = _setting(
        kinds.integer(1, 100),
        100,
        "Of a hundred requests so many are traced, where the proxy in front does not decide it.",
    )
    trace_names: bool = _setting(
        kinds.boolean(),
        False,  # noqa: FBT003 - the default, as for every setting
        "Whether traces hold the paths of requests, and so the names of files.",
    )

    registration: str = _setting(
        kinds.choice("closed", "invitation", "open"),
        "closed",
        "Who can make an account by REST: nobody, who was invited, or anybody.",
    )
    max_depth: int = _setting(kinds.integer(1, 1000), 100, "Levels of a path.")
    inline_limit: int = _setting(
        kinds.size("0", "1M"), 64 * 1024, "Files up to this size lie in the database (sealed), not in the store."
    )
    segment_size: int = _setting(
        kinds.size("4K", "16M"),
        256 * 1024,
        "Bytes of one sealed segment of new files; docs/sealed-content.md says why.",
    )
    default_quota: int | None = _setting(
        kinds.or_word(kinds.size("0", "1000P"), "none"), None, "Quota of a user who is added without one."
    )
    trash_retention: int = _setting(
        kinds.duration("0s", "3650d"), 86_400, "How long what was deleted can be brought back."
    )
    replaced_retention: int = _setting(
        kinds.duration("0s", "3650d"), 86_400, "How long what a PUT replaced is kept in the trash; 0 does not keep it."
    )
    replaced_count: int = _setting(kinds.integer(0, 1000), 10, "And how many of them a file, at most.")
    activity_retention: int = _setting(
        kinds.duration("1h", "36500d"), 90 * 86_400, "How long the activity log and the audit log keep an entry."
    )
    lock_timeout_min: int = _setting(kinds.duration("1s", "1h"), 180, "A lock lasts at least this long.")
    lock_timeout_max: int = _setting(kinds.duration("3m", "7d"), 3600, "And at most this long, if not refreshed.")
    macos_quota: str = _setting(
        kinds.choice("before-15.4", "always", "never"),
        "before-15.4",
        "Which versions of macOS are told how much space is free: from 15.4 on, mounting may hang for 90 seconds over it.",
    )
    realm: str = _setting(
        kinds.text('printable ASCII without " and \\', r"[ !#-\[\]-~]{1,100}"),
        "davserver",
        "What clients show beside the password field.",
    )
    testing: bool = _setting(
        kinds.boolean(),
        False,  # noqa: FBT003 - the default, as for every setting
        "Lifts the limits on signing in, resets and registering over REST; for tests, never for a server that others reach.",
        env="TESTING",
    )
    log_level: str = _setting(kinds.choice("debug", "info", "warning", "error"), "info", "The least that is logged.")
    log_format: str = _setting(
        kinds.choice("readable", "json"),
        "readable",
        "How the log on stderr is written: for people, or a JSON object a line.",
    )

    wsgidav: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The file's top-level keys: WsgiDAV's own configuration."""
    sources: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    """Field -> where its value came from, for those that were set."""

    @property
    def database(self) -> SecretUrl:
        """The database's URL, with the embedded default filled in."""
        if self.database_url is None:
            return SecretUrl(f"sqlite:///{self.data_dir.absolute() / 'davserver.db'}")
        return SecretUrl(re.sub(r"^postgres://", "postgresql://", self.database_url.reveal()))

    @property
    def shares(self) -> tuple[str, ...]:
        """The paths that the file mounts shares at, without a slash at the end; ``/dav`` when it says nothing."""
        mapping = self.wsgidav.get("provider_mapping") or {"/dav": None}
        mount_path = str(self.wsgidav.get("mount_path") or "").rstrip("/")
        return tuple(
            mount_path + "/" + str(share).strip("/") if str(share).strip("/") else mount_path for share in mapping
        )

    @property
    def process_count(self) -> int:
        """Server processes, with auto worked out."""
        return self.processes or len(os.sched_getaffinity(0))

    @property
    def is_shared(self) -> bool:
        """Whether other machines could serve the same drive: its database or its store is a server."""
        return self.minio_endpoint is not None or self.database.scheme != "sqlite"


def _declared() -> tuple[Setting, ...]:
    settings = []
    for declared in fields(Config):
        data = declared.metadata
        if not data:
            continue
        assert declared.default is not MISSING  # noqa: S101 - every setting has one, by `_setting`
        settings.append(
            Setting(
                name=declared.name,
                key=data["wsgidav"] or declared.name,
                is_wsgidav=bool(data["wsgidav"]),
                env=data["env"] or f"DAVSERVER_{declared.name.upper()}",
                kind=data["kind"],
                default=declared.default,
                default_note=data["note"],
                help=data["help"],
            )
        )
    return tuple(settings)


SETTINGS: Final = _declared()
"""All settings, in the order in which they are documented."""
