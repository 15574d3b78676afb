"""From a domain record to a signed POST: bodies, headers, signatures, the documented verifiers, the log."""
import re
import time

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from harness.documented import DocumentedSubscriber
from harness.events import EXAMPLE_TYPES, completed_modules, domain_record, event_id, expected_body, topic_of
from harness.bridge import PARTITIONS
from harness.kafka import murmur2
from harness.receiver import Answer
from harness.schemas import faults
from harness.waiting import until


def produce_example(world, account, event_type, **more):
    """Produces the published record; returns (event id, expected body, origin)."""
    topic = topic_of(event_type)
    record = domain_record(event_type, account.id, **more)
    origin = world.backend.put(topic, record, key=b"usr_123")
    identifier = event_id(topic, record["eventId"], event_type)
    return identifier, expected_body(event_type, identifier), origin


@pytest.mark.parametrize("event_type", EXAMPLE_TYPES)
def test_example_arrives_with_exactly_the_expected_body(world, account, event_type):
    path = f"/example/{event_type}"
    webhook = account.register(world.receiver.url(path), event_type)
    identifier, body, origin = produce_example(world, account, event_type)
    delivery, = until(lambda: world.receiver.at(path), 15, lambda: f"a delivery\n{world.bridges[0].log[-3000:]}")

    assert delivery.body == body
    headers = delivery.headers
    assert headers["x-learnault-event"] == event_type
    assert re.fullmatch(r"dlv_[0-9a-f]{24}\.1", headers["x-learnault-delivery"])
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"] == "Learnault-Webhooks/1.0"
    assert headers["content-length"] == str(len(body))
    assert "expect" not in headers and "transfer-encoding" not in headers
    assert headers["host"] == f"127.0.0.1:{world.receiver.port}"
    assert headers["webhook-id"] == identifier
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 300
    assert re.fullmatch(r"[0-9a-f]{64}", headers["x-learnault-signature"])
    assert delivery.signed_with(webhook["signingSecret"])
    assert not delivery.signed_with(webhook["signingSecret"][:-1])
    assert Webhook(webhook["signingSecret"]).verify(delivery.body, headers)["id"] == identifier
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "A" * 43 + "=").verify(delivery.body, headers)
    assert not world.receiver.malformed

    record, = world.wait_records("deliveries", lambda record: record.headers.get("event-id") == identifier)
    assert record.value == body and record.key.decode() == webhook["id"]
    assert record.partition == murmur2(record.key) % PARTITIONS
    assert record.headers["event-type"] == event_type
    assert record.headers["account-id"] == account.id
    assert record.headers["purpose"] == "delivery"
    assert record.headers["attempt"] == "0"
    assert record.headers["origin"] == origin
    assert record.headers["delivery-id"] == headers["x-learnault-delivery"].partition(".")[0]
    assert record.headers["generation"].isdigit()


@pytest.mark.parametrize("kind", ["express", "flask"])
def test_documented_verifiers_accept(world, account, tmp_path, kind):
    """Two subscribers of one sample: one knows the secret, the control has a wrong one and has to reject."""
    control = DocumentedSubscriber(kind, "whsec_" + "A" * 43 + "=", tmp_path / "control")
    # The secret is known only after the registration and the port only after the start: take the control's
    # place at first, then point the webhook at the real one.
    webhook = account.register(control.url, *EXAMPLE_TYPES)
    subscriber = DocumentedSubscriber(kind, webhook["signingSecret"], tmp_path / "subscriber")
    try:
        _, body, _ = produce_example(world, account, "user.created", event_id="rejected")
        control.wait_for(401, body)
        answer = account.call("PATCH", f"/v1/webhooks/{webhook['id']}", {"url": subscriber.url})
        assert answer.status_code == 200, answer.text
        for event_type in EXAMPLE_TYPES:
            _, body, _ = produce_example(world, account, event_type)
            subscriber.wait_for(200, body)
        assert {answer["status"] for answer in control.answers} == {401}
    finally:
        control.stop()
        subscriber.stop()


