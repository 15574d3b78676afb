"""A rolling update: two versions of the program in one group, one process after the other replaced, with a kill between.

WEBHOOK_BRIDGE_PREVIOUS names the program of the version before; without it there is nothing to compare with.
"""
import os
from collections import Counter
from pathlib import Path

import pytest

from harness.events import completed_modules
from harness.receiver import Answer
from harness.waiting import until

PREVIOUS = os.environ.get("WEBHOOK_BRIDGE_PREVIOUS")

pytestmark = pytest.mark.skipif(PREVIOUS is None, reason="WEBHOOK_BRIDGE_PREVIOUS names no program of an earlier version")


@pytest.mark.timeout(240)
def test_a_rolling_update_loses_nothing(make_world):
    world = make_world("embedded", retry={"timeScale": 0.01})
    previous = Path(PREVIOUS).absolute()
    one, two = (world.bridge(name).start(binary=previous) for name in ("one", "two"))
    for bridge in (one, two):
        bridge.wait_ready(60)
    account = world.account(one)
    # Every third attempt fails, so that retries cross the versions too; an event no more than twice, or its turn may come again
    # and again until its tier is longer than the test.
    seen, failed = [], Counter()

    def now_and_then(delivery):
        seen.append(None)
        if len(seen) % 3 or failed[delivery.event_id] == 2:
            return Answer(200)
        failed[delivery.event_id] += 1
        return Answer(500)

    world.receiver.script("/steady", now_and_then)
    webhook = account.register(world.receiver.url("/steady"), "module.completed")["id"]
    for bridge in (one, two):
        until(lambda: account.call("GET", f"/v1/webhooks/{webhook}", bridge=bridge).status_code == 200, 10, "known")
    wanted = set()

    def produce(count=60):
        for identifier, record in completed_modules(account.id, count):
            world.backend.send("learnault.modules", record, key=identifier.encode(), tag=identifier)
            wanted.add(identifier)
        world.backend.flush()

    def write(bridge, **fields):
        """A change through one process, until it takes it: a registry that moves answers 503."""
        def done():
            answer = account.call("PATCH", f"/v1/webhooks/{webhook}", fields, bridge=bridge)
            assert answer.status_code in (200, 503), answer.text
            return answer.status_code == 200

        until(done, 60, lambda: f"a change through {bridge.name}\n{bridge.log[-3000:]}")

    def delivered():
        missing = wanted - world.receiver.accepted_ids("/steady")
        return not missing

    produce()
    write(two, description="before")
    one.kill()
    one.start().wait_ready(60)
    produce()
    write(one, description="through the new one")
    write(two, description="through the old one")
    assert account.call("GET", f"/v1/webhooks/{webhook}", bridge=two).json()["data"]["description"] == "through the old one"
    until(lambda: account.call("GET", f"/v1/webhooks/{webhook}", bridge=one).json()["data"]["description"]
          == "through the old one", 5, "the old one's change in the new one's view")
    produce()
    two.kill()
    two.start().wait_ready(60)
    produce()
    write(two, description="both are new")
    until(delivered, 90, lambda: f"{len(wanted - world.receiver.accepted_ids('/steady'))} of {len(wanted)} missing")
    assert not [record for record in world.dump("dead-letters")], "nothing was taken for damaged"
