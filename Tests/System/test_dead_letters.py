"""Records that cannot be mapped: each is one dead letter with its reason, and the partition goes on."""
import json

import pytest

from harness.events import domain_record, event_id
from harness.waiting import until


def without(record, *path):
    inner = record
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return record


def changed(record, value, *path):
    inner = record
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return record


def module(account):
    return domain_record("module.completed", account.id)


POISON = {
    "not JSON": lambda account: b'{"eventId": "1", ',
    "not UTF-8": lambda account: b'{"eventId": "\xff\xfe"}',
    "not an object": lambda account: b"[1, 2, 3]",
    "empty": lambda account: b"",
    "unknown type": lambda account: json.dumps(changed(module(account), "ModuleVanished", "eventType")).encode(),
    "no type": lambda account: json.dumps(without(module(account), "eventType")).encode(),
    "a field missing": lambda account: json.dumps(without(module(account), "payload", "module", "title")).encode(),
    "a field of the wrong kind": lambda account: json.dumps(
        changed(module(account), {"a": 1}, "payload", "attempt", "score")).encode(),
    "no account": lambda account: json.dumps(without(module(account), "accountId")).encode(),
    "an integer beyond 64 bits": lambda account: json.dumps(
        changed(module(account), 10 ** 30, "payload", "attempt", "score")).encode(),
    "a lone surrogate": lambda account: json.dumps(
        changed(module(account), "\ud800", "payload", "module", "title")).encode(),
}


@pytest.mark.parametrize("name", POISON)
def test_poison_is_a_dead_letter_and_the_partition_goes_on(world, account, name):
    path = "/after/" + name.replace(" ", "-")
    account.register(world.receiver.url(path), "module.completed")
    poison = POISON[name](account)
    origin = world.backend.put("learnault.modules", poison, key=b"same partition")
    good = domain_record("module.completed", account.id, f"after {name}")
    world.backend.put("learnault.modules", good, key=b"same partition")

    letters = world.wait_records("dead-letters", lambda record: record.headers.get("origin") == origin)
    letter, = letters
    assert letter.value == poison, "the original bytes"
    assert letter.key.decode() == "learnault.modules"
    assert letter.headers["reason"], "a reason a person can act on"
    identifier = event_id("learnault.modules", good["eventId"], "module.completed")
    until(lambda: identifier in world.receiver.accepted_ids(path), 15, "the record behind the poison")
    assert world.receiver.accepted_ids(path) == {identifier}


def test_reasons_name_what_is_wrong(world, account):
    origin = world.backend.put("learnault.modules", POISON["a field missing"](account))
    letter, = world.wait_records("dead-letters", lambda record: record.headers.get("origin") == origin)
    assert "/payload/module/title" in letter.headers["reason"] + letter.headers.get("message", "")


def test_a_record_without_a_value_is_skipped(world, account):
    account.register(world.receiver.url("/tombstone"), "module.completed")
    origin = world.backend.put("learnault.modules", None, key=b"tombstone")
    good = domain_record("module.completed", account.id, "after a tombstone")
    world.backend.put("learnault.modules", good, key=b"tombstone")
    identifier = event_id("learnault.modules", good["eventId"], "module.completed")
    until(lambda: identifier in world.receiver.accepted_ids("/tombstone"), 15, "the record behind the tombstone")
    assert not [record for record in world.dump("dead-letters") if record.headers.get("origin") == origin]
