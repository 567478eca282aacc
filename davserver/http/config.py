"""Every setting and every limit of the HTTP server, in one frozen value."""

import os
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

_MAY_BE_ZERO = frozenset({"drain_seconds", "leave_seconds"})


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpConfig:
    """Where to listen, with how many processes and threads, and what a client may cost us.

    Sizes are bytes, times are seconds. Limits on connections, threads and queues hold for each process.
    """

    host: str = "127.0.0.1"
    """Address or name to listen on; `0.0.0.0` and `::` mean every interface."""
    port: int = 8080
    """0 lets the system choose; `on_ready` tells which."""
    backlog: int = 1024
    """Connections that the system completes before we accept them (also capped by net.core.somaxconn)."""

    processes: int = 1
    """1 serves in the calling process, without a supervisor."""
    threads: int = 8
    """Workers in a process: how many requests run the application at once. Few: they share one interpreter lock."""
    max_threads: int = 64
    """And so many with those that wait for a slow client to send or to take; what comes then waits in turn."""
    pin_cpus: bool | None = None
    """Keep each process on one CPU, so that its threads hand the interpreter lock over without waking another core.

    None: where the system can (Linux) and there are no more processes than CPUs."""

    tls_cert: Path | None = None
    """PEM file with the certificate chain; None serves plain HTTP."""
    tls_key: Path | None = None
    """PEM file with the private key; None when it is in `tls_cert`."""

    max_connections: int = 2000
    """Open connections. At the limit the one idle longest makes room; when none is idle, accepting pauses."""
    max_head_bytes: int = 64 * KIB
    """Request line and fields together; more is answered 431."""
    max_target_bytes: int = 32 * KIB
    """Request target; more is answered 414. A path of 255 letters a name, percent-encoded, is long."""
    max_fields: int = 100
    """Header fields; more is answered 431."""
    max_body_bytes: int | None = None
    """Request body; more is answered 413 or, in a chunked body, raises `BodyTooLarge`. None: the application decides."""
    max_trailer_bytes: int = 16 * KIB
    """Trailer fields after a chunked body; they are checked and dropped."""

    handshake_seconds: float = 10.0
    """A TLS handshake must be over by then."""
    head_seconds: float = 20.0
    """A request head must be whole this long after its first byte, or after the connection was made."""
    idle_seconds: float = 75.0
    """A kept-alive connection without a request is closed after this."""
    read_seconds: float = 60.0
    """A body of which no byte arrives for so long is cut off. There is no lower limit of speed."""
    send_seconds: float = 60.0
    """A client that takes no byte of its answer for so long is dropped."""

    discard_bytes: int = MIB
    """So much of a body that the application left unread is thrown away to keep the connection."""
    discard_seconds: float = 5.0
    """And this is how long it may take to arrive."""
    linger_bytes: int = GIB
    """Thrown away at most after an answer that closes the connection, so that the client gets to read it instead of a
    reset. Large, because some clients send a whole file before they look at the 401; no worker is held by it."""
    linger_seconds: float = 30.0
    """And this is how long that may take."""
    linger_idle_seconds: float = 5.0
    """And this long a pause in it may be."""

    leave_seconds: float = 0.0
    """After SIGTERM requests are still taken for so long, with `davserver.leaving` in their environment and each answer
    closing its connection, so that a balancer finds out and sends no more."""
    drain_seconds: float = 30.0
    """After that, requests in flight have this long to end; then their body reads raise `BodyCutOff`."""
    grace_seconds: float = 5.0
    """After that, how long the application may take to notice and to answer."""

    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    """From these, what they say of where a request came from is believed; from nobody else."""
    proxy_fields: str = "x-forwarded"
    """The fields in which they say it: `x-forwarded` or `forwarded` (RFC 7239)."""

    server_name: str = "davserver"
    """The `Server` field. No version: it only helps an attacker to choose."""

    def __post_init__(self) -> None:
        at_least_one = ("backlog", "processes", "threads", "max_threads", "max_connections", "max_fields")
        positive = [name for name in self.__slots__ if name.endswith("_seconds") and name not in _MAY_BE_ZERO]
        for name in (*at_least_one, *positive):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0")
        if self.max_target_bytes + KIB > self.max_head_bytes:
            raise ValueError("max_head_bytes must leave 1 KiB beside max_target_bytes")
        if self.tls_key is not None and self.tls_cert is None:
            raise ValueError("tls_key needs tls_cert")

    def pins(self) -> bool:
        """Whether processes are to be kept on one CPU each, on this machine."""
        if not hasattr(os, "sched_setaffinity"):
            return False
        if self.pin_cpus is None:
            return self.processes <= len(os.sched_getaffinity(0))
        return self.pin_cpus
