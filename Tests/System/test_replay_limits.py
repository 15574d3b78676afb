"""Replays that meet what they cannot change: records that retention took, and endpoints that do not answer. On noida-db."""
import json

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from harness.events import domain_record
from harness.kafka import partitions
from harness.metrics import Metrics
from harness.waiting import until
from test_replay import arrived, ask, missed, produce, shown, switch, trim, wait_ended, stamp

TOPIC = "learnault.modules"


@pytest.mark.timeout(120)
@pytest.mark.parametrize("is_followed", [False, True], ids=["an-empty-log", "younger-records"])
def test_what_retention_took_before_a_replay_came_to_it_is_said(make_world, is_followed):
    world = make_world("noida")
    bridge = world.run()
    account = world.account()
    webhook = account.register(world.receiver.url("/hook"), "module.completed")
    since, events = missed(world, account, webhook, 30)
    bridge.stop()
    # Nobody is there yet who would run it.
    bridge.start("--roles", "registry,api,translate").wait_ready()
    replay = ask(account, webhook, since=since)
    assert replay["counts"]["records"] >= 30 and replay["from"] == since
    trim(world, TOPIC)
    later = produce(world, account, 30) if is_followed else {}
    bridge.stop()
    bridge.run()
    done = wait_ended(world, account, webhook, replay)
    assert done["status"] == "finished" and done["counts"]["events"] == 0
    assert done["from"] == done["until"] > since, "from there on nothing is missing, and that is nowhere"
    said = [entry for entry in map(json.loads, bridge.log.splitlines())
            if entry["message"] == "a topic has dropped records before a replay came to them"]
    assert sum(entry["count"] for entry in said) == 30 and {entry["topic"] for entry in said} == {TOPIC}
    until(arrived(world, "/hook", later), 20, "what came behind it, by the live way")
    assert not set(events) & world.receiver.accepted_ids("/hook")


@pytest.mark.timeout(240)
def test_replays_for_dead_endpoints_leave_room_for_others(make_world):
    """Sixteen wait for endpoints that refuse; another account's begins all the same, and in the end all come through."""
    world = make_world("noida", limits={"eventsPerSecond": 2000, "webhooksPerAccount": 20}, retry={"timeScale": 0.001})
    bridge = world.run()
    dead, other = world.account(), world.account()
    paths = [f"/dead{number}" for number in range(16)]
    webhooks = [dead.register(world.receiver.url(path), "module.completed") for path in paths]
    good = other.register(world.receiver.url("/good"), "module.completed")
    for webhook in webhooks:
        switch(dead, webhook, False)
    switch(other, good, False)
    since = stamp()
    events = produce(world, dead, 700)
    wanted = produce(world, other, 20)
    world.wait_drained("translate", TOPIC)
    for path in paths:
        world.receiver.script(path, [500])
    for webhook in webhooks:
        switch(dead, webhook, True)
    switch(other, good, True)
    replays = [ask(dead, webhook, since=since) for webhook in webhooks]
    until(lambda: Metrics(bridge)("replays_running") == 16, 90,
          lambda: f"sixteen run: {Metrics(bridge)('replays_running')}\n{bridge.log[-3000:]}")
    assert "replay is left to be gone on with" not in bridge.log
    replay = ask(other, good, since=since)
    assert wait_ended(world, other, good, replay)["counts"]["events"] == 20
    until(arrived(world, "/good", wanted), 20, "the other account's events")
    assert "replay is left to be gone on with" in bridge.log, "one has made room"
    for webhook, each in zip(webhooks, replays):
        assert shown(dead, webhook, each)["status"] == "running"
    for path in paths:
        world.receiver.script(path, [200])
    for webhook, each in zip(webhooks, replays):
        assert wait_ended(world, dead, webhook, each, 150)["counts"]["events"] == 700
    for path in paths:
        until(arrived(world, path, events), 60, lambda: f"{path}: {len(world.receiver.accepted_ids(path))} arrived")


@pytest.mark.timeout(120)
def test_roles_in_processes_of_their_own_replay_all_the_same(make_world):
    """One plans a replay and another runs it; neither translates what happens now, and both need the mappings."""
    world = make_world("noida")
    bridge = world.run()
    account = world.account()
    webhook = account.register(world.receiver.url("/apart"), "module.completed")
    since, events = missed(world, account, webhook, 30)
    bridge.stop()
    bridge.start("--roles", "registry,api").wait_ready()
    world.bridge("posts").start("--roles", "deliver,retry").wait_ready()
    replay = ask(account, webhook, since=since)
    assert replay["counts"]["records"] >= 30
    assert wait_ended(world, account, webhook, replay)["counts"]["events"] == 30
    until(arrived(world, "/apart", events), 20, "all of it")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("is_made_anew", [False, True], ids=["gone", "made-anew"])
def test_a_topic_that_was_deleted_before_a_replay_came_to_it_ends_nothing_but_its_part(make_world, is_made_anew):
    """A deleted topic gives neither records nor an end, and one made anew has lost nothing by its offsets; what lies
    elsewhere is replayed, and what is missing is said."""
    world = make_world("noida")
    bridge = world.run()
    account = world.account()
    webhook = account.register(world.receiver.url("/hook"), "module.completed", "reward.issued")
    switch(account, webhook, False)
    since = stamp()
    produce(world, account, 30)
    world.backend.put("learnault.rewards", domain_record("reward.issued", account.id))
    for topic in (TOPIC, "learnault.rewards"):
        world.wait_drained("translate", topic)
    bridge.stop()
    # Nobody is there yet who would run it.
    bridge.start("--roles", "registry,api").wait_ready()
    switch(account, webhook, True)
    replay = ask(account, webhook, since=since)
    assert replay["counts"]["records"] >= 31
    admin = AdminClient({"bootstrap.servers": world.broker.bootstrap, "log_level": 0})
    count = partitions(world.broker.bootstrap)[TOPIC]
    admin.delete_topics([TOPIC])[TOPIC].result(timeout=10)
    until(lambda: TOPIC not in partitions(world.broker.bootstrap), 10, "the topic gone")
    if is_made_anew:
        admin.create_topics([NewTopic(TOPIC, count, 1)])[TOPIC].result(timeout=10)
    bridge.stop()
    bridge.start("--roles", "registry,api,deliver").wait_ready()
    done = wait_ended(world, account, webhook, replay)
    assert done["status"] == "finished" and done["counts"]["events"] == 1
    assert done["from"] == done["until"], "nothing is known to be complete"
    said = [entry for entry in map(json.loads, bridge.log.splitlines())
            if entry["message"] == "a topic has dropped records before a replay came to them"]
    assert sum(entry["count"] for entry in said) == 30 and {entry["topic"] for entry in said} == {TOPIC}
