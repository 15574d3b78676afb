"""Webhooks switched off and on again: by the bridge, by their owners; who hears of it, and what goes out afterwards."""
from harness.events import completed_modules, domain_record
from harness.receiver import Answer
from harness.waiting import steady, until

WORLD_SETTINGS = {"retry": {"timeScale": 0.00002}}


def switch(account, webhook, on):
    response = account.call("PATCH", f"/v1/webhooks/{webhook['id']}", {"isActive": on})
    assert response.status_code == 200 and response.json()["data"]["isActive"] is on


def of(webhook):
    return lambda record: record.key is not None and record.key.decode() == webhook["id"]


def notices(world, webhook):
    return [(record.json["type"], record.json["data"]["generation"])
            for record in world.dump("notices") if of(webhook)(record)]


def state(world, webhook):
    return [record.json for record in world.dump("subscriptions") if of(webhook)(record)][-1]


def produce(world, account, count):
    pairs = completed_modules(account.id, count)
    for identifier, record in pairs:
        world.backend.send("learnault.modules", record, key=identifier, tag=identifier)
    world.backend.flush()
    return {identifier for identifier, _ in pairs}


def wait_drained(world):
    world.wait_drained("translate", "learnault.modules")
    world.wait_drained("registry", "webhooks.commands")
    world.wait_drained("translate", "webhooks.notices")
    for stage, topic in [("retry", "retries"), ("deliver", "deliveries"), ("deliver", "deferred")]:
        world.wait_drained(stage, f"webhooks.{topic}")


def test_nobody_hears_of_its_own_disabling(world, account):
    bad = account.register(world.receiver.url("/own"), "module.completed", "webhook.*")
    told = account.register(world.receiver.url("/other"), "webhook.disabled")
    stranger = world.account()
    stranger.register(world.receiver.url("/stranger"), "*")
    world.receiver.script("/own", [500])
    world.backend.put("learnault.modules", domain_record("module.completed", account.id))
    heard, = until(lambda: world.receiver.at("/other"), 30, "webhook.disabled at the other one")
    wait_drained(world)
    assert heard.signed_with(told["signingSecret"])
    routed = {record.headers["webhook-id"] for record in world.dump("deliveries")
              if record.headers["event-type"] == "webhook.disabled" and record.headers["account-id"] == account.id}
    assert routed == {told["id"]}, "not even routed to itself"
    assert {delivery.headers["x-learnault-event"] for delivery in world.receiver.at("/own")} == {"module.completed"}
    assert world.receiver.at("/stranger") == []
    assert notices(world, bad) == [("webhook.disabled", 1)]


def test_enabled_again_it_begins_anew_and_alone(world, account):
    webhook = account.register(world.receiver.url("/again"), "module.completed")
    told = account.register(world.receiver.url("/again-told"), "webhook.*")
    world.receiver.script("/again", [500])
    produce(world, account, 1)
    until(lambda: account.webhook(webhook["id"])["isActive"] is False, 30, "the webhook disabled")
    wait_drained(world)
    world.receiver.script("/again", [Answer(200, delay=0.3)])
    before = len(world.receiver.at("/again"))
    assert state(world, webhook)["disabled"]["lastError"] == "HTTP 500"
    switch(account, webhook, True)
    assert notices(world, webhook) == [("webhook.disabled", 1), ("webhook.enabled", 2)]
    assert state(world, webhook)["generation"] == 2 and "disabled" not in state(world, webhook)
    switch(account, webhook, True)  # says nothing new
    ids = produce(world, account, 6)
    until(lambda: ids <= world.receiver.accepted_ids("/again"), 30, "what happened since")
    deliveries = world.receiver.at("/again")[before:]
    assert {delivery.event_id for delivery in deliveries} == ids, "nothing of the generation before"
    assert min(delivery.arrived for delivery in deliveries[1:]) >= deliveries[0].answered, "the first goes alone"
    assert any(second.arrived < first.answered for first, second in zip(deliveries, deliveries[1:])), "the others do not"
    wait_drained(world)
    assert len(notices(world, webhook)) == 2
    assert [delivery.headers["x-learnault-event"] for delivery in world.receiver.at("/again-told")] == [
        "webhook.disabled"], "an enabling is no event"


def test_switched_off_by_its_owner_it_stops_and_nobody_is_told(make_world):
    world = make_world(retry={"timeScale": 0.2})  # a second until the first retry
    world.run()
    account = world.account()
    webhook = account.register(world.receiver.url("/off"), "module.completed")
    told = account.register(world.receiver.url("/off-told"), "webhook.*")
    world.receiver.script("/off", [500])
    parked = produce(world, account, 3)
    until(lambda: {record.headers["event-id"] for record in world.dump("retries")} == parked, 20, "three parked")
    switch(account, webhook, False)
    before = len(world.receiver.at("/off"))
    produce(world, account, 2)
    dead = until(lambda: len(dead := world.dump("dead-letters")) == 3 and dead, 20, lambda: world.dump("dead-letters"))
    assert {record.headers["event-id"] for record in dead} == parked
    assert {record.headers["reason"] for record in dead} == {"webhook was disabled"}
    wait_drained(world)
    assert steady(lambda: len(world.receiver.at("/off"))) == before
    assert notices(world, webhook) == [] and world.dump("emails") == [] and world.receiver.at("/off-told") == []
    assert "disabled" not in state(world, webhook) and state(world, webhook)["generation"] == 1
    world.receiver.script("/off", [200])
    switch(account, webhook, True)
    assert notices(world, webhook) == [("webhook.enabled", 2)]
    ids = produce(world, account, 1)
    until(lambda: ids <= world.receiver.accepted_ids("/off"), 20, "what happened since")
    assert {delivery.event_id for delivery in world.receiver.at("/off")[before:]} == ids
