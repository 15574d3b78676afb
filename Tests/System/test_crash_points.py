"""`kill -9` at the points where a crash could lose something or say it twice; a restart finishes what was under way.

The points are in debug builds only (Sources/Runtime/CrashPoint.swift). Each scenario has a broker of its own, in a process
of its own, and all run at the same time: most of their time is the embedded broker's rebalances.
"""
import os
import signal
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.events import domain_record, event_id, send_modules
from harness.metrics import Metrics
from harness.paths import DEBUG_BINARY
from harness.receiver import Answer
from harness.waiting import steady, until
from harness.world import World

# The eight waits together: three seconds.
SCALE = 0.00002
SETTINGS = {
    "kafka": {"session.timeout.ms": "4000", "heartbeat.interval.ms": "300", "fetch.wait.max.ms": "10"},
    "retry": {"timeScale": SCALE},
    # An answer is held back until everything before it is committed.
    "egress": {"timeoutMilliseconds": 30_000},
}
EVENTS = "learnault.modules"


class Scene:
    """One account with one webhook, a bridge that will die, and what its receiver answers."""

    def __init__(self, directory, point, **settings):
        self.point = point
        self.world = World(directory, "embedded", **{**SETTINGS, **settings})
        self.receiver = self.world.receiver
        self.bridge = self.world.bridge()
        self.released = threading.Event()
        self.held = 0

    def start(self):
        self.bridge.make_topics()
        self.bridge.run(binary=DEBUG_BINARY, environment={"BRIDGE_CRASH_AT": self.point})
        self.account = self.world.account()
        self.webhook = self.account.register(self.receiver.url("/hook"), "module.completed")
        return self

    def produce(self, name):
        self.world.backend.put(EVENTS, domain_record("module.completed", self.account.id, name))
        return event_id(EVENTS, name, "module.completed")

    def hold(self, status, when):
        """Answers `status`, and holds the first answer back for which `when` is true."""
        def decide(delivery):
            if self.held == 0 and when(delivery):
                self.held += 1
                return Answer(status, hold=self.released)
            return status

        self.receiver.script("/hook", decide)

    def release_when_all_else_is_committed(self):
        """What the crash may repeat is then the attempt under way and nothing else."""
        until(lambda: self.held, 60, lambda: f"the attempt that is held\n{self.bridge.log[-3000:]}")
        until(lambda: self.left("translate", EVENTS) == 0 and self.left("retry", "webhooks.retries") == 0
              and self.left("deliver", "webhooks.deliveries") == 1, 30, "all but the held attempt committed")
        self.released.set()

    def left(self, role, topic):
        return sum(end - (offset or 0) for offset, end in self.world.committed(role, topic).values())

    def assert_died(self):
        code = self.bridge.process.wait(60)
        assert code == -signal.SIGKILL, f"it did not die at {self.point}: {code}\n{self.bridge.log[-3000:]}"
        self.bridge.kill()

    def finish(self):
        """The restart, until nothing is left to do."""
        self.bridge.run(binary=DEBUG_BINARY)
        self.rest()

    def rest(self):
        def is_done():
            return (self.left("translate", EVENTS) == 0 and self.left("retry", "webhooks.retries") == 0
                    and self.left("deliver", "webhooks.deliveries") == 0 and self.left("deliver", "webhooks.deferred") == 0
                    and self.left("registry", "webhooks.commands") == 0)

        until(lambda: is_done() and steady(lambda: len(self.receiver.deliveries), 3) and is_done(), 60,
              lambda: f"at rest after {self.point}\n{self.attempts}\n{self.bridge.log[-3000:]}")

    @property
    def attempts(self):
        return Counter(delivery.attempt for delivery in self.receiver.at("/hook"))

    def of_webhook(self, topic):
        return [record for record in self.world.dump(topic) if self.webhook["id"].encode() in (record.key or b"") + record.value]

    def assert_one_of_each(self, disabled=True):
        """However often they were written, they are one notice and one mail of each kind."""
        notices = [record.json for record in self.of_webhook("notices")]
        assert {notice["type"] for notice in notices} == ({"webhook.disabled"} if disabled else set())
        assert len({notice["id"] for notice in notices}) == disabled, notices
        ids = {}
        for record in self.of_webhook("emails"):
            ids.setdefault(record.json["template"], set()).add(record.json["id"])
        assert set(ids) == {"webhook-failing", "webhook-disabled"} and all(len(each) == 1 for each in ids.values()), ids
        until(lambda: self.account.webhook(self.webhook["id"])["isActive"] is False, 10, "inactive")


def after_response(directory):
    scene = Scene(directory, "after-response:2")
    try:
        scene.start()
        before = scene.produce("before")
        until(lambda: scene.attempts[1] == 1, 30, "the one before")
        scene.rest()
        scene.hold(200, lambda delivery: True)
        victim = scene.produce("victim")
        scene.release_when_all_else_is_committed()
        scene.assert_died()
        written = [record.json["deliveryId"] for record in scene.of_webhook("attempts")]
        assert len(written) == 1, "not vacuous: nothing is written of the second answer"
        scene.finish()
        sent = Counter(delivery.event_id for delivery in scene.receiver.deliveries)
        assert sent == {before: 1, victim: 2}, "the answer that was not written down is asked for again, nothing else"
        assert len(scene.of_webhook("attempts")) == 2
    finally:
        scene.world.close()


