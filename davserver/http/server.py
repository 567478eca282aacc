"""The server of one process: cheroot's WSGI server with our selector loop, workers and connections."""

import errno
import logging
import os
import socket
import ssl
import threading
import time
import traceback as tracebacks

import cheroot.wsgi

from davserver.http.body import BodyCutOff
from davserver.http.config import HttpConfig
from davserver.http.connection import HttpConnection
from davserver.http.exchange import Environ, WsgiApp
from davserver.http.forwarded import Proxies
from davserver.http.head import Head
from davserver.http.loop import Loop
from davserver.http.shares import Share, alone
from davserver.http.workers import Workers

_log = logging.getLogger("davserver.http")


def listen(config: HttpConfig) -> socket.socket:
    """A listening socket at the configured address, which processes may share. Raises OSError."""
    problem: OSError | None = None
    found = socket.getaddrinfo(config.host, config.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    for family, kind, protocol, _, address in found:
        try:
            sock: socket.socket = cheroot.wsgi.Server.prepare_socket(
                address, family, kind, protocol, nodelay=True, ssl_adapter=None
            )
        except OSError as error:
            problem = error
            continue
        try:
            sock.bind(address)
            sock.listen(config.backlog)
        except OSError as error:
            sock.close()
            problem = error
            continue
        sock.settimeout(0)
        return sock
    raise problem or OSError(errno.EADDRNOTAVAIL, "no address to listen on")


def tls_context(config: HttpConfig) -> ssl.SSLContext | None:
    """What `tls_cert` asks for: TLS 1.2 or later, HTTP/1.1. Raises OSError when the files are not to be used."""
    if config.tls_cert is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(config.tls_cert, config.tls_key)
    return context


class HttpServer(cheroot.wsgi.Server):
    """Serves one application on a listening socket, until `stop`.

    `prepare` and `serve` (or `start`, which is both) run the selector loop in the calling thread; the application runs
    in `config.threads` workers. `request_stop` may be called in a signal handler, `stop` in any other thread.
    """

    def __init__(
        self,
        config: HttpConfig,
        app: WsgiApp,
        listener: socket.socket | None = None,
        share: Share | None = None,
    ) -> None:
        super().__init__(
            (config.host, config.port),
            app,
            server_name=config.server_name,
            request_queue_size=config.backlog,
        )
        self.config = config
        self.wsgi_app: WsgiApp = app
        self.software = config.server_name
        self.requests = Workers(self, config.threads, config.max_threads)
        self.tls = tls_context(config)
        self.environ: Environ = {}
        """What is the same in every request."""
        self.proxies = Proxies(config.trusted_proxies, config.proxy_fields) if config.trusted_proxies else None
        self.stopping = False
        """Every answer closes its connection from now on."""
        self.leaving = False
        """The same; but new ones are still taken."""
        self._stop_asked = False
        self._stop_at_once = False
        self._stopped = threading.Event()
        self._listener = listener
        self.share = share or alone()
        self._open: set[HttpConnection] = set()

    # -- life

    def prepare(self) -> None:
        """Listen, and start the workers. Raises OSError."""
        listener = self.socket = self._listener or listen(self.config)
        self.bind_addr = listener.getsockname()[:2]
        self.environ = self._common_environ()
        self._connections = Loop(self, listener)
        self.share.put(0)
        self.requests.start()
        self.ready = True
        self._start_time = time.time()

    def serve(self) -> None:
        """Serve until a stop is asked for, let the requests in flight end, and return."""
        loop = self._connections
        try:
            while not self._stop_asked:
                self._turn(loop)
            self._leave(loop)
            self._drain(loop)
        finally:
            self.ready = False
            loop.close()
            self._stopped.set()

    def request_stop(self, *, at_once: bool = False) -> None:
        """Begin to stop and return. `at_once` gives requests in flight no time. Safe in a signal handler."""
        self._stop_at_once = self._stop_at_once or at_once
        self._stop_asked = True
        if self.ready:
            self._connections.wake()

    def stop_when_readable(self, descriptor: int) -> None:
        """Stop as soon as there is something to read, or the end, on a descriptor. Between `prepare` and `serve`."""
        self._connections.heed(descriptor)

    def stop(self) -> None:
        """Stop and wait until it is done. Not from the thread that serves."""
        was_ready = self.ready
        self.request_stop()
        if was_ready:
            self._stopped.wait()

    def _turn(self, loop: Loop, timeout: float = 0.5) -> None:
        try:
            loop.turn(timeout)
        except Exception as error:  # noqa: BLE001  one bad connection must not end the server
            self.log_broken(error)

    def _leave(self, loop: Loop) -> None:
        """Serve on for a while, as one that will be gone."""
        self.leaving = True
        self.environ = {**self.environ, "davserver.leaving": True}
        end = time.monotonic() + self.config.leave_seconds
        while not self._stop_at_once and (left := end - time.monotonic()) > 0:
            self._turn(loop, min(left, 0.5))

    def _drain(self, loop: Loop) -> None:
        config = self.config
        self.stopping = True
        loop.stop_accepting()
        end = time.monotonic() + config.drain_seconds
        while self._open and time.monotonic() < end and not self._stop_at_once:
            loop.hurry()
            self._turn(loop, 0.05)
        for connection in self.open_connections():
            connection.channel.cut()
        self.requests.stop(0 if self._stop_at_once else config.grace_seconds)
        for connection in self.open_connections():
            connection.close()

    # -- connections

    @property
    def open_count(self) -> int:
        """Connections of this process."""
        return len(self._open)

    def open_connections(self) -> list[HttpConnection]:
        """The same, one by one, as they are now."""
        return list(self._open)

    def admit(self, sock: socket.socket, address: tuple[str, int]) -> HttpConnection:
        """Count an accepted socket in."""
        connection = HttpConnection(self, sock, address)
        self._open.add(connection)
        self.share.put(len(self._open))
        return connection

    def forget(self, connection: HttpConnection) -> None:
        """Count a connection out that is about to be closed."""
        self._connections.release(connection)
        self._open.discard(connection)
        if not self.stopping:
            self.share.put(len(self._open))

    def process_conn(self, conn: HttpConnection) -> None:
        """Give a connection with a request to the workers."""
        self.requests.put(conn)

    def put_conn(self, conn: HttpConnection) -> None:
        """Give a connection back to the selector."""
        self._connections.watch(conn)

    # -- environ and log

    def _common_environ(self) -> Environ:
        host, port = self.bind_addr
        return {
            "SCRIPT_NAME": "",
            "SERVER_NAME": host,
            "SERVER_PORT": str(port),
            "SERVER_SOFTWARE": self.config.server_name,
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http" if self.tls is None else "https",
            "wsgi.multithread": True,
            "wsgi.multiprocess": self.config.processes > 1,
            "wsgi.run_once": False,
        }

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:
        """Write to the log of this package (cheroot's interface)."""
        _log.log(level, "%s%s", msg, "\n" + tracebacks.format_exc() if traceback else "")

    def log_cut_off(self, error: BodyCutOff) -> None:
        """The application let a lost body pass through."""
        _log.info("Request body cut off: %s", error.reason)

    def log_failure(self, head: Head, error: Exception) -> None:
        """The application failed. The query stays out of the log: it may hold a token."""
        _log.error("%s %s failed", head.method, ascii(head.raw_path), exc_info=error)

    def log_broken(self, error: BaseException) -> None:
        """Something failed outside the application."""
        _log.error("A connection broke in an unforeseen way", exc_info=error)

    def log_out_of_files(self, error: OSError) -> None:
        """Accepting pauses: the system has no descriptor or memory for another connection."""
        _log.error("Cannot accept connections: %s", os.strerror(error.errno or 0))
