"""What 50,000 parked retries cost: `parked`. The memory of a bridge before and after they are there, and whether the
next one due comes on time after a restart. On the embedded broker, which like Kafka answers a fetch with a part of what is
there; with `--broker noida` on noida-db, which answers with all of it, whatever a consumer asks for.
"""
import random
import statistics
import time
from datetime import datetime, timezone

from harness.kafka import Backend, murmur2
from harness.metrics import Metrics
from harness.waiting import steady, until
from harness.world import World

SHARDS = 16
TIERS = ["5s", "30s", "5m", "30m", "2h", "6h", "12h", "24h"]
BODY = 400
EACH = 40


def rfc3339(seconds):
    return (datetime.fromtimestamp(seconds, timezone.utc)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def megabytes(pid):
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * 4096 / 1e6


class Parked:
    def __init__(self, options, directory, say):
        self.options, self.say, self.faults = options, say, []
        settings = {"topics": {"partitions": SHARDS}, "limits": {"eventsPerSecond": 0, "requestsPerMinute": 0}}
        if options.broker == "embedded":
            settings["kafka"] = {
                "session.timeout.ms": "4000", "heartbeat.interval.ms": "300", "fetch.wait.max.ms": "10"}
        self.world = World(directory, options.broker, **settings)
        # A broker answers with whole batches; those of the delivery stage hold what failed within ten milliseconds.
        self.backend = Backend(self.world.broker.bootstrap, batch_num_messages=8)
        self.random = random.Random(1)

    def check(self, is_true, what):
        self.say(("ok    " if is_true else "FAULT ") + what)
        if not is_true:
            self.faults.append(what)

    def identifier(self, prefix):
        return f"{prefix}_{self.random.getrandbits(96):024x}"

    def park(self, webhook, account, tier, due):
        """One failed delivery as the bridge would park it."""
        event = self.identifier("evt")
        headers = {
            "event-id": event, "event-type": "module.completed", "webhook-id": webhook, "account-id": account,
            "delivery-id": self.identifier("dlv"), "generation": "1", "purpose": "delivery", "attempt": str(tier + 1),
            "origin": "learnault.modules/0/0", "first-attempt-at": rfc3339(time.time()), "due-at": rfc3339(due),
            "last-error": "HTTP 500"}
        body = f'{{"id":"{event}","type":"module.completed","data":"'.encode()
        body += b"x" * (BODY - len(body) - 2) + b'"}'
        self.backend.send(
            "webhooks.retries", body, key=TIERS[tier].encode(), headers=list(headers.items()), tag=event,
            partition=murmur2(webhook.encode()) % SHARDS * len(TIERS) + tier)
        return event

    def settled(self, bridge):
        """Megabytes once they no longer move: the median of ten samples of a second."""
        steady(lambda: round(megabytes(bridge.pid)), 15)
        samples = []
        for _ in range(10):
            samples.append(megabytes(bridge.pid))
            time.sleep(0.1)
        return statistics.median(samples)

    def run(self):
        world, count = self.world, self.options.parked
        bridge = world.run()
        account = world.account()
        webhook = account.register(world.receiver.url("/parked"), "module.completed")["id"]
        before = self.settled(bridge)
        began = time.time()
        due = began + self.options.due
        # More of each tier than the bridge holds: behind the first it has to fetch, while all other partitions are full.
        soon = [self.park(webhook, account.id, tier, due) for tier in range(len(TIERS)) for _ in range(EACH)]
        others = [self.identifier("wh") for _ in range(1000)]
        for number in range(count - len(soon)):
            self.park(others[number // len(TIERS) % len(others)], account.id, number % len(TIERS),
                      began + 70_000 + number / count)
        self.backend.flush(60)
        # How many the bridge knows of is settled by its fetches, which end when it holds enough.
        until(lambda: Metrics(bridge)("retries_parked") >= SHARDS * len(TIERS), 60, "a head of each partition")
        after = self.settled(bridge)
        bridge.stop()
        bridge.run()
        until(lambda: Metrics(bridge)("retries_parked") == count, 60, "all parked after the restart")
        restarted = self.settled(bridge)
        left = due - time.time()
        self.check(left > 0 and not world.receiver.deliveries, f"restarted {left:.1f} s before the first is due")
        until(lambda: set(soon) <= world.receiver.accepted_ids(), self.options.due + 30, f"the first {len(soon)}")
        late = sorted(delivery.wall - due for delivery in world.receiver.deliveries)
        self.check(late[0] >= -0.002, f"none early ({late[0] * 1000:.0f} ms)")
        first = set(soon[::EACH])
        heads = max(delivery.wall - due for delivery in world.receiver.deliveries if delivery.event_id in first)
        self.check(heads <= 0.25, f"the first of each tier late by {heads * 1000:.0f} ms at most")
        self.say(f"      of {len(late)} due at once half came within {statistics.median(late) * 1000:.0f} ms, "
                 f"all within {late[-1] * 1000:.0f} ms")
        self.check(after - before <= 5, f"{before:.1f} MB without, {after:.1f} MB with {count} parked")
        self.check(restarted - before <= 5, f"{restarted:.1f} MB with them after a restart")
        return {"scenario": "parked", "parked": count, "broker": self.options.broker,
                "megabytes": {"without": before, "with": after, "restarted": restarted},
                "lateMilliseconds": {"heads": heads * 1000, "median": statistics.median(late) * 1000,
                                     "last": late[-1] * 1000}}

    def close(self):
        self.world.close()
