"""Bodies that every receiver can verify: mappings, samples, schemas and the topics' description agree, on paper and in a run."""
import json
import re
import warnings

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource
from jsonschema import Draft202012Validator

from harness.bridge import PARTITIONS, configuration
from harness.events import EXAMPLE_TYPES, TOPICS, event_id, expected_body, topic_of
from harness.kafka import Record, partitions
from harness.paths import EXAMPLES
from harness.processes import command
from harness.schemas import (
    ASYNCAPI, BASE, CHANNELS, CONFIG, DOCUMENTED, MAPPED, SAMPLES, SCHEMAS, faults, fields, judged, pointed, sample,
    sample_text)
from harness.waiting import until
from harness.world import OWN_TOPICS

WORLD_SETTINGS = {"retry": {"timeScale": 0.00001}, "limits": {"eventsPerSecond": 4}}
NOTICES = "webhooks.notices"
ENVELOPES = SAMPLES / "envelopes"


def source_topic(event_type):
    return NOTICES if event_type == "webhook.disabled" else topic_of(event_type)


@pytest.fixture(scope="module")
def mapping_try(tmp_path_factory):
    path, _ = configuration(tmp_path_factory.mktemp("mapping"), "127.0.0.1:1")

    def run(event_type, record):
        text = record if isinstance(record, str) else json.dumps(record)
        return command("mapping", "try", "--config", path, "--topic", source_topic(event_type), stdin=text)

    return run


# MARK: Schemas

def test_the_documented_types_are_the_22():
    assert len(DOCUMENTED) == 22 and len(MAPPED) == 21


@pytest.mark.parametrize("name", SCHEMAS)
def test_each_schema_is_one_and_its_examples_fit_it(name):
    schema = SCHEMAS[name]
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    assert schema["$id"] == BASE + "schemas/" + name
    assert schema["title"] and schema["description"] and schema["examples"]
    for example in schema["examples"]:
        assert faults(name.removesuffix(".json"), example) == []


def undescribed(schema, path="$"):
    for name, inner in schema.get("properties", {}).items():
        if not inner.get("description") and "$ref" not in inner:
            yield f"{path}.{name}"
        yield from undescribed(inner, f"{path}.{name}")
    for name, inner in schema.get("$defs", {}).items():
        yield from undescribed(inner, f"{path}#{name}")
    if isinstance(schema.get("items"), dict):
        yield from undescribed(schema["items"], f"{path}[]")


@pytest.mark.parametrize("name", SCHEMAS)
def test_each_field_is_described(name):
    assert list(undescribed(SCHEMAS[name])) == []


@pytest.mark.parametrize("event_type", DOCUMENTED)
def test_each_type_has_a_schema_of_its_whole_body(event_type):
    schema = SCHEMAS[event_type + ".json"]
    assert schema["title"] == event_type and schema["description"] == DOCUMENTED[event_type]
    assert list(schema["properties"]) == schema["required"] == ["id", "type", "created", "version", "data"]
    example, = schema["examples"]
    data = schema["properties"]["data"]
    assert list(example["data"]) == list(data["properties"]), "the example shows every field, in order"
    assert set(data["required"]) <= set(data["properties"])
    spoilt = [
        {**example, "id": "evt_123"}, {**example, "type": "user.renamed"}, {**example, "created": "2024-01-15"},
        {**example, "created": "2024-13-15T10:30:00Z"}, {**example, "version": "1.1"}, {**example, "more": 1},
        {**example, "data": {**example["data"], "more": 1}}]
    spoilt += [{**example, "data": {name: value for name, value in example["data"].items() if name != missing}}
               for missing in data["required"]]
    for body in spoilt:
        assert faults(event_type, body), body


@pytest.mark.parametrize("field", ["rewardAmount", "completedAt"])
@pytest.mark.parametrize("value", [0.25, "", "1,5", "0.", "tomorrow", "2024-01-15T10:30:00.5Z"])
def test_amounts_and_times_have_one_form(field, value):
    body = json.loads(json.dumps(SCHEMAS["module.completed.json"]["examples"][0]))
    body["data"][field] = value
    assert faults("module.completed", body)


