"""A backend that produces and a reader that dumps: both know nothing of the bridge."""
import json
import time
import uuid
from dataclasses import dataclass, field

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition


@dataclass
class Record:
    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: dict
    timestamp: int
    raw_headers: list = field(default_factory=list)  # (name, bytes or None) as they are on the topic, in order

    @property
    def json(self):
        return json.loads(self.value)

    @property
    def origin(self):
        return f"{self.topic}/{self.partition}/{self.offset}"


class Backend:
    """Produces domain records and writes down which of them the broker acknowledged."""

    def __init__(self, bootstrap, **properties):
        self._producer = Producer({
            "bootstrap.servers": bootstrap, "acks": "all", "enable.idempotence": True, "linger.ms": 1, "log_level": 2,
            **{name.replace("_", "."): value for name, value in properties.items()}})
        self.acknowledged = {}
        self.failed = {}

    def send(self, topic, value, key=None, headers=None, tag=None, timestamp=None, partition=None):
        """Produces without waiting; `tag` names the record in `acknowledged`, `timestamp` is in ms, now if not given."""
        if isinstance(value, (dict, list)):
            value = json.dumps(value).encode()

        def report(error, message):
            if error is None:
                self.acknowledged[tag] = f"{message.topic()}/{message.partition()}/{message.offset()}"
            else:
                self.failed[tag] = error

        while True:
            try:
                place = {} if partition is None else {"partition": partition}
                self._producer.produce(topic, value, key, headers=headers, on_delivery=report,
                                       timestamp=0 if timestamp is None else timestamp, **place)
                break
            except BufferError:
                self._producer.poll(0.1)
        self._producer.poll(0)

    def poll(self, timeout=0):
        self._producer.poll(timeout)

    def flush(self, timeout=20):
        left = self._producer.flush(timeout)
        assert left == 0 and not self.failed, f"{left} not acknowledged, {self.failed}"

    def put(self, topic, value, **named):
        """Produces one record, waits for its acknowledgement, returns its topic/partition/offset."""
        tag = named.setdefault("tag", uuid.uuid4().hex)
        self.send(topic, value, **named)
        self.flush()
        return self.acknowledged[tag]


def _consumer(bootstrap, group):
    return Consumer({
        "bootstrap.servers": bootstrap, "group.id": group, "enable.auto.commit": False, "log_level": 2,
        "enable.partition.eof": False, "fetch.wait.max.ms": 20})


def partitions(bootstrap, topic=None):
    """Topic → number of partitions."""
    consumer = _consumer(bootstrap, "system-tests-metadata")
    try:
        topics = consumer.list_topics(topic, timeout=10).topics
        return {name: len(each.partitions) for name, each in topics.items() if each.error is None}
    finally:
        consumer.close()


def dump(bootstrap, *topics, timeout=20):
    """Every record of the topics, from the beginning to the ends as they stand now, with headers as text."""
    consumer = _consumer(bootstrap, f"system-tests-{uuid.uuid4().hex}")
    records = []
    try:
        wanted, assigned = {}, []
        counts = partitions(bootstrap)
        for topic in topics:
            for partition in range(counts.get(topic, 0)):
                low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
                if high > low:
                    wanted[topic, partition] = high
                    assigned.append(TopicPartition(topic, partition, OFFSET_BEGINNING))
        if not wanted:
            return records
        consumer.assign(assigned)
        deadline = time.monotonic() + timeout
        while wanted:
            assert time.monotonic() < deadline, f"not read to the end: {wanted}"
            for message in consumer.consume(1000, timeout=0.1):
                if message.error() is not None:
                    continue
                place = message.topic(), message.partition()
                if message.offset() >= wanted.get(place, 0):
                    wanted.pop(place, None)
                    continue
                headers = {name: (value or b"").decode("utf-8", "replace") for name, value in message.headers() or []}
                records.append(Record(*place, message.offset(), message.key(), message.value(), headers,
                                      message.timestamp()[1], message.headers() or []))
                if message.offset() + 1 >= wanted[place]:
                    wanted.pop(place)
        return records
    finally:
        consumer.close()


def committed(bootstrap, group, topic):
    """Partition → committed offset (None where there is none) and the log's end."""
    consumer = _consumer(bootstrap, group)
    try:
        count = partitions(bootstrap)[topic]
        answers = consumer.committed([TopicPartition(topic, partition) for partition in range(count)], timeout=10)
        result = {}
        for answer in answers:
            _, high = consumer.get_watermark_offsets(TopicPartition(topic, answer.partition), timeout=10)
            result[answer.partition] = (answer.offset if answer.offset >= 0 else None, high)
        return result
    finally:
        consumer.close()


def murmur2(key):
    """Kafka's default partitioner hash, written from its published description; positive 31 bits."""
    mask, multiplier = 0xFFFFFFFF, 0x5BD1E995
    value = (0x9747B28C ^ len(key)) & mask
    whole = len(key) // 4 * 4
    for place in range(0, whole, 4):
        word = int.from_bytes(key[place:place + 4], "little") * multiplier & mask
        word = (word ^ word >> 24) * multiplier & mask
        value = value * multiplier & mask ^ word
    rest = key[whole:]
    if rest:
        value = (value ^ int.from_bytes(rest, "little")) * multiplier & mask
    value = (value ^ value >> 13) * multiplier & mask
    return (value ^ value >> 15) & 0x7FFFFFFF
