"""`selfie serve`: one page, over https to the network or over http to this machine, and nothing else."""

import socket
import ssl
import threading
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from cryptography import x509

from selfie_utils.apps import serve
from selfie_utils.apps.serve import make_server, own_addresses
from selfie_utils.core.errors import SelfieError

TRUSTING = ssl._create_unverified_context()


@pytest.fixture(params=[True, False], ids=["https", "http"])
def served(request, tmp_path):
    """A server of one page, its address, and whether it speaks https."""
    page = tmp_path / "camera.html"
    page.write_text("<h1>me</h1>")
    (tmp_path / "secret.txt").write_text("no")
    server = make_server(page, request.param, 0)
    threading.Thread(target=partial(server.serve_forever, 0.05), daemon=True).start()
    yield server, f"http{'s' * request.param}://127.0.0.1:{server.server_address[1]}", request.param
    server.shutdown()
    server.server_close()


def test_the_page_is_served_and_nothing_else(served):
    _, address, https = served
    get = partial(urllib.request.urlopen, timeout=20, context=TRUSTING if https else None)
    with get(address + "/") as answer:
        assert answer.read() == b"<h1>me</h1>" and answer.headers["Content-Type"].startswith("text/html")
        assert answer.headers["Server"].strip() == "selfie"  # of Python's version nobody needs to know
    with get(urllib.request.Request(address + "/", method="HEAD")) as answer:
        assert answer.headers["Content-Length"] == "11" and answer.read() == b""
    for path in ("/secret.txt", "/../secret.txt", "/camera.html/.."):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            get(address + path)


def test_only_https_is_open_to_others(served):
    server, _, https = served
    assert server.server_address[0] == ("0.0.0.0" if https else "127.0.0.1")


def test_a_visitor_who_says_nothing_keeps_nobody_waiting(served):
    server, address, https = served
    with socket.create_connection(server.server_address[:2]) as silent:
        silent.sendall(b"")
        with urllib.request.urlopen(address, timeout=20, context=TRUSTING if https else None) as answer:
            assert answer.read() == b"<h1>me</h1>"


def test_the_certificate_is_for_this_machine_and_for_a_month(tmp_path):
    (tmp_path / "a.html").write_text("a")
    server = make_server(tmp_path / "a.html", True, 0)
    threading.Thread(target=server.handle_request, daemon=True).start()
    pem = ssl.get_server_certificate(server.server_address[:2], timeout=20)
    server.server_close()
    found = x509.load_pem_x509_certificate(pem.encode())
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    addresses = {str(a) for a in names.get_values_for_type(x509.IPAddress)}
    assert addresses == {"127.0.0.1", *own_addresses()}
    assert found.not_valid_after_utc - datetime.now(UTC) < timedelta(days=31)


def test_it_says_that_the_certificate_is_self_signed_and_where_the_page_is(tmp_path, monkeypatch):
    (tmp_path / "a.html").write_text("a")
    monkeypatch.setattr(serve.ThreadingHTTPServer, "serve_forever", lambda self: None)
    monkeypatch.setattr(serve, "own_addresses", lambda: ["192.0.2.7"])
    told = []
    serve.serve(tmp_path / "a.html", True, 0, told.append)
    assert told[0].startswith("https://192.0.2.7:") and any("self-signed" in line for line in told)
    told.clear()
    serve.serve(tmp_path / "a.html", False, 0, told.append)
    assert told[0].startswith("http://localhost:") and "--https" in told[1]


def test_what_cannot_be_served_is_told(tmp_path):
    with pytest.raises(SelfieError, match="selfie export web"):
        make_server(tmp_path / "gone.html", False, 0)
    (tmp_path / "a.html").write_text("a")
    with (
        make_server(tmp_path / "a.html", False, 0) as first,
        pytest.raises(SelfieError, match="another --port"),
    ):
        make_server(tmp_path / "a.html", False, first.server_address[1])