# MARK: Mappings and samples

@pytest.mark.parametrize("event_type", MAPPED)
def test_each_sample_becomes_the_example_of_its_schema(mapping_try, event_type):
    """Byte for byte; the five documented ones also those of the documentation."""
    record = sample(event_type)
    result = mapping_try(event_type, sample_text(event_type))
    assert result.returncode == 0, result.stderr
    body = result.stdout.removesuffix("\n")
    assert faults(event_type, json.loads(body)) == []
    example, = SCHEMAS[event_type + ".json"]["examples"]
    assert body == json.dumps(example, separators=(",", ":"), ensure_ascii=False)
    own_id = record["id"] if event_type == "webhook.disabled" else record["eventId"]
    assert example["id"] == event_id(source_topic(event_type), own_id, event_type)
    if event_type in EXAMPLE_TYPES:
        assert body.encode() == expected_body(event_type, example["id"])
        assert json.loads(sample_text(event_type)) == json.loads((EXAMPLES / f"{event_type}.domain.json").read_text())


@pytest.mark.parametrize("event_type", MAPPED)
def test_required_in_the_schema_is_what_the_mapping_demands(mapping_try, event_type):
    """Takes each field of the sample away in turn: what the body then lacks is optional, what the mapping misses is not."""
    data = SCHEMAS[event_type + ".json"]["properties"]["data"]
    whole = json.loads(mapping_try(event_type, sample(event_type)).stdout)["data"]
    left_out, demanded = set(), set()
    for path in fields(sample(event_type)):
        record = sample(event_type)
        inner = record
        for name in path[:-1]:
            inner = inner[name]
        del inner[path[-1]]
        result = mapping_try(event_type, record)
        if result.returncode == 0:
            body = json.loads(result.stdout)
            assert faults(event_type, body) == [], path
            left_out |= set(whole) - set(body["data"])
        else:
            demanded |= set(re.findall(r"field (\w+) \([^)]*\): expected .*, came nothing", result.stderr))
    if event_type == "webhook.disabled":
        demanded.add("disabledAt")  # has the source of `created`, which is missed first
    if event_type == "user.updated":
        demanded.add("changes")  # made by the mapping, which leaves it empty rather than out
    assert demanded == set(data["required"])
    assert left_out == set(data["properties"]) - set(data["required"])


def test_each_sample_fits_the_envelope_and_there_are_no_others():
    assert {path.stem for path in SAMPLES.glob("*.json")} == set(MAPPED)
    for event_type in MAPPED:
        schema = "notices" if event_type == "webhook.disabled" else "domain-event"
        assert faults(schema, sample(event_type)) == []


@pytest.mark.parametrize("event_type", ["employer.searched", "employer.contacted"])
def test_no_candidate_leaves_with_what_employers_do(mapping_try, event_type):
    record = sample(event_type)
    kept_back = re.findall(r'"(?:email|userId|message)": "([^"]+)"', sample_text(event_type))
    assert kept_back, "the sample has something to keep back"
    body = mapping_try(event_type, record).stdout
    assert [value for value in kept_back if value in body] == []


def test_the_envelopes_carry_the_same_event():
    def read(name):
        return json.loads((ENVELOPES / name).read_text())

    record = sample("module.completed")
    assert read("plain.json") == read("confluent-json.json") == record
    names = {"id": "eventId", "type": "eventType", "time": "occurredAt", "accountid": "accountId"}
    structured = read("cloudevents-structured.json")
    assert structured["specversion"] == "1.0" and structured["source"] and structured["data"] == record["payload"]
    assert {mine: structured[theirs] for theirs, mine in names.items()} == {
        mine: record[mine] for mine in names.values()}
    headers = read("cloudevents-binary.headers.json")
    assert headers.pop("content-type") == "application/json"
    assert headers == {f"ce_{name}": structured[name] for name in ["specversion", "id", "source", *list(names)[1:]]}
    assert read("cloudevents-binary.json") == read("debezium-outbox.json") == record["payload"]
    headers = read("debezium-outbox.headers.json")
    assert headers.pop("id") == record["eventId"]
    assert headers == {name: record[name] for name in ["eventType", "occurredAt", "accountId"]}


