"""The checkers are checked: each subscriber accepts a request signed by other code and rejects a wrong one."""
import base64
import hashlib
import hmac
import json
import time

import pytest
import requests
from standardwebhooks import Webhook, WebhookVerificationError

from harness.documented import DocumentedSubscriber
from harness.events import EXAMPLE_TYPES, domain_record, event_id, expected_body
from harness.kafka import murmur2
from harness.paths import OWN_CONTRACT, PUBLISHED_CONTRACT
from harness.receiver import Answer

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
BODY = expected_body("module.completed", "evt_" + "0" * 24)


def signature(body, secret):
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def post(url, body, secret):
    headers = {"Content-Type": "application/json", "X-Learnault-Signature": signature(body, secret)}
    return requests.post(url, body, headers=headers, timeout=10)


@pytest.mark.parametrize("kind", ["express", "flask"])
def test_documented_subscriber_accepts_and_rejects(kind, tmp_path):
    subscriber = DocumentedSubscriber(kind, SECRET, tmp_path)
    try:
        assert post(subscriber.url, BODY, SECRET).status_code == 200
        subscriber.wait_for(200, BODY)
        assert post(subscriber.url, BODY, SECRET[:-2] + "A=").status_code == 401
        subscriber.wait_for(401, BODY)
    finally:
        subscriber.stop()


def test_express_rejects_a_body_that_json_stringify_would_change(tmp_path):
    subscriber = DocumentedSubscriber("express", SECRET, tmp_path)
    try:
        assert post(subscriber.url, BODY.replace(b'"score":100', b'"score":100.0'), SECRET).status_code == 401
    finally:
        subscriber.stop()


def test_scripted_receiver_decides_before_it_answers_and_keeps_connections(receiver):
    receiver.script("/hook", [500, Answer(503, delay=0.05), 200])
    with requests.Session() as session:
        statuses = [session.post(receiver.url("/hook"), b"{}", timeout=5).status_code for _ in range(4)]
    assert statuses == [500, 503, 200, 200]
    assert [delivery.status for delivery in receiver.at("/hook")] == statuses
    assert receiver.at("/hook")[1].answered - receiver.at("/hook")[1].arrived >= 0.05
    assert not receiver.malformed


def test_standard_webhooks_library_accepts_and_rejects():
    stamp = str(int(time.time()))
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    mac = hmac.new(key, f"evt_1.{stamp}.".encode() + BODY, hashlib.sha256).digest()
    headers = {"webhook-id": "evt_1", "webhook-timestamp": stamp,
               "webhook-signature": "v1," + base64.b64encode(mac).decode()}
    assert Webhook(SECRET).verify(BODY, headers) == json.loads(BODY)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(BODY.replace(b"100", b"101"), headers)


@pytest.mark.parametrize("event_type", EXAMPLE_TYPES)
def test_expected_bodies_are_what_json_stringify_writes(event_type, tmp_path):
    body = expected_body(event_type, event_id("t", domain_record(event_type, "acct_x")["eventId"], event_type))
    subscriber = DocumentedSubscriber("express", SECRET, tmp_path)
    try:
        assert post(subscriber.url, body, SECRET).status_code == 200
    finally:
        subscriber.stop()


def test_murmur2_agrees_with_kafka():
    # Vectors of Kafka's own UtilsTest, as signed 32-bit numbers there.
    for key, expected in {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536,
                          b"abc": 479470107}.items():
        assert murmur2(key) == expected & 0x7FFFFFFF, key


@pytest.mark.skipif(not PUBLISHED_CONTRACT.exists(), reason="no published contract beside the repository")
def test_own_copy_of_the_documentation_is_the_published_one():
    for copy in sorted(path for path in OWN_CONTRACT.rglob("*") if path.is_file()):
        assert copy.read_bytes() == (PUBLISHED_CONTRACT / copy.relative_to(OWN_CONTRACT)).read_bytes(), copy.name
