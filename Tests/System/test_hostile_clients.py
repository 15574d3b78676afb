"""Clients of the API that are slow, contradictory, enormous or many, against the running bridge, while another client is
served; and texts that break programs."""
import json
import resource
import socket
import threading
import time
from contextlib import ExitStack, contextmanager

import pytest
import requests

from harness.waiting import until

URL = "https://yourapp.com/webhooks/learnault"


def connect(world):
    host, port = world.bridges[0].settings["api"]["listen"].rsplit(":", 1)
    connection = socket.create_connection((host, int(port)), timeout=15)
    return connection


def answer(connection):
    """Status and rest of what comes until the server closes, or None."""
    received = b""
    try:
        while piece := connection.recv(65536):
            received += piece
    except OSError:
        pass
    return int(received.split()[1]) if received.startswith(b"HTTP/1.1 ") else None


@contextmanager
def served_meanwhile(account):
    """Another client asks all the time: each answer is 200 and comes within a second."""
    over, answers = threading.Event(), []

    def ask():
        with requests.Session() as session:
            while not over.is_set():
                began = time.monotonic()
                response = session.get(account.bridge.api + "/v1/webhooks", timeout=10,
                                       headers={"Authorization": f"Bearer {account.api_key}"})
                answers.append((response.status_code, time.monotonic() - began))
                over.wait(0.01)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
        until(lambda: len(answers) >= 3, 10, "the other client served")
    finally:
        over.set()
        thread.join(15)
    assert {status for status, _ in answers} == {200}
    assert max(seconds for _, seconds in answers) < 1


@pytest.fixture
def known(account):
    account.register(URL, "user.created")
    return account


def test_a_thousand_idle_connections(world, known):
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 4096), most))
    with ExitStack() as stack, served_meanwhile(known):
        for _ in range(1000):
            stack.enter_context(connect(world))
        assert len(known.webhooks()) == 1
    until(lambda: requests.get(world.bridges[0].ops + "/readyz", timeout=5).status_code == 200, 5, "ready")


def test_slow_heads_and_slow_bodies_end_and_hold_nobody(world, known):
    head = f"POST /v1/webhooks HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {known.api_key}\r\n".encode()
    with ExitStack() as stack, served_meanwhile(known):
        slow_heads = [stack.enter_context(connect(world)) for _ in range(10)]
        slow_bodies = [stack.enter_context(connect(world)) for _ in range(10)]
        for connection in slow_heads:
            connection.sendall(head + b"X-Slow: ")
        for connection in slow_bodies:
            connection.sendall(head + b"Content-Length: 1000\r\n\r\n")
        ended, deadline = set(), time.monotonic() + 20
        # A byte now and then keeps no connection: heads have ten seconds.
        while len(ended) < len(slow_heads) and time.monotonic() < deadline:
            for connection in slow_heads + slow_bodies:
                try:
                    connection.sendall(b"a")
                except OSError:
                    ended.add(connection)
            time.sleep(0.2)
        assert set(slow_heads) <= ended
    assert [webhook["url"] for webhook in known.webhooks()] == [URL]