def after_retry(directory):
    """The delivery and its retry are both alive after the crash; the chain that follows comes once all the same."""
    # A retry comes later than the moment at which the offset would have been stored, as all the documented ones do.
    tiers = [f"{500 + tier}ms" for tier in range(8)]
    scene = Scene(directory, "after-retry:1", retry={"tiers": tiers, "timeScale": 1})
    try:
        scene.start()
        scene.hold(500, lambda delivery: True)
        scene.produce("victim")
        scene.release_when_all_else_is_committed()
        scene.assert_died()
        assert len(scene.world.dump("retries")) == 1 and scene.left("deliver", "webhooks.deliveries") == 1, "not vacuous"
        scene.finish()
        assert scene.attempts == {1: 2, **{attempt: 1 for attempt in range(2, 10)}}
        assert Metrics(scene.bridge)("repeats_dropped_total") >= 1
        scene.assert_one_of_each()
        spent = [record for record in scene.world.dump("dead-letters") if record.headers["reason"] == "retries spent"]
        assert len(spent) == 1
    finally:
        scene.world.close()


def in_the_registry(directory, point, attempt, at_death):
    """The mail of the warning, then that of the disabling with its notice, then the state; `attempt` causes it."""
    scene = Scene(directory, point)
    try:
        scene.start()
        scene.hold(500, lambda delivery: delivery.attempt == attempt)
        scene.produce("victim")
        scene.release_when_all_else_is_committed()
        scene.assert_died()
        states = [record.json["isActive"] for record in scene.of_webhook("subscriptions")]
        assert {"mails": [record.json["template"] for record in scene.of_webhook("emails")],
                "notices": len(scene.of_webhook("notices")), "active": states[-1]} == at_death, "not vacuous"
        scene.finish()
        repeated = scene.attempts - Counter(range(1, 10))
        assert set(scene.attempts) == set(range(1, 10)) and repeated in (Counter(), Counter({attempt: 1})), scene.attempts
        scene.assert_one_of_each()
    finally:
        scene.world.close()


def while_rotating(directory):
    """A record that is moved to the tail of a full partition of `deferred` is there twice, or once, never not at all."""
    scene = Scene(directory, "while-rotating:200", topics={"partitions": 1}, limits={"eventsPerSecond": 20})
    try:
        scene.start()
        neighbour = scene.world.account()
        neighbour.register(scene.receiver.url("/neighbour"), "module.completed")
        offered = send_modules(scene.world, scene.account, 1400)
        deferred = lambda webhook: sum(record.key.decode() == webhook for record in scene.world.dump("deferred"))
        until(lambda: not scene.bridge.process.alive or deferred(scene.webhook["id"]) > 1200, 60,
              lambda: f"most of it deferred: {deferred(scene.webhook['id'])}")
        # It waits behind a window full of the other's.
        waiting = send_modules(scene.world, neighbour, 100)
        scene.assert_died()
        moved = Counter(record.headers["event-id"] for record in scene.world.dump("deferred"))
        assert max(moved.values()) > 1, "not vacuous: some were moved"
        # Quicker than it was, so that the test is.
        scene.world.run("quick", limits={"eventsPerSecond": 0})
        left = lambda: offered - scene.receiver.accepted_ids("/hook") | waiting - scene.receiver.accepted_ids("/neighbour")
        until(lambda: not left(), 60, lambda: f"{len(left())} of {len(offered | waiting)} missing")
    finally:
        scene.world.close()


SCENES = {
    "after-response": after_response,
    "after-retry": after_retry,
    "disable-announced, the warning": lambda directory: in_the_registry(
        directory, "disable-announced:1", 8, {"mails": ["webhook-failing"], "notices": 0, "active": True}),
    "disable-announced": lambda directory: in_the_registry(
        directory, "disable-announced:2", 9,
        {"mails": ["webhook-failing", "webhook-disabled"], "notices": 1, "active": True}),
    # Before it are the states of the account, the webhook and the warning.
    "state-written": lambda directory: in_the_registry(
        directory, "state-written:4", 9,
        {"mails": ["webhook-failing", "webhook-disabled"], "notices": 1, "active": False}),
    "while-rotating": while_rotating,
}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory, request):
    """Each chosen scene's outcome, to come."""
    if not DEBUG_BINARY.exists() and "WEBHOOK_BRIDGE_DEBUG" not in os.environ:
        pytest.skip("no debug build: ./dev test system makes one")
    chosen = [item.callspec.params["name"] for item in request.session.items if item.module is request.module]
    with ThreadPoolExecutor(len(SCENES)) as pool:
        yield {name: pool.submit(SCENES[name], tmp_path_factory.mktemp("scene")) for name in SCENES if name in chosen}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", SCENES)
def test_kill_9_at_a_point(scenes, name):
    scenes[name].result()