# MARK: The topics' description

def references(value):
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "$ref":
                yield inner
            elif name != "examples":
                yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_asyncapi_is_one():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from asyncapi3.models.asyncapi import AsyncAPI3
    AsyncAPI3.model_validate(ASYNCAPI)


def test_asyncapi_points_at_what_is_there():
    for reference in references(ASYNCAPI):
        if reference.startswith("#/"):
            pointed(reference)
        else:
            assert reference.startswith("./schemas/") and (CONFIG / reference).exists(), reference
    used = {message["$ref"] for channel in ASYNCAPI["channels"].values() for message in channel["messages"].values()}
    assert used == {f"#/components/messages/{name}" for name in ASYNCAPI["components"]["messages"]}
    named = {reference for reference in references(ASYNCAPI) if reference.startswith("./schemas/")}
    assert named == {f"./schemas/{name}" for name in SCHEMAS} - {"./schemas/deferred.json"}, "every schema has a place"


def test_asyncapi_has_every_topic_and_each_is_read_or_written():
    assert set(CHANNELS) == set(TOPICS.values()) | {"webhooks." + topic for topic in OWN_TOPICS}
    done = {name: set() for name in ASYNCAPI["channels"]}
    for operation in ASYNCAPI["operations"].values():
        name = operation["channel"]["$ref"].removeprefix("#/channels/")
        done[name].add(operation["action"])
        assert operation["messages"] and all(
            pointed(message["$ref"]) and message["$ref"].startswith(f"#/channels/{name}/messages/")
            for message in operation["messages"])
    for name, actions in done.items():
        if name.startswith("learnault-"):
            assert actions == {"receive"}, name
        else:
            assert actions == ({"send"} if name == "dead-letters" else {"send", "receive"}), name


@pytest.mark.parametrize("event_type", [name for name in MAPPED if name != "webhook.disabled"])
def test_asyncapi_shows_each_domain_event_on_its_topic(event_type):
    name = sample(event_type)["eventType"]
    assert name == "".join(word.capitalize() for word in event_type.split("."))
    assert name in CHANNELS[topic_of(event_type)]["messages"]
    example, = ASYNCAPI["components"]["messages"][name]["examples"]
    assert example["payload"] == sample(event_type)
    record = Record(topic_of(event_type), 0, 0, b"entity", sample_text(event_type).encode(), {}, 0)
    assert [name for name, against in judged(record).items() if not against] == [name]


# MARK: A run