HEAD = "POST /v1/webhooks HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
CONTRADICTIONS = {
    "two lengths": HEAD + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "length and chunks": HEAD + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two hosts": HEAD + "Host: b\r\nContent-Length: 2\r\n\r\n{}",
    "NUL in a value": HEAD + "X-A: b\0c\r\nContent-Length: 2\r\n\r\n{}",
    "NUL in the path": "GET /v1/web\0hooks HTTP/1.1\r\nHost: a\r\n\r\n",
    "a length that is none": HEAD + "Content-Length: 2x\r\n\r\n{}",
    "a folded header": HEAD + "X-A: b\r\n c\r\nContent-Length: 2\r\n\r\n{}",
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_contradictions_are_refused(world, known, name):
    with connect(world) as connection:
        connection.sendall(CONTRADICTIONS[name].replace("Host: a", f"Host: a\r\nAuthorization: Bearer {known.api_key}")
                           .encode())
        assert answer(connection) == 400


def test_bodies_of_ten_megabytes(world, known):
    body = b'{"url": "' + b"a" * 10_000_000 + b'"}'
    head = f"POST /v1/webhooks HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {known.api_key}\r\n"
    with served_meanwhile(known), ExitStack() as stack:
        for form in ("length", "chunks"):
            connection = stack.enter_context(connect(world))
            framing = f"Content-Length: {len(body)}\r\n\r\n" if form == "length" else "Transfer-Encoding: chunked\r\n\r\n"
            connection.sendall((head + framing).encode())
            try:
                if form == "length":
                    connection.sendall(body)
                else:
                    for start in range(0, len(body), 65_536):
                        piece = body[start:start + 65_536]
                        connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
                    connection.sendall(b"0\r\n\r\n")
            except OSError:
                pass  # refused while it is sent
            assert answer(connection) in (413, None)
    assert len(known.webhooks()) == 1


NAUGHTY = [
    "", " ", "undefined", "null", "NaN", "1e999", "-0", "0x10", "' OR 1=1 --", "1;DROP TABLE attempts", "<script>alert(1)</script>",
    "${jndi:ldap://a}", "$(touch /tmp/x)", "`id`", "{{7*7}}", "%s%n%d", "../../../etc/passwd", "\\\\server\\share", "C:\\aux",
    "\r\nSet-Cookie: a=b", "a\tb", "\x7f", "\x80\x9f", "ﷺ" * 20, "𝕿𝖍𝖊", "👩‍👩‍👧‍👦🏳️‍🌈", "Z̮̞̠͙͔ͅḀ̗̞͈̻̗Ḷ͙͎̯̹̞͓G̻O̭̗̮", "\u202eright to left\u202c",
    "\ufeffmark", "\u2028\u2029", "מתוך", "パーティー", "ÅÍÎÏ˝ÓÔÒÚÆ☃", "ʇunpᴉpᴉɔuᴉ", "￾", "\U0010ffff", '"quotes" and \\back\\slashes', "a" * 512]


def test_naughty_descriptions_come_back_as_they_were(world, known):
    webhook = known.webhooks()[0]["id"]
    for text in NAUGHTY:
        response = known.call("PATCH", f"/v1/webhooks/{webhook}", {"description": text})
        assert response.status_code == 200, f"{text!r}: {response.text}"
        assert response.json()["data"]["description"] == text
    until(lambda: known.webhook(webhook)["description"] == NAUGHTY[-1], 5, "the last one")


@pytest.mark.parametrize("body, status", [
    (b'{"url":"' + URL.encode() + b'","events":["*"],"events":["user.*"]}', 422),
    (b'{"isActive":true,"isActive":true}', 422),
    (b"[" * 5000 + b"]" * 5000, 400), (b'{"a":' * 20 + b"1" + b"}" * 20, 400), (b'{"description":"\xff"}', 400),
    (b'{"description":"\\ud800"}', 400), (b"\xef\xbb\xbf{}", 400), (b'{"description":"a\x00b"}', 400),
    (json.dumps({"description": "a" * 513}).encode(), 422), (b'{"isActive":1e999}', 400)],
    ids=["key twice", "key twice, the same", "deep", "deep objects", "not UTF-8", "half a surrogate", "a byte order mark", "NUL",
         "long", "a number beyond all"])
def test_naughty_bodies_are_refused(known, body, status):
    webhook = known.webhooks()[0]
    response = requests.patch(f"{known.bridge.api}/v1/webhooks/{webhook['id']}", data=body, timeout=10, headers={
        "Authorization": f"Bearer {known.api_key}", "Content-Type": "application/json"})
    assert response.status_code == status, response.text
    assert response.json()["status"] == "error"
    assert known.webhook(webhook["id"]) == webhook
