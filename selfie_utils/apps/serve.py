"""Show one page to a phone in the same network: over https, without which browsers lend no camera."""

import contextlib
import socket
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from selfie_utils.core.errors import SelfieError

ALONE, EVERYBODY = "127.0.0.1", "0.0.0.0"
DAYS = 30  # that a certificate is good for; phones refuse those of many years
SELF_SIGNED = (
    "The certificate is self-signed: nobody vouches for it, so the phone warns. Go on (Advanced, Proceed) "
    "only if the address is the one shown here. The page keeps photos on the phone."
)


class _OnePage(BaseHTTPRequestHandler):
    """Answers with one page, and with nothing else of the disk."""

    page: bytes
    server_version, sys_version = "selfie", ""

    def do_GET(self) -> None:
        self._answer(self.page)

    def do_HEAD(self) -> None:
        self._answer(b"", len(self.page))

    def _answer(self, body: bytes, size: int | None = None) -> None:
        found = self.path.split("?")[0] in ("/", "/index.html")
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str((len(body) if size is None else size) if found else 0))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # a phone that went away
            self.wfile.write(body if found else b"")

    def log_message(self, *_: object) -> None:
        """Keep no list of who looked."""


def own_addresses() -> list[str]:
    """Return this machine's addresses in its network, the usual one first; empty without a network."""
    found = []
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing: asks only which way a packet would go
        found = [probe.getsockname()[0]]
    with contextlib.suppress(OSError):
        found += [str(info[4][0]) for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)]
    return [address for address in dict.fromkeys(found) if not address.startswith("127.")]


def make_server(page: Path, https: bool, port: int) -> ThreadingHTTPServer:
    """Return a server of one page: over https for the whole network, over http for this machine alone.

    Raises SelfieError for a missing page, a port that is taken, and where the extra [web] is missing.
    """
    try:
        content = Path(page).expanduser().read_bytes()
    except OSError as error:
        raise SelfieError(
            f"{page} cannot be read ({error.strerror}): make it with `selfie export web`."
        ) from None
    handler = type("OnePage", (_OnePage,), {"page": content})
    context = _context() if https else None
    try:
        server = ThreadingHTTPServer((EVERYBODY if https else ALONE, port), handler)
    except OSError as error:
        raise SelfieError(f"Port {port} cannot be used ({error.strerror}): give another --port.") from None
    if context:
        # The handshake is left to the thread of each visitor, so that one who stalls keeps nobody waiting.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    return server


def _context() -> ssl.SSLContext:
    """Make a certificate for this machine's names, which lives in memory only."""
    try:
        import trustme
    except ImportError:
        raise SelfieError("https needs the package trustme: pip install 'selfie-suite[web]'.") from None
    until = datetime.now(UTC) + timedelta(days=DAYS)
    certificate = trustme.CA().issue_cert("localhost", ALONE, *own_addresses(), not_after=until)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def serve(page: Path, https: bool, port: int, tell: Callable[[str], None]) -> None:
    """Serve one page until Ctrl+C."""
    server = make_server(page, https, port)
    port = server.server_address[1]
    if https:
        for address in [*own_addresses(), "localhost"]:
            tell(f"https://{address}:{port}/")
        tell(SELF_SIGNED)
    else:
        tell(f"http://localhost:{port}/")
        tell("For this machine only: a phone gets the page, and its camera, with --https.")
    tell("Ctrl+C ends it.")
    with server, contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
