"""Records that the broker deletes before they were read: nobody can bring them back, but nobody is left in the dark."""
import json

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from harness.events import completed_modules
from harness.metrics import Metrics
from harness.waiting import until

TOPIC = "learnault.modules"


def test_a_position_below_the_logs_start_is_logged_and_counted(make_world):
    world = make_world("noida")
    bridge = world.run()
    account = world.account()
    account.register(world.receiver.url("/hook"), "module.completed")

    def produce(count):
        events = list(completed_modules(account.id, count))
        for identifier, record in events:
            world.backend.send(TOPIC, record, key=b"always the same partition", tag=identifier)
        world.backend.flush()
        return [identifier for identifier, _ in events]

    first = produce(3)
    until(lambda: world.receiver.accepted_ids("/hook") == set(first), 20, "delivered")
    world.wait_drained("translate", TOPIC)
    assert Metrics(bridge)("records_lost_total", role="translate") == 0
    bridge.stop()
    behind = produce(7)
    _, partition, offset = world.backend.acknowledged[behind[4]].rsplit("/", 2)
    admin = AdminClient({"bootstrap.servers": world.broker.bootstrap, "log_level": 0})
    for future in admin.delete_records([TopicPartition(TOPIC, int(partition), int(offset))]).values():
        future.result(timeout=10)
    bridge.run()
    until(lambda: world.receiver.accepted_ids("/hook") == {*first, *behind[4:]}, 20, "what is left delivered")
    assert Metrics(bridge)("records_lost_total", role="translate") == 4
    said, = [entry for entry in map(json.loads, bridge.log.splitlines())
             if entry["message"] == "records were deleted before they were read"]
    assert said["level"] == "error" and said["topic"] == TOPIC and said["count"] == 4 and said["role"] == "translate"
