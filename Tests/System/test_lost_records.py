"""Records that the broker deletes before they were read: nobody can bring them back, but nobody is left in the dark."""
import json
import os
import signal

from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from harness.events import completed_modules
from harness.metrics import Metrics
from harness.waiting import until

TOPIC = "learnault.modules"


KEY = b"always the same partition"


def produce(world, account, count):
    events = list(completed_modules(account.id, count))
    for identifier, record in events:
        world.backend.send(TOPIC, record, key=KEY, tag=identifier)
    world.backend.flush()
    return [identifier for identifier, _ in events]


def delete_before(world, identifier):
    """Deletes the records before that of an event."""
    _, partition, offset = world.backend.acknowledged[identifier].rsplit("/", 2)
    admin = AdminClient({"bootstrap.servers": world.broker.bootstrap, "log_level": 0})
    for future in admin.delete_records([TopicPartition(TOPIC, int(partition), int(offset))]).values():
        future.result(timeout=10)


def losses(bridge):
    """What the log says of them."""
    return [entry for entry in map(json.loads, bridge.log.splitlines())
            if entry["message"] == "records were deleted before they were read"]


def test_a_position_below_the_logs_start_is_logged_and_counted(make_world):
    world = make_world("noida")
    bridge = world.run()
    account = world.account()
    account.register(world.receiver.url("/hook"), "module.completed")
    first = produce(world, account, 3)
    until(lambda: world.receiver.accepted_ids("/hook") == set(first), 20, "delivered")
    world.wait_drained("translate", TOPIC)
    assert Metrics(bridge)("records_lost_total", role="translate") == 0
    bridge.stop()
    behind = produce(world, account, 7)
    delete_before(world, behind[4])
    bridge.run()
    until(lambda: world.receiver.accepted_ids("/hook") == {*first, *behind[4:]}, 20, "what is left delivered")
    assert Metrics(bridge)("records_lost_total", role="translate") == 4
    said, = losses(bridge)
    assert said["level"] == "error" and said["topic"] == TOPIC and said["count"] == 4 and said["role"] == "translate"


def test_a_position_that_falls_below_the_logs_start_while_it_runs_is_logged_and_counted(make_world):
    """The topic is kept shorter than the role stands still."""
    world = make_world("noida")
    bridge = world.run()
    account = world.account()
    account.register(world.receiver.url("/hook"), "module.completed")
    first = produce(world, account, 3)
    until(lambda: world.receiver.accepted_ids("/hook") == set(first), 20, "delivered")

    # Transactions leave offsets without a record, which are nobody's loss.
    producer = Producer({"bootstrap.servers": world.broker.bootstrap, "transactional.id": "backend", "log_level": 0})
    producer.init_transactions(10)
    marked = []
    for identifier, record in completed_modules(account.id, 3):
        producer.begin_transaction()
        producer.produce(TOPIC, json.dumps(record).encode(), key=KEY)
        producer.commit_transaction(10)
        marked.append(identifier)
    # What is counted are offsets: the last marker is not to be among those that are deleted.
    marked += produce(world, account, 1)
    until(lambda: world.receiver.accepted_ids("/hook") == {*first, *marked}, 20, "those of transactions delivered")

    os.kill(bridge.pid, signal.SIGSTOP)
    try:
        behind = [identifier for _ in range(20) for identifier in produce(world, account, 1)]
        delete_before(world, behind[15])
    finally:
        os.kill(bridge.pid, signal.SIGCONT)
    until(lambda: world.receiver.accepted_ids("/hook") >= {*first, *marked, *behind[15:]}, 30, "what is left delivered")
    world.wait_drained("translate", TOPIC)
    # A fetch that was under way may have brought the first of them.
    missing = len(set(behind) - world.receiver.accepted_ids("/hook"))
    assert missing > 0
    until(lambda: Metrics(bridge)("records_lost_total", role="translate") == missing, 10,
          lambda: f"{missing} counted: {Metrics(bridge)('records_lost_total', role='translate')} {losses(bridge)}")
    said, = losses(bridge)
    assert said["level"] == "error" and said["topic"] == TOPIC and said["count"] == missing
    assert said["role"] == "translate"
