"""The transport against what servers really send, over real sockets."""

from __future__ import annotations

import errno
import gzip
import shutil
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from phasegate.load.transport import Transport
from phasegate.model.errors import ConfigurationError

pytestmark = pytest.mark.integration

Serve = Callable[..., Transport]

BODY = b'[{"id": 1}]'
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n" + BODY


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server that sends the given answers, one per request; says how it was asked."""
    listeners: list[socket.socket] = []

    def start(
        *answers: bytes,
        close_after: bool = False,
        tls: ssl.SSLContext | None = None,
        timeout_s: float = 5.0,
        keeps: bool = True,
    ) -> Transport:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        left = list(answers)

        def run() -> None:
            while left:
                try:
                    plain, _ = listener.accept()
                    connection = tls.wrap_socket(plain, server_side=True) if tls else plain
                except OSError:
                    return
                with connection:
                    while left and connection.recv(65_536):
                        answer = left.pop(0)
                        for part in (answer[:20], answer[20:]):
                            connection.sendall(part)
                        if close_after:
                            break

        threading.Thread(target=run, daemon=True).start()
        scheme = "https" if tls else "http"
        return Transport(f"{scheme}://127.0.0.1:{listener.getsockname()[1]}", timeout_s, keeps)

    yield start
    for listener in listeners:
        listener.close()


def test_an_answer_in_pieces_is_put_together(serve: Serve) -> None:
    answer = serve(PLAIN).request("GET", "/", b"")
    assert (answer.status, answer.body, answer.json()) == (200, BODY, [{"id": 1}])
    assert answer.done_s > answer.sent_s


def test_an_answer_that_comes_before_its_request_is_sent_is_read() -> None:
    body = b"x" * 8_000_000
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            with listener.accept()[0] as connection:
                left = len(body) - len(connection.recv(65_536))
                connection.sendall(PLAIN)
                time.sleep(0.1)
                while left > 0:
                    left -= len(connection.recv(1_000_000))

        threading.Thread(target=run, daemon=True).start()
        transport = Transport(f"http://127.0.0.1:{listener.getsockname()[1]}", 5.0)
        assert transport.request("PUT", "/", b"", body).body == BODY


def test_a_chunked_answer_is_put_together(serve: Serve) -> None:
    parts = b'5\r\n[{"id\r\n6\r\n": 1}]\r\n0\r\n\r\n'
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + parts
    assert serve(chunked).request("GET", "/", b"").json() == [{"id": 1}]


def test_an_answer_to_head_ends_with_its_headers(serve: Serve) -> None:
    told = b"HTTP/1.1 206 Partial Content\r\nContent-Range: 0-9/57\r\nContent-Length: 11\r\n\r\n"
    transport = serve(told, told, timeout_s=2.0)
    for _ in range(2):
        answer = transport.request("HEAD", "/", b"")
        assert (answer.status, answer.body, answer.error) == (206, b"", "")
        assert answer.headers[b"content-range"] == b"0-9/57"


def test_a_compressed_answer_counts_as_it_was_sent(serve: Serve) -> None:
    packed = gzip.compress(BODY * 1)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    answer = serve(head + packed).request("GET", "/", b"")
    assert answer.wire_bytes == len(packed)
    assert answer.json() == [{"id": 1}]


def test_an_answer_that_ends_with_its_connection_is_whole(serve: Serve) -> None:
    transport = serve(b"HTTP/1.1 200 OK\r\n\r\n" + BODY, PLAIN, close_after=True)
    assert transport.request("GET", "/", b"").body == BODY
    assert transport.request("GET", "/", b"").body == BODY


def test_an_answer_cut_short_is_none(serve: Serve) -> None:
    answer = serve(PLAIN[:-3], close_after=True).request("GET", "/", b"")
    assert answer.status == 0
    assert answer.error == "closed in the middle of an answer"


def test_no_content_has_no_body(serve: Serve) -> None:
    transport = serve(b"HTTP/1.1 204 No Content\r\n\r\n", PLAIN)
    assert transport.request("PATCH", "/", b"", b"{}").status == 204
    assert transport.request("GET", "/", b"").status == 200


def test_a_connection_that_the_server_closed_is_not_used_again(serve: Serve) -> None:
    transport = serve(PLAIN, PLAIN, close_after=True)
    assert transport.request("GET", "/", b"").status == 200
    assert transport.request("GET", "/", b"").status == 200


@pytest.fixture
def hanging_up() -> Iterator[Callable[..., tuple[Transport, list[int]]]]:
    """Starts a server that answers the first request of a connection and hangs up on the next.

    `before` it does, it sends that much; `resets`: not in order, as a process that died. The list
    counts the requests by connection.
    """
    listeners: list[socket.socket] = []

    def start(
        before: bytes = b"", *, resets: bool = False, tls: ssl.SSLContext | None = None
    ) -> tuple[Transport, list[int]]:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        asked: list[int] = []

        def serve_one() -> None:
            plain, _ = listener.accept()
            asked.append(0)
            with tls.wrap_socket(plain, server_side=True) if tls else plain as connection:
                for answer in (PLAIN, before):
                    if connection.recv(65_536):
                        asked[-1] += 1
                        connection.sendall(answer)
                if resets:
                    now = struct.pack("ii", 1, 0)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)

        def run() -> None:
            while True:
                try:
                    serve_one()
                except OSError:
                    return

        threading.Thread(target=run, daemon=True).start()
        scheme = "https" if tls else "http"
        return Transport(f"{scheme}://127.0.0.1:{listener.getsockname()[1]}", 5.0), asked

    yield start
    for listener in listeners:
        listener.close()


HangingUp = Callable[..., tuple[Transport, list[int]]]


@pytest.mark.parametrize("resets", [False, True], ids=["in order", "reset"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_request_that_a_kept_connection_lost_is_sent_again_on_a_new_one(
    hanging_up: HangingUp, method: str, resets: bool
) -> None:
    transport, asked = hanging_up(resets=resets)
    assert not transport.request("GET", "/", b"").resent
    answer = transport.request(method, "/", b"")
    assert (answer.status, answer.resent, answer.opened) == (200, True, True)
    assert asked == [2, 1]


@pytest.mark.integration
def test_over_tls_it_is_sent_again_too(
    hanging_up: HangingUp, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    transport, asked = hanging_up(tls=context)
    answers = [transport.request("GET", "/", b"") for _ in range(2)]
    assert [(answer.status, answer.resent) for answer in answers] == [(200, False), (200, True)]
    assert asked == [2, 1]


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_what_must_not_happen_twice_is_not_sent_again(hanging_up: HangingUp, method: str) -> None:
    transport, asked = hanging_up()
    transport.request("GET", "/", b"")
    answer = transport.request(method, "/", b"", b"{}")
    assert (answer.status, answer.resent, answer.error) == (0, False, "closed before an answer")
    assert asked == [2]


def test_what_died_after_its_answer_had_begun_is_not_sent_again(hanging_up: HangingUp) -> None:
    transport, asked = hanging_up(PLAIN[:9])
    transport.request("GET", "/", b"")
    answer = transport.request("GET", "/", b"")
    assert (answer.status, answer.resent) == (0, False)
    assert answer.error == "closed in the middle of an answer"
    assert asked == [2]


def test_what_was_lost_on_a_new_connection_or_kept_waiting_is_not_sent_again(
    hanging_up: HangingUp, serve: Serve
) -> None:
    answer = serve(b"", close_after=True).request("GET", "/", b"")
    assert (answer.status, answer.resent) == (0, False)
    waits = serve(PLAIN, b"", PLAIN, timeout_s=0.2)
    waits.request("GET", "/", b"")
    answer = waits.request("GET", "/", b"")
    assert (answer.status, answer.resent, answer.error) == (0, False, "timed out")


@pytest.mark.parametrize("key", ["k\r\nX-Evil: 1", "k\n", "k\0", "k\x7f", "k\tk", "kä", "k\u2028"])
def test_a_value_that_would_end_its_line_goes_into_no_header(key: str) -> None:
    transport = Transport("http://127.0.0.1:1")
    with pytest.raises(ConfigurationError, match="header apikey contains a line break") as told:
        transport.head({"apikey": key})
    assert key not in str(told.value)
    assert transport.head({"apikey": "k .~!"}).endswith(b"apikey: k .~!\r\n")


@pytest.mark.parametrize("user", ["u\r\nX: 1", "u u", "ü", "\0"])
def test_a_value_that_would_end_its_line_goes_into_no_path(serve: Serve, user: str) -> None:
    transport = serve(PLAIN)
    with pytest.raises(ConfigurationError, match="path of a request contains"):
        transport.request("GET", f"/rest/v1/tasks?user_id=eq.{user}", b"")
    assert transport.request("GET", "/", b"").status == 200


def test_a_connection_is_used_again_and_that_is_told(serve: Serve) -> None:
    transport = serve(PLAIN, PLAIN)
    assert [transport.request("GET", "/", b"").opened for _ in range(2)] == [True, False]


@pytest.mark.integration
def test_a_connection_per_request_says_so_and_is_not_used_again(
    serve: Serve, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    # The server would keep them: with TLS, every request then takes its own handshake.
    transport = serve(PLAIN, PLAIN, tls=context, keeps=False)
    assert b"Connection: close" in transport.head({})
    assert [transport.request("GET", "/", b"").opened for _ in range(2)] == [True, True]
    assert b"Connection" not in serve(PLAIN).head({})


def test_running_out_of_ports_is_no_failure_of_the_server(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(*_: object, **__: object) -> None:
        raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")

    monkeypatch.setattr("phasegate.load.transport.socket.create_connection", none_left)
    with pytest.raises(OSError, match="Cannot assign"):
        serve(PLAIN).request("GET", "/", b"")


def test_what_is_no_http_is_no_answer(serve: Serve) -> None:
    answer = serve(b"220 mail.example.com ESMTP ready, is it\r\n").request("GET", "/", b"")
    assert answer.status == 0
    assert answer.error


def test_a_silent_server_is_given_up(serve: Serve) -> None:
    answer = serve(b"", PLAIN, timeout_s=0.2).request("GET", "/", b"")
    assert answer.status == 0
    assert answer.error == "timed out"
    assert 0.15 < answer.done_s - answer.sent_s < 3


def test_nobody_listening_is_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    answer = Transport(f"http://127.0.0.1:{port}").request("GET", "/", b"")
    assert answer.status == 0
    assert "refused" in answer.error


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Key and certificate of 127.0.0.1, signed by themselves."""
    if shutil.which("openssl") is None:
        pytest.skip("no `openssl` program to make a certificate with")
    path = tmp_path / "both.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(path), "-out", str(tmp_path / "certificate.pem")]
    subprocess.run(command, check=True, capture_output=True)
    with path.open("ab") as both:
        both.write((tmp_path / "certificate.pem").read_bytes())
    return path


@pytest.mark.integration
def test_https_works_with_a_certificate_that_is_trusted(
    serve: Serve, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    transport = serve(PLAIN, PLAIN, tls=context)
    assert transport.request("GET", "/", b"").body == BODY
    assert transport.request("GET", "/", b"").body == BODY


@pytest.mark.integration
def test_https_with_a_certificate_that_is_not_trusted_is_no_answer(
    serve: Serve, certificate: Path
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    answer = serve(PLAIN, tls=context).request("GET", "/", b"")
    assert answer.status == 0
    assert "certificate verify failed" in answer.error
