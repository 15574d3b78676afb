"""The same event in all five envelopes, and every event type, from Kafka to a subscriber who checks both signatures."""
import json
import re
import shutil

import pytest
from standardwebhooks import Webhook

from harness.events import event_id, topic_of
from harness.paths import MAPPINGS
from harness.schemas import MAPPED, SAMPLES, faults, sample
from harness.waiting import until
from harness.world import World

ENVELOPES = SAMPLES / "envelopes"
OUTBOX = "learnault.outbox"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The shipped mappings, and one that reads the modules' events from an outbox."""
    directory = tmp_path_factory.mktemp("envelopes")
    mappings = directory / "mappings"
    shutil.copytree(MAPPINGS, mappings)
    shutil.copytree(MAPPINGS.parent / "schemas", directory / "schemas")
    text = (mappings / "learnault.modules.json5").read_text()
    head = 'topic: "learnault.modules",\n  envelope: ["plain", "cloudevents", "confluent-json"],\n  type: "/eventType",\n' \
           '  id: "/eventId",\n  created: "/occurredAt",'
    assert head in text
    (mappings / "outbox.json5").write_text(
        text.replace(head, f'topic: "{OUTBOX}", envelope: "debezium-outbox", created: "header:occurredAt",'))
    # A plugin, and an audience of everyone, which no shipped mapping has.
    (mappings / "classes.json5").write_text("""
        { topic: "learnault.classes", type: "/type", id: "/id", created: "/at", audience: "everyone",
          events: { Graded: { plugin: "graded-batch" } } }""")
    world = World(directory, mappings=str(mappings))
    try:
        world.run()
        yield world
    finally:
        world.close()


def framed(record):
    return b"\0\0\0\0\x2a" + json.dumps(record).encode()


def change_event(record):
    """What Debezium writes of an outbox table without its router: the row, with the payload as text."""
    return {"before": None, "op": "c", "ts_ms": 1705314600000, "source": {"table": "outbox"}, "after": {
        "id": record["eventId"], "aggregatetype": "module", "aggregateid": "mod_456", "type": record["eventType"],
        "occurredAt": record["occurredAt"], "accountId": record["accountId"], "payload": json.dumps(record["payload"])}}


def read(name, account):
    """An envelope's sample for an account of ours; its own id made unique by the account's."""
    text = (ENVELOPES / name).read_text().replace("acct_1", account.id)
    return json.loads(text.replace("9f2b6c1e", account.id[-8:]))


def sent(name, account):
    """(topic, value, headers, CloudEvents source) of each envelope."""
    plain = read("plain.json", account)
    if name == "plain":
        return "learnault.modules", plain, {}, ""
    if name == "cloudevents-structured":
        record = read("cloudevents-structured.json", account)
        return "learnault.modules", record, {"content-type": "application/cloudevents+json; charset=utf-8"}, record["source"]
    if name == "cloudevents-binary":
        headers = read("cloudevents-binary.headers.json", account)
        return "learnault.modules", read("cloudevents-binary.json", account), headers, headers["ce_source"]
    if name == "confluent-json":
        return "learnault.modules", framed(read("confluent-json.json", account)), {}, ""
    if name == "debezium-outbox":
        return OUTBOX, read("debezium-outbox.json", account), read("debezium-outbox.headers.json", account), ""
    return OUTBOX, change_event(plain), {"occurredAt": plain["occurredAt"]}, ""


@pytest.mark.parametrize("name", ["plain", "cloudevents-structured", "cloudevents-binary", "confluent-json",
                                  "debezium-outbox", "debezium-outbox-change-event"])
def test_each_envelope_arrives_as_the_same_signed_body(world, account, name):
    webhook = account.register(world.receiver.url(f"/{name}"), "module.completed")
    topic, value, headers, source = sent(name, account)
    world.backend.put(topic, value, headers=headers)
    delivery, = until(lambda: world.receiver.at(f"/{name}"), 15, lambda: f"a delivery\n{world.dump('dead-letters')}")

    own_id = read("plain.json", account)["eventId"]
    body = json.loads(delivery.body)
    assert body["id"] == event_id(topic, own_id, "module.completed", source)
    assert faults("module.completed", body) == []
    expected = {**json.loads((MAPPINGS.parent / "schemas/module.completed.json").read_text())["examples"][0],
                "id": body["id"]}
    assert delivery.body == json.dumps(expected, separators=(",", ":")).encode()
    assert delivery.signed_with(webhook["signingSecret"])
    assert Webhook(webhook["signingSecret"]).verify(delivery.body, delivery.headers)["id"] == body["id"]


@pytest.mark.parametrize("event_type", [name for name in MAPPED if name != "webhook.disabled"])
def test_each_type_arrives_signed(world, account, event_type):
    """The types that come from a domain record; webhook.disabled and webhook.test are tested where they arise."""
    path = f"/type/{event_type}"
    webhook = account.register(world.receiver.url(path), event_type)
    record = sample(event_type, account.id)
    record["eventId"] += account.id
    world.backend.put(topic_of(event_type), record, headers={"traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01"})
    delivery, = until(lambda: world.receiver.at(path), 15, lambda: f"a delivery\n{world.dump('dead-letters')}")
    assert faults(event_type, json.loads(delivery.body)) == []
    assert delivery.event_id == event_id(topic_of(event_type), record["eventId"], event_type)
    assert delivery.headers["x-learnault-event"] == event_type
    assert delivery.signed_with(webhook["signingSecret"])
    Webhook(webhook["signingSecret"]).verify(delivery.body, delivery.headers)


def test_an_envelope_that_is_broken_is_a_dead_letter_that_says_how(world, account):
    value, headers = read("cloudevents-binary.json", account), read("cloudevents-binary.headers.json", account)
    del headers["ce_source"]
    origin = world.backend.put("learnault.modules", value, headers={**headers, "binary": b"\xff\0"}, key=b"entity")
    letter, = world.wait_records("dead-letters", lambda record: record.headers.get("origin") == origin)
    assert letter.headers["reason"] == "unmappable"
    assert re.match(r"learnault\.modules\.json5: the CloudEvents attribute at source is missing", letter.headers["message"])
    assert letter.headers["source.ce_id"] == headers["ce_id"] and letter.headers["source-key"] == "entity"
    assert letter.value == json.dumps(value).encode()


def test_a_plugin_makes_an_event_for_each_learner_and_everyone_hears_of_it(world, account):
    other = world.account()
    for each, path in [(account, "/class"), (other, "/other-class")]:
        each.register(world.receiver.url(path), "module.completed", "module.failed")
    own_id = f"class-{account.id}"
    world.backend.put("learnault.classes", {
        "type": "Graded", "id": own_id, "at": "2024-01-15T10:30:00Z", "payload": {
            "module": {"id": "mod_456", "title": "Understanding Stablecoins"}, "completedAt": "2024-01-15T10:30:00Z",
            "results": [{"userId": "usr_1", "score": 92}, {"userId": "usr_2", "score": 41, "reason": "below 70"}]}})
    wanted = {event_id("learnault.classes", own_id, "module.completed", index=0),
              event_id("learnault.classes", own_id, "module.failed", index=1)}
    for path in ["/class", "/other-class"]:
        until(lambda: world.receiver.accepted_ids(path) == wanted, 15, lambda: f"{wanted} at {path}\n{world.dump('dead-letters')}")
        for delivery in world.receiver.at(path):
            body = json.loads(delivery.body)
            assert faults(body["type"], body) == []
