"""Webhooks and accounts that are deleted: what waits is dropped, what is known of them is gone."""
import json
import time

from harness.events import completed_modules
from harness.metrics import Metrics
from harness.waiting import steady, until

# Four seconds until the first retry.
WORLD_SETTINGS = {"retry": {"timeScale": 0.8}}


def park(world, account, path, count):
    """A webhook that fails, with deliveries that wait for their first retry."""
    webhook = account.register(world.receiver.url(path), "module.completed")
    world.receiver.script(path, [500])
    pairs = completed_modules(account.id, count)
    for identifier, record in pairs:
        world.backend.send("learnault.modules", record, key=identifier, tag=identifier)
    world.backend.flush()
    until(lambda: len([record for record in world.dump("retries") if record.headers["webhook-id"] == webhook["id"]])
          == count, 20, f"{count} parked")
    return webhook


def last(world, topic, key):
    return [record for record in world.dump(topic) if record.key is not None and record.key.decode() == key][-1]


def dropped(bridge):
    return Metrics(bridge)("dropped_total")


def test_a_deleted_webhook_takes_what_waits_along(world, account):
    bridge = world.bridges[0]
    other = account.register(world.receiver.url("/stays"), "user.created")
    before = dropped(bridge)
    webhook = park(world, account, "/goes", 3)
    posted = len(world.receiver.at("/goes"))
    assert account.call("DELETE", f"/v1/webhooks/{webhook['id']}").status_code == 204
    assert account.call("GET", f"/v1/webhooks/{webhook['id']}/logs").status_code == 404
    until(lambda: dropped(bridge) == before + 3, 20, lambda: f"three dropped, of {before}: {dropped(bridge)}")
    world.wait_drained("deliver", "webhooks.deliveries")
    assert steady(lambda: len(world.receiver.at("/goes"))) == posted
    assert last(world, "subscriptions", webhook["id"]).value is None
    assert [record for record in world.dump("dead-letters") if record.key.decode() == webhook["id"]] == []
    assert [each["id"] for each in account.webhooks()] == [other["id"]]
    answers = [record.value for record in world.dump("results")]
    assert answers and not any(b"secret" in answer or b"box" in answer for answer in answers)


def test_a_deleted_account_is_gone_everywhere(world, account):
    bridge = world.bridges[0]
    second = world.run("second")
    neighbour = world.account()
    kept = neighbour.register(world.receiver.url("/kept"), "module.completed")
    before = dropped(bridge) + dropped(second)
    webhooks = [park(world, account, f"/erased/{number}", 2) for number in range(2)]
    # The second webhook's events go to both.
    parked = len([record for record in world.dump("retries") if record.headers["account-id"] == account.id])
    until(lambda: account.call("GET", "/v1/webhooks", bridge=second).status_code == 200, 10, "known to the second")

    result = bridge.command("accounts", "delete", arguments=["--account", account.id])
    answered = time.monotonic()
    assert result.returncode == 0 and result.stderr == "", result.stderr
    assert json.loads(result.stdout) == {"accountId": account.id, "deleted": True}
    for each in (bridge, second):
        until(lambda: account.call("GET", "/v1/webhooks", bridge=each).status_code == 401, 5, "its key refused")
    assert time.monotonic() - answered < 5
    posted = len(world.receiver.deliveries)
    for webhook in webhooks:
        assert last(world, "subscriptions", webhook["id"]).value is None
    assert last(world, "accounts", account.id).value is None
    until(lambda: dropped(bridge) + dropped(second) >= before + parked, 60,
          lambda: f"{parked} dropped, of {before}: {dropped(bridge) + dropped(second)}")
    world.wait_drained("deliver", "webhooks.deliveries")
    assert [delivery for delivery in world.receiver.deliveries[posted:] if delivery.path.startswith("/erased")] == []

    again = bridge.command("accounts", "delete", arguments=["--account", account.id])
    assert again.returncode == 1 and f"there is no account {account.id}" in again.stderr and again.stdout == ""
    assert [webhook["id"] for webhook in neighbour.webhooks()] == [kept["id"]]
    second.stop()
    second.run()
    assert account.call("GET", "/v1/webhooks", bridge=second).status_code == 401, "also after a restart"


def test_without_a_registry_the_account_goes_as_soon_as_one_runs(make_world):
    world = make_world()
    bridge = world.run()
    account = world.account()
    account.register(world.receiver.url("/later"), "module.completed")
    bridge.stop()
    result = bridge.command("accounts", "delete", arguments=["--account", account.id])
    assert result.returncode == 0 and "no registry answered" in result.stderr
    assert json.loads(result.stdout) == {"accountId": account.id, "deleted": False}
    bridge.run()
    assert account.call("GET", "/v1/webhooks").status_code == 401
    assert last(world, "accounts", account.id).value is None
