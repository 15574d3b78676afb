"""What one webhook may do to the others, and what a member may do that was away: limit, neighbours, a stopped process."""
import json
import os
import signal
import time
from collections import Counter

import pytest

from harness.events import send_modules
from harness.metrics import Metrics
from harness.receiver import Answer
from harness.waiting import until

RATE, BURST = 100, 5
CONNECTIONS = 16  # of one engine to one receiver


def test_one_webhook_over_its_rate_gets_it_exactly_and_all_of_it(make_world):
    world = make_world("noida")
    world.run()
    greedy, neighbour = world.account(), world.account()
    webhook = greedy.register(world.receiver.url("/greedy"), "module.completed")
    other = neighbour.register(world.receiver.url("/neighbour"), "module.completed")
    began = time.monotonic()
    offered = send_modules(world, greedy, 600)
    quiet = set()
    for _ in range(20):
        produced_at = time.monotonic()
        one = send_modules(world, neighbour, 1)
        until(lambda: one <= world.receiver.accepted_ids("/neighbour"), 10, "the neighbour's event")
        assert time.monotonic() - produced_at < 1, "undisturbed"
        quiet |= one
    until(lambda: world.receiver.accepted_ids("/greedy") == offered, 30,
          lambda: f"{len(world.receiver.accepted_ids('/greedy'))} of {len(offered)}")
    deliveries = world.receiver.at("/greedy")
    assert len(deliveries) == len(offered), "each once"
    # The time in a signature is that of the start as the lane allowed it; a busy machine makes only arrivals late, and
    # those that were late come close together. What was allowed at a second's end may be stamped in the next.
    started = Counter(int(delivery.headers["webhook-timestamp"]) for delivery in deliveries)
    assert max(started.values()) <= RATE + 2 * BURST, f"never more in a second: {started}"
    # Lateness brings none before its time either: the n-th may come when n tokens can have been there.
    ahead = [number for number, delivery in enumerate(sorted(deliveries, key=lambda each: each.arrived), 1)
             if delivery.arrived < began + (number - BURST) / RATE]
    assert not ahead, f"{len(ahead)} of {len(deliveries)} before their time, the first of them number {ahead[0]}"
    # A starved machine may be slower; `./dev bench limit` on a quiet one asks for 95.
    seconds = max(delivery.arrived for delivery in deliveries) - began
    assert len(deliveries) / seconds >= 0.5 * RATE, f"{len(deliveries)} in {seconds:.2f} s"

    deferred = world.dump("deferred")
    assert all(record.key.decode() != other["id"] for record in deferred)
    again = Counter(record.headers["event-id"] for record in deferred)
    assert len(again) > 300 and set(again.values()) == {1}, "through deferred once"
    attempts = [record.json for record in world.dump("attempts") if record.key.decode() == webhook["id"]]
    assert {"state", "queued", "deferred", "inFlight", "concurrency", "circuitOpen"} <= set(attempts[0]["lane"])
    assert "limited" in {attempt["lane"]["state"] for attempt in attempts}


def log_times(bridge, message):
    """Wall-clock seconds of the delivery role's log lines with this message."""
    entries = [json.loads(line) for line in bridge.log.splitlines()]
    return [time_of(entry["time"]) for entry in entries
            if entry["message"] == message and entry.get("role") == "deliver"]


def time_of(text):
    from datetime import datetime
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


@pytest.mark.timeout(180)
def test_a_member_that_was_stopped_posts_nothing_before_it_knows_what_it_owns(make_world):
    world = make_world("embedded", kafka={"session.timeout.ms": "4000", "heartbeat.interval.ms": "300"})
    survivor = world.run("survivor")
    sleeper = world.run("sleeper")
    world.receiver.watched |= {survivor.pid, sleeper.pid}
    targets = []
    for _ in range(16):
        account = world.account(survivor)
        path = f"/{account.id}"
        account.register(world.receiver.url(path), "module.completed")
        world.receiver.script(path, lambda delivery: Answer(200, delay=0.3))
        targets.append((account, path))
    wanted = {path: set() for _, path in targets}

    def load(count):
        for account, path in targets:
            wanted[path] |= send_modules(world, account, count)

    def missing():
        return sum(len(ids - world.receiver.accepted_ids(path)) for path, ids in wanted.items())

    load(1)
    until(lambda: not missing(), 60, "the first of each")
    # Far more than the engine's sixteen connections to the receiver carry, so that at every moment it has requests in hand
    # that have not begun; their answers and connections are there the moment the process wakes.
    load(60)
    until(lambda: sum(delivery.pid == sleeper.pid for delivery in list(world.receiver.deliveries)) > 50, 30,
          "the sleeper delivers")
    until(lambda: Metrics(sleeper)("attempts_in_flight") >= 1.5 * CONNECTIONS, 30,
          lambda: f"requests wait for a connection in its engine\n{Metrics(sleeper).text}")
    os.kill(sleeper.pid, signal.SIGSTOP)
    owned = {delivery.path for delivery in list(world.receiver.deliveries) if delivery.pid == sleeper.pid}
    try:
        taken = lambda: {delivery.path for delivery in list(world.receiver.deliveries) if delivery.pid == survivor.pid}
        until(lambda: owned <= taken(), 60, lambda: f"the survivor delivers {owned - taken()} too")
        before = {topic: world.committed("deliver", f"webhooks.{topic}") for topic in ("deliveries", "deferred")}
        assert missing() > 0, "not vacuous: there is still something to post"
        # The log's times are whole milliseconds, rounded down, and it may hear of it within one.
        woken = int(time.time() * 1000) / 1000
    finally:
        os.kill(sleeper.pid, signal.SIGCONT)
    known = until(lambda: [at for at in log_times(sleeper, "partitions revoked") if at >= woken], 30,
                  lambda: f"the sleeper hears of it\n{sleeper.log[-3000:]}")[0]
    until(lambda: not missing(), 90, lambda: f"missing {missing()}\n{survivor.log[-3000:]}")
    early = [delivery for delivery in world.receiver.deliveries
             if delivery.pid == sleeper.pid and woken <= delivery.wall < known]
    assert not early, f"{len(early)} POSTs between waking and knowing"
    # Whether the engine had some in hand at that very moment is chance; StartLeaseTests and LateStageTests see to those.
    print(f"{Metrics(sleeper)('starts_too_late_total'):.0f} requests were in the engine's hands and not begun")
    for topic, places in before.items():
        now = world.committed("deliver", f"webhooks.{topic}")
        for partition, (offset, _) in places.items():
            assert (now[partition][0] or 0) >= (offset or 0), f"{topic}/{partition} went back"
    for bridge in (survivor, sleeper):
        assert bridge.process.alive
