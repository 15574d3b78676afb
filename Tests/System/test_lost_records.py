"""Records that the broker deletes before they were read: nobody can bring them back, but nobody is left in the dark."""
import json
import os
import signal
from collections import Counter

from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from harness.events import completed_modules
from harness.kafka import Backend, partitions
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


def delivering(make_world, count):
    """A bridge that has delivered so many events: (world, bridge, account, their ids)."""
    world = make_world("noida")
    bridge = world.run()
    account = world.account()
    account.register(world.receiver.url("/hook"), "module.completed")
    first = produce(world, account, count)
    until(lambda: world.receiver.accepted_ids("/hook") == set(first), 20, "delivered")
    return world, bridge, account, first


def test_a_position_below_the_logs_start_is_logged_and_counted(make_world):
    world, bridge, account, first = delivering(make_world, 3)
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


def test_what_is_lost_is_told_once(make_world):
    """Nothing comes behind it, so that no record is finished and no offset stored because of one."""
    world, bridge, account, first = delivering(make_world, 3)
    world.wait_drained("translate", TOPIC)
    bridge.stop()
    last = produce(world, account, 5)[-1]
    _, partition, offset = world.backend.acknowledged[last].rsplit("/", 2)
    admin = AdminClient({"bootstrap.servers": world.broker.bootstrap, "log_level": 0})
    for future in admin.delete_records([TopicPartition(TOPIC, int(partition), int(offset) + 1)]).values():
        future.result(timeout=10)
    bridge.run()
    until(lambda: Metrics(bridge)("records_lost_total", role="translate") == 5, 20, "five are lost")
    bridge.stop()
    bridge.run()
    after = produce(world, account, 1)
    until(lambda: world.receiver.accepted_ids("/hook") == {*first, *after}, 20, "what comes after it")
    assert Metrics(bridge)("records_lost_total", role="translate") == 0


def test_a_topic_that_is_made_again_is_read_from_its_beginning(make_world):
    """Its new records have offsets that were read before."""
    world, bridge, account, first = delivering(make_world, 30)
    world.wait_drained("translate", TOPIC)
    count = partitions(world.broker.bootstrap)[TOPIC]
    admin = AdminClient({"bootstrap.servers": world.broker.bootstrap, "log_level": 0})
    for future in admin.delete_topics([TOPIC]).values():
        future.result(timeout=10)
    for future in admin.create_topics([NewTopic(TOPIC, num_partitions=count)]).values():
        future.result(timeout=10)
    world.backend = Backend(world.broker.bootstrap)  # the one before numbers what the old topic had
    again = produce(world, account, 4)
    until(lambda: world.receiver.accepted_ids("/hook") == {*first, *again}, 60, "the new topic's records")
    assert "the log begins anew at a lower offset" in bridge.log
    world.wait_drained("translate", TOPIC)
    bridge.stop()
    bridge.run()
    more = produce(world, account, 2)
    until(lambda: world.receiver.accepted_ids("/hook") == {*first, *again, *more}, 30, "and those after a restart")
    got = Counter(delivery.event_id for delivery in world.receiver.at("/hook"))
    assert set(got.values()) == {1}, "the group knows the lower offset: a restart repeats nothing"


def test_a_position_that_falls_below_the_logs_start_while_it_runs_is_logged_and_counted(make_world):
    """The topic is kept shorter than the role stands still."""
    world, bridge, account, first = delivering(make_world, 3)

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
