"""`webhook-bridge dead-letters`: finding letters, looking into them, and sending them again after a fix."""
import json
import shutil
import time
import uuid

import pytest
from confluent_kafka import Producer

from harness.bridge import Bridge
from harness.events import delivery_id, domain_record, event_id
from harness.kafka import partitions
from harness.paths import MAPPINGS
from harness.waiting import until
from harness.world import World

TOPIC = "learnault.modules"
PAYLOAD_BYTES = 4096
# What an old mapping file says where the new one says /payload/module/title.
OLD_PATH, NEW_PATH = "/payload/module/name", "/payload/module/title"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A bridge whose mapping of modules looks for the title in the wrong place, and a configuration with a mended one."""
    directory = tmp_path_factory.mktemp("letters")
    world = World(directory, limits={"payloadBytes": PAYLOAD_BYTES}, retry={"timeScale": 0.00001},
                  mappings=str(directory / "broken"))
    broken, mended = directory / "broken", directory / "mended"
    for folder in (broken, mended):
        shutil.copytree(MAPPINGS, folder)
    file = broken / f"{TOPIC}.json5"
    text = file.read_text()
    assert NEW_PATH in text
    file.write_text(text.replace(NEW_PATH, OLD_PATH))
    try:
        world.run()
        # Never started: its file is what the commands read.
        world.mended = world.bridge("mended", mappings=str(mended))
        yield world
    finally:
        world.close()


def module(account, **more):
    record = domain_record("module.completed", account.id, str(uuid.uuid4()))
    record.update(more)
    return record


def letter_of(world, origin):
    letter, = world.wait_records("dead-letters", lambda record: record.headers.get("origin") == origin)
    return letter


def place(letter):
    return f"{letter.partition}/{letter.offset}"


def letters(bridge, *words, arguments=(), code=0, **options):
    result = bridge.command("dead-letters", *words, arguments=arguments, **options)
    assert result.returncode == code, (result.stdout, result.stderr)
    return result


def listed(bridge, *arguments):
    output = letters(bridge, "list", arguments=[*arguments, "--json"]).stdout
    return [json.loads(line) for line in output.splitlines()]


def delivered(world):
    """Everything that ever was on `deliveries`."""
    return {(record.headers["event-id"], record.headers["delivery-id"]) for record in world.dump("deliveries")}


def test_a_letter_keeps_all_of_its_record(world, account):
    value = json.dumps(module(account)).encode()
    headers = [("binary", bytes(range(256))), ("twice", b"1"), ("empty", b""), ("none", None), ("twice", b"2")]
    key = b"key \x00\xff"
    origin = world.backend.put(TOPIC, value, key=key, headers=headers)
    letter = letter_of(world, origin)
    assert letter.value == value
    assert letter.key.decode() == TOPIC
    own = [(name.removeprefix("source."), value) for name, value in letter.raw_headers if name.startswith("source.")]
    assert own == headers, "bytes, empty and missing values, and the order of names that occur twice"
    assert dict(letter.raw_headers)["source-key"] == key
    assert int(letter.headers["source-timestamp"]) > 0
    assert letter.headers["reason"] == "unmappable"
    message = letter.headers["message"]
    for part in (f"{TOPIC}.json5", "ModuleCompleted", OLD_PATH, "expected a string", "came nothing"):
        assert part in message, f"{part} in {message}"
    # Looking into it shows all that, and the bytes as they are.
    shown = letters(world.mended, "show", place(letter), text=False).stdout
    assert shown.endswith(b"\n\n" + value + b"\n")
    assert f"origin: {origin}\n".encode() in shown and b"source.none: (no value)\n" in shown
    assert b"\\xff" in shown and b"\x00" not in shown, "what is no text is escaped"
    assert letters(world.mended, "show", place(letter), arguments=["--value"], text=False).stdout == value


def test_a_list_finds_letters_and_shows_no_payload(world, account):
    origins = [world.backend.put(TOPIC, module(account)) for _ in range(3)]
    other = world.backend.put("learnault.users", b"{")
    for origin in [*origins, other]:
        letter_of(world, origin)
    every = listed(world.mended, "--limit", "1000")
    found = {letter["origin"]: letter for letter in every}
    assert set(origins) | {other} <= set(found)
    assert [letter["writtenAt"] for letter in every] == sorted(letter["writtenAt"] for letter in every), "newest last"
    assert found[other]["reason"] == "unmappable" and found[other]["bytes"] == 1
    assert place(letter_of(world, other)) == found[other]["letter"]
    of_topic = listed(world.mended, "--topic", "learnault.users", "--since", "1h", "--reason", "unmappable")
    assert other in {letter["origin"] for letter in of_topic}
    assert {letter["origin"].split("/")[0] for letter in of_topic} == {"learnault.users"}
    assert listed(world.mended, "--since", "2999-01-01T00:00:00Z") == []
    assert listed(world.mended, "--event", "evt_" + 24 * "0") == []
    assert len(listed(world.mended, "--limit", "2")) == 2
    text = letters(world.mended, "list", arguments=["--limit", "1000"]).stdout
    lines = text.splitlines()
    assert len([line for line in lines if any(f"  {origin}  " in line for origin in origins)]) == 3
    assert lines[-1].startswith(f"{len(every)} letters: ") and " unmappable" in lines[-1]
    assert "userEmail" not in text and "@" not in text, "no payload"


def test_a_mended_mapping_delivers_what_was_lettered(world, account):
    webhook = account.register(world.receiver.url("/mended"), "module.completed")
    record = module(account)
    value = json.dumps(record).encode()
    origin = world.backend.put(TOPIC, value, headers=[("traceparent", b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01")])
    letter = letter_of(world, origin)
    before = delivered(world)
    # The broken mapping still refuses it: its reason again, exit code 1, nothing sent, and no letter of the letter.
    ends = len(world.dump("dead-letters"))
    failed = letters(world.bridges[0], "retry", place(letter), code=1)
    assert OLD_PATH in failed.stderr
    assert failed.stdout.strip() == "0 translated into 0 deliveries, 0 passed over, 1 failed"
    tried = letters(world.mended, "retry", place(letter), arguments=["--dry-run"])
    assert f"{place(letter)}  {origin}  would be sent as 1 delivery\n" in tried.stdout
    assert "1 translated into 1 delivery" in tried.stdout
    assert delivered(world) == before
    assert len(world.dump("dead-letters")) == ends
    # What `show --value` writes is what `mapping try` reads.
    original = letters(world.mended, "show", place(letter), arguments=["--value"]).stdout
    body = letters_of_mapping(world.mended, original)
    # Twice: the same ids.
    identifier = event_id(TOPIC, record["eventId"], "module.completed")
    for count in (1, 2):
        sent = letters(world.mended, "retry", place(letter))
        assert sent.stdout.splitlines() == [
            f"{place(letter)}  {origin}  sent as 1 delivery",
            "1 translated into 1 delivery, 0 passed over, 0 failed"]
        until(lambda: len(world.receiver.at("/mended")) == count, 20, "the delivery")
    first, second = world.receiver.at("/mended")
    assert first.event_id == second.event_id == identifier
    assert first.body == second.body == body.encode()
    assert first.signed_with(webhook["signingSecret"])
    names = {delivery.headers["x-learnault-delivery"].partition(".")[0] for delivery in (first, second)}
    assert names == {delivery_id(identifier, webhook["id"])}
    made = [each for each in world.dump("deliveries") if each.headers["event-id"] == identifier]
    assert {each.headers["origin"] for each in made} == {origin}
    assert all(each.headers["traceparent"].startswith("00-a") for each in made), "from the record's own header"


def letters_of_mapping(bridge, record):
    result = bridge.command("mapping", "try", arguments=["--topic", TOPIC], stdin=record)
    assert result.returncode == 0, result.stderr
    return result.stdout.removesuffix("\n")


def test_the_id_of_a_record_without_one_is_its_place(world, account):
    account.register(world.receiver.url("/placed"), "module.completed")
    record = module(account)
    del record["eventId"]
    origin = world.backend.put(TOPIC, record)
    letters(world.mended, "retry", place(letter_of(world, origin)))
    identifier = event_id(TOPIC, origin.partition("/")[2], "module.completed")
    until(lambda: identifier in world.receiver.accepted_ids("/placed"), 20, "the id made from topic, partition and offset")


def test_many_at_once_some_of_which_fail(world):
    account, listening = world.account(), world.account()
    listening.register(world.receiver.url("/many/1"), "module.completed")
    listening.register(world.receiver.url("/many/2"), "*")
    good = [module(listening) for _ in range(3)]
    nobody = module(account)
    for record in [*good, nobody]:
        world.backend.send(TOPIC, record, tag=record["eventId"])
    bad = module(listening)
    del bad["payload"]["attempt"]
    world.backend.send(TOPIC, bad, tag=bad["eventId"])
    world.backend.flush()
    wanted = [place(letter_of(world, world.backend.acknowledged[record["eventId"]])) for record in [*good, nobody, bad]]
    result = letters(world.mended, "retry", *wanted, code=1)
    assert result.stdout.splitlines()[-1] == (
        "3 translated into 6 deliveries, 1 passed over, 1 failed")
    assert f"{wanted[-1]}  " in result.stderr and "score" in result.stderr
    expected = {event_id(TOPIC, record["eventId"], "module.completed") for record in good}
    for path in ("/many/1", "/many/2"):
        until(lambda: world.receiver.accepted_ids(path) == expected, 20, f"three at {path}")
    everything = letters(world.mended, "retry", "--all", code=1, arguments=["--dry-run", "--topic", TOPIC])
    assert everything.stdout.splitlines()[-1].startswith("dry run, nothing was sent: ")


def test_nobody_gets_a_record_older_than_the_webhook(world, account):
    # Six minutes before now, by the time of the record.
    producer = Producer({"bootstrap.servers": world.broker.bootstrap, "log_level": 2})
    places = []
    producer.produce(TOPIC, json.dumps(module(account)), timestamp=int((time.time() - 360) * 1000),
                     on_delivery=lambda error, message: places.append(
                         f"{message.topic()}/{message.partition()}/{message.offset()}"))
    assert producer.flush(20) == 0
    origin, = places
    letter = letter_of(world, origin)
    account.register(world.receiver.url("/young"), "module.completed")
    result = letters(world.mended, "retry", place(letter))
    assert result.stdout.splitlines()[-1] == (
        "0 translated into 0 deliveries, 1 passed over, 0 failed")


def test_too_large_and_far_too_large(world, account):
    account.register(world.receiver.url("/large"), "module.completed")
    large = module(account)
    large["payload"]["module"]["name"] = large["payload"]["module"]["title"] = "x" * PAYLOAD_BYTES
    origin = world.backend.put(TOPIC, large)
    letter = letter_of(world, origin)
    assert letter.headers["reason"] == "too large" and letter.value == json.dumps(large).encode()
    assert letter.headers["event-id"] == event_id(TOPIC, large["eventId"], "module.completed")
    assert str(PAYLOAD_BYTES) in letter.headers["message"] and "limits.payloadBytes" in letter.headers["message"]
    again = letters(world.mended, "retry", place(letter), code=1)
    assert "too large" in again.stderr
    # With a higher limit it goes out.
    raised = letters(world.mended, "retry", place(letter), arguments=["--set", "limits.payloadBytes=100000"])
    assert "sent as 1 delivery" in raised.stdout
    identifier = event_id(TOPIC, large["eventId"], "module.completed")
    until(lambda: identifier in world.receiver.accepted_ids("/large"), 20, "the large one")

    larger = module(account)
    larger["payload"]["module"]["title"] = "y" * 100_000
    bulky = [(f"h{number}", b"z" * 500) for number in range(80)]
    origin = world.backend.put(TOPIC, larger, key=b"k" * 16_384, headers=bulky)
    letter = letter_of(world, origin)
    whole = json.dumps(larger).encode()
    assert letter.value == whole[:65_536] and letter.headers["size"] == str(len(whole))
    kept = [name for name, _ in letter.raw_headers if name.startswith("source.")]
    assert kept == [f"source.h{number}" for number in range(64)]
    assert letter.headers["source-headers-left-out"] == "16"
    assert dict(letter.raw_headers)["source-key"] == b"k" * 16_384
    refused = letters(world.mended, "retry", place(letter), code=1)
    assert f"only 65536 of its {len(whole)} bytes were kept; the record itself is {origin}" in refused.stderr
    assert next(each for each in listed(world.mended) if each["origin"] == origin)["originalBytes"] == len(whole)


def test_a_delivery_that_was_given_up_is_sent_again(world, account):
    webhook = account.register(world.receiver.url("/spent"), "user.created")
    world.receiver.script("/spent", [500])
    record = domain_record("user.created", account.id, str(uuid.uuid4()))
    world.backend.put("learnault.users", record)
    letter, = world.wait_records(
        "dead-letters", lambda record: record.headers.get("webhook-id") == webhook["id"], timeout=60)
    assert letter.headers["reason"] == "retries spent"
    entry, = listed(world.mended, "--webhook", webhook["id"])
    assert entry["eventType"] == "user.created" and entry["attempt"] == 9 and entry["letter"] == place(letter)
    until(lambda: account.webhook(webhook["id"])["isActive"] is False, 20, "the webhook disabled")
    refused = letters(world.mended, "retry", place(letter), code=1)
    assert f"webhook {webhook['id']} is inactive" in refused.stderr

    world.receiver.script("/spent", [200])
    assert account.call("PATCH", f"/v1/webhooks/{webhook['id']}", {"isActive": True}).status_code == 200
    sent = letters(world.mended, "retry", "--all", arguments=["--webhook", webhook["id"], "--reason", "retries-spent"])
    assert sent.stdout.splitlines() == [
        f"{place(letter)}  {webhook['id']}  sent again",
        "0 translated into 0 deliveries, 0 passed over, 0 failed, 1 given-up delivery sent again"]
    last = until(lambda: [each for each in world.receiver.at("/spent") if each.accepted], 20, "the tenth POST")[0]
    assert last.attempt == 1, "all its retries again"
    assert last.body == letter.value and last.event_id == event_id(
        "learnault.users", record["eventId"], "user.created")
    assert last.headers["x-learnault-delivery"] == delivery_id(
        last.event_id, webhook["id"], f"dead-letters/{place(letter)}") + ".1"

    assert account.call("DELETE", f"/v1/webhooks/{webhook['id']}").status_code == 204
    gone = letters(world.mended, "retry", place(letter), code=1)
    assert f"webhook {webhook['id']} is gone" in gone.stderr


def test_a_letter_that_is_not_there(world):
    count = partitions(world.broker.bootstrap)["webhooks.dead-letters"]
    assert "0 to 3" in letters(world.mended, "show", f"{count}/0", code=1).stderr
    assert "there is no letter" in letters(world.mended, "show", "0/999999", code=1).stderr


def test_no_broker(make_world, tmp_path):
    alone = Bridge(tmp_path / "alone", "127.0.0.1:1")
    result = alone.command("dead-letters", "list", timeout=40)
    assert result.returncode == 1 and "no broker answers at 127.0.0.1:1" in result.stderr
