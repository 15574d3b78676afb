"""SIGHUP: changed mapping files are taken up under way, without losing or repeating a record."""
import json
import shutil
import threading
import time
import uuid

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from harness.events import domain_record, event_id
from harness.metrics import Metrics
from harness.paths import MAPPINGS
from harness.waiting import until
from harness.world import World

TOPIC = "learnault.modules"
ADDED_TOPIC = "shop.orders"
ADDED = """
{ topic: "shop.orders", envelope: "plain", type: "/kind", id: "/id", created: "/at",
  audience: { account: "/account" }, otherwise: "dead-letter",
  events: { Ordered: { type: "user.created", data: {
      userId: "/user", email: "/mail", createdAt: { from: "/at", kind: "time" } } } } }
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    directory = tmp_path_factory.mktemp("reload")
    shutil.copytree(MAPPINGS, directory / "mappings")
    world = World(directory, mappings=str(directory / "mappings"), limits={"eventsPerSecond": 0})
    world.mappings = directory / "mappings"
    world.original = (world.mappings / f"{TOPIC}.json5").read_text()
    try:
        world.run()
        yield world
    finally:
        world.close()


@pytest.fixture
def file(world):
    """The mapping of the stream's topic, as it was before and will be after the test."""
    path = world.mappings / f"{TOPIC}.json5"
    yield path
    path.write_text(world.original)
    reload(world, "mappings were taken up")


class Stream:
    """Sends records of module.completed without a pause until it is left, and knows their event ids."""

    def __init__(self, world, account):
        self.world, self.account = world, account
        self.ids = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        while not self._stop.is_set() and len(self.ids) < 20_000:
            domain_id = str(uuid.uuid4())
            record = domain_record("module.completed", self.account.id, domain_id)
            self.world.backend.send(TOPIC, record, tag=domain_id)
            self.ids.append(event_id(TOPIC, domain_id, "module.completed"))
            time.sleep(0.002)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        self.world.backend.flush()


def entries(world, message):
    return [entry for entry in map(json.loads, world.bridges[0].log.splitlines()) if entry["message"] == message]


def reload(world, message):
    """SIGHUP; returns what the log says of it."""
    before = len(entries(world, message))
    world.bridges[0].reload()
    return until(lambda: entries(world, message)[before:], 10, f"'{message}' in the log")


def assert_each_once(world, path, stream):
    until(lambda: len(world.receiver.accepted_ids(path)) >= len(stream.ids), 60,
          lambda: f"{len(stream.ids)} at {path}, there are {len(world.receiver.accepted_ids(path))}")
    world.wait_drained("deliver", "webhooks.deliveries")
    deliveries = world.receiver.at(path)
    assert {delivery.event_id for delivery in deliveries} == set(stream.ids), "none lost"
    assert len(deliveries) == len(stream.ids), "none twice"
    return deliveries


def under_way(world, path, count):
    until(lambda: len(world.receiver.at(path)) >= count, 30, f"{count} deliveries at {path}")


def test_a_changed_file_is_taken_up_between_two_records(world, account, file):
    account.register(world.receiver.url("/changed"), "module.completed")
    with Stream(world, account) as stream:
        under_way(world, "/changed", 50)
        # Both are paths of the sample record; the title is a text everywhere, and so is the id.
        file.write_text(world.original.replace('"/payload/module/title"', '"/payload/module/id"'))
        reload(world, "mappings were taken up")
        seen = len(world.receiver.at("/changed"))
        under_way(world, "/changed", seen + 200)
    deliveries = assert_each_once(world, "/changed", stream)
    titles = {json.loads(delivery.body)["data"]["moduleTitle"] for delivery in deliveries}
    sample = domain_record("module.completed", account.id)["payload"]["module"]
    assert titles == {sample["title"], sample["id"]}, "translated by the old file, then by the new one"


def test_a_broken_file_is_refused_and_the_old_mapping_stays(world, account, file):
    account.register(world.receiver.url("/kept"), "module.completed")
    with Stream(world, account) as stream:
        under_way(world, "/kept", 20)
        file.write_text(world.original.replace('/score", kind: "integer"', '/score", kind: "integr"', 1))
        fault, = reload(world, "mapping file has a fault")
        assert fault["level"] == "error"
        assert fault["path"].endswith(f"{TOPIC}.json5")
        assert fault["key"] == "events.ModuleCompleted.data.score.kind"
        assert fault["reason"].startswith("must be one of any, string, integer")
        assert until(lambda: entries(world, "mappings were not taken up; the old ones stay"), 10, "the refusal")
        assert Metrics(world.bridges[0])("mapping_reloads_total", result="refused") == 1
        seen = len(world.receiver.at("/kept"))
        under_way(world, "/kept", seen + 100)
    deliveries = assert_each_once(world, "/kept", stream)
    assert len({json.loads(delivery.body)["data"]["moduleTitle"] for delivery in deliveries}) == 1
    assert world.bridges[0].is_ready()


def test_a_new_file_brings_its_topic(world, account):
    account.register(world.receiver.url("/stream"), "module.completed")
    account.register(world.receiver.url("/orders"), "user.created")
    admin = AdminClient({"bootstrap.servers": world.broker.bootstrap, "log_level": 2})
    for made in admin.create_topics([NewTopic(ADDED_TOPIC, num_partitions=2)]).values():
        made.result(10)

    def order(domain_id):
        world.backend.put(ADDED_TOPIC, {
            "kind": "Ordered", "id": domain_id, "at": "2024-01-15T10:30:00Z", "account": account.id, "user": "usr_1",
            "mail": "user@example.com"})
        return event_id(ADDED_TOPIC, domain_id, "user.created")

    with Stream(world, account) as stream:
        under_way(world, "/stream", 50)
        before = order("before the file")
        (world.mappings / f"{ADDED_TOPIC}.json5").write_text(ADDED)
        reload(world, "mappings were taken up")
        after = order("after the file")
        until(lambda: {before, after} <= world.receiver.accepted_ids("/orders"), 60,
              lambda: f"both orders\n{world.bridges[0].log[-3000:]}")
        seen = len(world.receiver.at("/stream"))
        under_way(world, "/stream", seen + 100)
    assert_each_once(world, "/stream", stream)
    assert world.receiver.accepted_ids("/orders") == {before, after}


def test_a_file_that_goes_and_comes_back_loses_nothing(world, account, file):
    """Found by review: what came between the reload and the rebalance was taken for done."""
    account.register(world.receiver.url("/back"), "module.completed")
    with Stream(world, account) as stream:
        under_way(world, "/back", 50)
        file.unlink()
        reload(world, "mappings were taken up")
        sent = len(stream.ids)
        until(lambda: len(stream.ids) >= sent + 100, 30, "records that no mapping reads")
        file.write_text(world.original)
        reload(world, "mappings were taken up")
        under_way(world, "/back", sent + 100)
    until(lambda: set(stream.ids) <= world.receiver.accepted_ids("/back"), 60,
          lambda: f"{len(set(stream.ids) - world.receiver.accepted_ids('/back'))} missing")