def produce_everything(world, account):
    """Everything that makes a record: all 22 types, a webhook that fails, one that goes, records and a command that are wrong."""
    good = account.register(world.receiver.url("/good"), "*", description="hears of everything")
    bad = account.register(world.receiver.url("/bad"), "user.created")
    gone = account.register(world.receiver.url("/gone"), "user.deleted")
    world.receiver.script("/bad", [500])
    assert account.call("DELETE", f"/v1/webhooks/{gone['id']}").status_code == 204
    for event_type in MAPPED:
        if event_type != "webhook.disabled":
            world.backend.send(topic_of(event_type), sample(event_type, account.id), key=b"entity", tag=event_type)
    world.backend.send("learnault.modules", b"not JSON", key=b"entity")
    world.backend.send("learnault.modules", {**sample("module.started"), "accountId": None}, key=b"entity")
    world.backend.flush()  # all at once, so that some have to wait for the rate
    order = {"id": "cmd_" + "0" * 24, "type": "webhook.delete", "accountId": account.id,
             "at": "2024-01-15T10:00:00.000Z", "webhookId": gone["id"]}
    assert faults("commands", order) == []
    world.backend.put("webhooks.commands", order, key=account.id.encode())
    assert account.call("POST", f"/v1/webhooks/{good['id']}/test", {"event": "webhook.test"}).status_code == 202
    until(lambda: account.webhook(bad["id"])["isActive"] is False, 30, "the failing webhook disabled")
    world.wait_records("emails", lambda record: record.json["template"] == "webhook-disabled")
    assert account.call("PATCH", f"/v1/webhooks/{bad['id']}", {"isActive": True}).status_code == 200
    world.wait_records("results", lambda record: record.json.get("commandId") == order["id"])
    erased = world.account()
    assert world.bridges[0].command("accounts", "delete", arguments=["--account", erased.id]).returncode == 0
    got = until(lambda: len(got := {json.loads(delivery.body)["type"]: delivery.body
                                    for delivery in world.receiver.at("/good")}) == len(DOCUMENTED) and got, 30,
                lambda: f"22 types, there are {sorted(delivery.body for delivery in world.receiver.at('/good'))}")
    world.wait_drained("deliver", "webhooks.deliveries")
    world.wait_drained("deliver", "webhooks.deferred")
    return got


def test_records_fit_the_schemas_of_their_topics(world, account):
    bodies = produce_everything(world, account)
    for event_type in DOCUMENTED:
        assert faults(event_type, json.loads(bodies[event_type])) == []
    seen = set()
    for topic in OWN_TOPICS:
        records = world.dump(topic)
        assert records, f"nothing on {topic}"
        for record in records:
            verdicts = judged(record)
            fits = [name for name, against in verdicts.items() if not against]
            assert len(fits) == 1, f"{topic}: fits {fits}: {record} {verdicts}"
            seen.add((topic, fits[0]))
            if record.value is not None and topic != "dead-letters" and fits != ["epoch-marker"]:
                assert faults(topic, record.json) == [], record
    # Which types had to wait for the rate is left to chance.
    expected = {(topic, name) for topic in OWN_TOPICS if topic != "deferred"
                for name in CHANNELS["webhooks." + topic]["messages"]}
    assert {(topic, name) for topic, name in seen if topic != "deferred"} == expected
    assert {record.json["type"] for record in world.dump("notices")} == {"webhook.disabled", "webhook.enabled"}
    attempts = [record.json for record in world.dump("attempts")]
    assert {attempt["status"] for attempt in attempts} == {"delivered", "failed"}
    assert {(attempt["eventType"], attempt["purpose"]) for attempt in attempts} == {
        (event_type, "test" if event_type == "webhook.test" else "delivery") for event_type in DOCUMENTED}
    assert {record.json["status"] for record in world.dump("results") if record.key != b"epoch"} == {
        "applied", "refused"}


def test_the_topics_are_made_as_described(world):
    counts = partitions(world.broker.bootstrap)
    admin = AdminClient({"bootstrap.servers": world.broker.bootstrap, "log_level": 0})
    wanted = [ConfigResource(ConfigResource.Type.TOPIC, "webhooks." + topic) for topic in OWN_TOPICS]
    for resource, future in admin.describe_configs(wanted).items():
        described = CHANNELS[resource.name]["bindings"]["kafka"]
        # Described are the default 16; the tests' bridge has fewer.
        assert counts[resource.name] == max(1, described["partitions"] * PARTITIONS // 16), resource.name
        actual = future.result(timeout=10)
        for name, value in described["topicConfiguration"].items():
            text = ",".join(value) if isinstance(value, list) else str(value)
            assert actual[name].value == text, f"{resource.name}: {name}"
        if described["topicConfiguration"]["cleanup.policy"] == ["compact"]:
            # An hour to write again what a superseded registry has written; a day until what was erased is gone.
            assert actual["min.compaction.lag.ms"].value == "3600000"
            assert actual["max.compaction.lag.ms"].value == "86400000"
