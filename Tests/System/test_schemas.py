"""The published schemas: each is one, and every record the bridge wrote fits the schema of its topic."""
import json

import pytest
from jsonschema import Draft202012Validator

from harness.events import EXAMPLE_TYPES, domain_record, topic_of
from harness.paths import ROOT
from harness.waiting import until
from harness.world import OWN_TOPICS

SCHEMAS = sorted((ROOT / "config" / "schemas").rglob("*.json"))
WORLD_SETTINGS = {"retry": {"timeScale": 0.00001}}


def schema_of(topic):
    """The schema named after a topic: TOPIC.json or TOPIC.schema.json."""
    for path in SCHEMAS:
        if path.name in (f"{topic}.json", f"{topic}.schema.json"):
            return json.loads(path.read_text())
    return None


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.name)
def test_each_schema_is_one(path):
    Draft202012Validator.check_schema(json.loads(path.read_text()))


@pytest.mark.skipif(not any(schema_of(topic) for topic in OWN_TOPICS), reason="no schema of a topic yet")
def test_records_fit_the_schemas_of_their_topics(world, account):
    account.register(world.receiver.url("/good"), *EXAMPLE_TYPES)
    bad = account.register(world.receiver.url("/bad"), "user.created")
    world.receiver.script("/bad", [500])
    for event_type in EXAMPLE_TYPES:
        world.backend.put(topic_of(event_type), domain_record(event_type, account.id))
    until(lambda: account.webhook(bad["id"])["isActive"] is False, 30, "the failing webhook disabled")
    world.wait_records("emails", lambda record: record.json["template"] == "webhook-disabled")
    checked = set()
    for topic in OWN_TOPICS:
        schema = schema_of(topic)
        for record in world.dump(topic) if schema else []:
            if record.value is not None:
                faults = [error.message for error in Draft202012Validator(schema).iter_errors(record.json)]
                assert not faults, f"{topic}: {faults} in {record.value}"
                checked.add(topic)
    assert checked
