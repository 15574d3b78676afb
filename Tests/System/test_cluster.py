"""Several processes of one configuration: they share the work, and the death of one loses nothing."""
import time
from collections import Counter

import pytest

from harness.events import completed_modules, send_modules
from harness.receiver import Answer
from harness.waiting import until

WEBHOOKS = 20


def subscribers(world, bridge, accounts, each):
    """[(account, path)]: webhooks spread over the partitions, so that every process owns some."""
    result = []
    for _ in range(accounts):
        account = world.account(bridge)
        for number in range(each):
            path = f"/{account.id}/{number}"
            account.register(world.receiver.url(path), "module.completed")
            result.append((account, path))
    # Every process hears of a webhook within a second (contract §1); an event that another one translates sooner has no
    # subscriber there yet.
    for account in {account for account, _ in result}:
        for each_bridge in world.bridges:
            until(lambda: (answer := account.call("GET", "/v1/webhooks", bridge=each_bridge)).status_code == 200
                  and len(answer.json()["data"]) == each, 10, f"{account.id}'s webhooks known to {each_bridge.name}")
    return result


def test_two_processes_share_the_work_and_a_clean_stop_hands_it_over(make_world):
    world = make_world("noida")
    one = world.run("one")
    two = world.run("two")
    world.receiver.watched |= {one.pid, two.pid}
    targets = subscribers(world, one, 2, WEBHOOKS // 2)
    wanted = {path: set() for _, path in targets}

    def produce(count):
        for account in world.accounts:
            for identifier, record in completed_modules(account.id, count):
                world.backend.send("learnault.modules", record, key=identifier, tag=identifier)
                for owner, path in targets:
                    if owner is account:
                        wanted[path].add(identifier)
        world.backend.flush()

    def missing():
        return {path: len(ids - world.receiver.accepted_ids(path)) for path, ids in wanted.items()
                if ids - world.receiver.accepted_ids(path)}

    def delivering():
        return {delivery.pid for delivery in list(world.receiver.deliveries)}

    def both_deliver():
        produce(5)
        until(lambda: not missing(), 30, lambda: f"missing {missing()}")
        return {one.pid, two.pid} <= delivering()

    until(both_deliver, 60, lambda: f"both deliver: {delivering()} of {one.pid}, {two.pid}")

    # At rest before the stop: this broker starts a new generation the moment a member leaves, so that what the other one
    # finishes until it hears of that cannot be committed. A Kafka takes such commits.
    for topic in ["deliveries", "deferred"]:
        world.wait_drained("deliver", f"webhooks.{topic}")
    world.wait_drained("translate", "learnault.modules")
    two.stop()
    before = len(world.receiver.deliveries)
    assert before == sum(map(len, wanted.values())), "a clean stop repeats nothing"
    produce(10)
    until(lambda: not missing(), 60, lambda: f"missing after the stop {missing()}\n{one.log[-3000:]}")
    assert {delivery.pid for delivery in world.receiver.deliveries[before:]} == {one.pid}


@pytest.mark.timeout(180)
def test_kill_9_under_load_loses_nothing(make_world):
    world = make_world("embedded")
    survivor = world.run("survivor")
    victim = world.run("victim")
    world.receiver.watched |= {survivor.pid, victim.pid}
    targets = subscribers(world, survivor, 8, 1)
    for _, path in targets:
        world.receiver.script(path, lambda delivery: Answer(200, delay=0.03))
    wanted = {path: set() for _, path in targets}
    killed_at = None
    rounds, per_round = 100, 3  # 8 webhooks · 300 events: well below what the embedded broker keeps

    for number in range(rounds):
        for account, path in targets:
            for identifier, record in completed_modules(account.id, per_round):
                world.backend.send("learnault.modules", record, key=identifier, tag=identifier)
                wanted[path].add(identifier)
        time.sleep(0.04)  # a steady load, not a wait
        if killed_at is None and number >= 30 and world.receiver.unanswered(victim.pid):
            in_flight = len(world.receiver.unanswered(victim.pid))
            victim.kill()
            killed_at = number
    if killed_at is None:  # everything still on its way: kill as soon as the victim delivers
        until(lambda: world.receiver.unanswered(victim.pid), 30, lambda: f"the victim delivers\n{victim.log[-3000:]}")
        in_flight = len(world.receiver.unanswered(victim.pid))
        victim.kill()
    world.backend.flush()
    left = sum(len(ids - world.receiver.accepted_ids(path)) for path, ids in wanted.items())
    assert in_flight > 0 and left > 0, f"not vacuous: {in_flight} in flight, {left} still to deliver"
    acknowledged = set(world.backend.acknowledged)
    assert acknowledged == set().union(*wanted.values())

    def missing():
        return {path: len(ids - world.receiver.accepted_ids(path)) for path, ids in wanted.items()
                if ids - world.receiver.accepted_ids(path)}

    def whereabouts():
        """Each record about a missing event, in the order of the topics."""
        lost = set().union(*(ids - world.receiver.accepted_ids(path) for path, ids in wanted.items()))
        origins = {identifier: world.backend.acknowledged[identifier] for identifier in lost}
        found = [(record.origin, record.timestamp, record.headers, record.value[:600] if record.topic.endswith("attempts") else "")
                 for record in world.dump("deliveries", "deferred", "retries", "attempts", "dead-letters")
                 if record.headers.get("event-id") in lost or any(each.encode() in record.value for each in lost)]
        places = {topic: world.committed(role, f"webhooks.{topic}")
                  for role, topic in [("deliver", "deliveries"), ("deliver", "deferred"), ("retry", "retries")]}
        return f"{origins}\n{found}\n{places} {world.committed('translate', 'learnault.modules')}"

    until(lambda: not missing(), 90, lambda: f"missing {missing()}\n{whereabouts()}\n{survivor.log[-4000:]}")
    assert survivor.process.alive and not world.receiver.malformed
    secrets = {path: account.secrets[0] for account, path in targets}
    for delivery in world.receiver.deliveries:
        assert delivery.event_id in wanted[delivery.path], "nothing invented, nothing across accounts"
        assert delivery.signed_with(secrets[delivery.path])
    bodies = {}
    for delivery in world.receiver.deliveries:
        assert bodies.setdefault((delivery.path, delivery.event_id), delivery.body) == delivery.body
    repeated = len(world.receiver.deliveries) - len(bodies)
    print(f"killed with {in_flight} in flight and {left} to deliver; {repeated} of {len(bodies)} repeated")


@pytest.mark.timeout(240)
def test_members_that_come_and_go_lose_no_retry(make_world):
    """Two members beside one that stays: every three seconds one of them joins or leaves, while all deliveries fail at
    first. The group's partitions move with every change, and with them what is parked, under way and on its way back."""
    world = make_world(
        "embedded", kafka={"session.timeout.ms": "3000", "heartbeat.interval.ms": "300", "fetch.wait.max.ms": "10"},
        retry={"timeScale": 0.0005})
    steady = world.run("steady")
    targets = subscribers(world, steady, 6, 1)
    failing = 4  # attempts of each delivery; the waits between them take a second
    for _, path in targets:
        world.receiver.script(path, lambda delivery: 500 if delivery.attempt <= failing else 200)
    guests = [world.bridge(name) for name in ("one", "two")]
    world.receiver.watched.add(steady.pid)
    wanted = {path: set() for _, path in targets}
    missing = lambda: sum(len(ids - world.receiver.accepted_ids(path)) for path, ids in wanted.items())

    moves = 0
    for number in range(6):
        guest = guests[number % 2]
        if guest.process is not None and guest.process.alive:
            guest.stop()
        else:
            guest.start("--roles", "translate,deliver,retry")
            world.receiver.watched.add(guest.pid)
        moves += 1
        began = time.monotonic()
        while time.monotonic() < began + 3:  # the pace of the moves, not a wait for something
            for account, path in targets:
                wanted[path] |= send_modules(world, account, 1)
            time.sleep(0.3)
    under_way = missing()
    for guest in guests:
        if guest.process.alive:
            guest.stop()
    until(lambda: not missing(), 120, lambda: f"{missing()} missing\n{steady.log[-3000:]}")
    for role, topic in [("retry", "retries"), ("deliver", "deliveries"), ("deliver", "deferred")]:
        world.wait_drained(role, f"webhooks.{topic}", 60)
    total = sum(map(len, wanted.values()))
    attempts = Counter((delivery.path, delivery.event_id, delivery.attempt) for delivery in world.receiver.deliveries)
    assert set(attempts) == {(path, event, attempt) for path, ids in wanted.items() for event in ids
                             for attempt in range(1, failing + 2)}, "each event walks the whole way, and no further"
    by = Counter(delivery.pid for delivery in world.receiver.deliveries)
    assert under_way > 0 and len(by) > 1, f"not vacuous: {under_way} under way at the last move, attempts by {by}"
    assert not world.dump("dead-letters")
    # The embedded broker takes no commits while it moves partitions: with every move what was done since the last is
    # done again.
    print(f"{total} events of {failing + 1} attempts over {moves} moves: {sum(attempts.values()) - len(attempts)} attempts "
          f"repeated, {len(by)} processes posted")