def test_only_the_account_and_the_type_subscribed_to(world, account):
    other = world.account()
    account.register(world.receiver.url("/mine"), "module.completed")
    account.register(world.receiver.url("/rewards"), "reward.issued")
    other.register(world.receiver.url("/other"), "module.completed")
    records = completed_modules(account.id, 20)
    for _, record in records:
        world.backend.put("learnault.modules", record)
    reward, _, _ = produce_example(world, account, "reward.issued")
    until(lambda: world.receiver.accepted_ids("/mine") == {identifier for identifier, _ in records}, 20,
          lambda: f"20 ids, there are {len(world.receiver.accepted_ids('/mine'))}")
    until(lambda: world.receiver.accepted_ids("/rewards") == {reward}, 20, "the reward")
    for stage, topic in [("translate", "learnault.modules"), ("deliver", "webhooks.deliveries")]:
        world.wait_drained(stage, topic)
    assert world.receiver.at("/other") == []
    assert len(world.receiver.at("/mine")) == 20 and len(world.receiver.at("/rewards")) == 1


def test_every_attempt_is_a_record_and_a_log_entry(world, account):
    webhook = account.register(world.receiver.url("/logged"), "module.completed")
    identifier, _, _ = produce_example(world, account, "module.completed", event_id="logged")
    record, = world.wait_records(
        "attempts", lambda record: record.key.decode() == webhook["id"] and record.json["eventId"] == identifier)
    attempt = record.json
    assert attempt["attempt"] == 1 and attempt["status"] == "delivered" and attempt["responseCode"] == 200
    assert attempt["webhookId"] == webhook["id"] and attempt["accountId"] == account.id
    log = until(lambda: (answer := account.log(webhook["id"], limit=50))["data"] and answer, 10, "a log entry")
    assert log["status"] == "success"
    assert log["pagination"] == {"page": 1, "limit": 50, "total": 1}
    entry, = log["data"]
    assert list(entry) == ["eventId", "eventType", "attempt", "status", "responseCode", "responseTime", "timestamp"]
    assert entry["eventId"] == identifier and entry["eventType"] == "module.completed"
    assert isinstance(entry["responseTime"], int)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z", entry["timestamp"])


def test_the_log_shows_what_a_failing_endpoint_answered(world, account):
    secret = "whsec_" + "A" * 44
    said = ("é" * 600 + secret).encode()
    world.receiver.script("/explains", [
        Answer(503, {"Content-Type": "text/plain", "Set-Cookie": "sid=31d4", "X-Debug": secret}, said)])
    webhook = account.register(world.receiver.url("/explains"), "module.completed")
    produce_example(world, account, "module.completed", event_id="explained")
    failure = until(lambda: account.log(webhook["id"])["data"], 15, "the failure")[-1]
    assert list(failure)[-4:] == ["error", "timestamp", "responseHeaders", "responseBody"]
    assert failure["responseHeaders"] == {"content-length": str(len(said)), "content-type": "text/plain",
                                          "set-cookie": "[not kept]", "x-debug": "whsec_***"}
    assert failure["responseBody"] == "é" * 512
    attempt, *_ = world.wait_records("attempts", lambda record: record.key.decode() == webhook["id"])
    assert attempt.json["responseBody"] == "é" * 512 and faults("attempts", attempt.json) == []


def test_nothing_is_sent_again_after_a_clean_stop(make_world):
    world = make_world()
    bridge = world.run()
    account = world.account()
    account.register(world.receiver.url("/hook"), "module.completed")
    records = completed_modules(account.id, 200)
    for identifier, record in records:
        world.backend.send("learnault.modules", record, tag=identifier)
    world.backend.flush()
    until(lambda: len(world.receiver.accepted_ids("/hook")) >= 20, 20, "the first deliveries")
    bridge.stop()
    bridge.run()
    wanted = {identifier for identifier, _ in records}
    until(lambda: world.receiver.accepted_ids("/hook") == wanted, 30,
          lambda: f"{len(wanted - world.receiver.accepted_ids('/hook'))} missing")
    world.wait_drained("deliver", "webhooks.deliveries")
    world.wait_drained("deliver", "webhooks.deferred")
    repeated = len(world.receiver.at("/hook")) - len(wanted)
    assert repeated == 0, "a clean stop repeats nothing"
