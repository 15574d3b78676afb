"""A failing subscriber: the documented schedule, then disabled, noticed and mailed about; recovery on the way."""
import pytest

from harness.events import domain_record, event_id, expected_body
from harness.processes import free_port
from harness.receiver import Answer
from harness.waiting import steady, until

SCALE = 0.0001
WAITS = [wait * SCALE for wait in (5, 30, 300, 1800, 7200, 21600, 43200, 86400)]
# Due times are whole milliseconds; the receiver's clock stops before the bridge has read its answer.
EARLY, LATE = 0.002, 1.5
WORLD_SETTINGS = {"retry": {"timeScale": SCALE}}


def produce(world, account, domain_id):
    world.backend.put("learnault.modules", domain_record("module.completed", account.id, domain_id))
    return event_id("learnault.modules", domain_id, "module.completed")


def assert_on_schedule(deliveries, waits=WAITS):
    """Each attempt once, in order and in its time; how late each retry was, in seconds."""
    assert [delivery.attempt for delivery in deliveries] == list(range(1, len(deliveries) + 1))
    late = []
    for number, (before, after) in enumerate(zip(deliveries, deliveries[1:]), 1):
        late.append(after.arrived - before.answered - waits[number - 1])
        assert late[-1] >= -EARLY, f"retry {number} came {-late[-1]:.4f} s early"
        assert late[-1] <= LATE, f"retry {number} came {late[-1]:.3f} s late"
    return late


def test_recovery_in_the_middle_ends_the_retries(world, account):
    webhook = account.register(world.receiver.url("/recovers"), "module.completed")
    world.receiver.script("/recovers", [500, 500, 200])
    identifier = produce(world, account, "recovers")
    until(lambda: identifier in world.receiver.accepted_ids("/recovers"), 20, "the third attempt")
    deliveries = world.receiver.at("/recovers")
    assert [delivery.status for delivery in deliveries] == [500, 500, 200]
    assert_on_schedule(deliveries)
    log = until(lambda: len(data := account.log(webhook["id"])["data"]) == 3 and data, 10, "three log entries")
    assert [entry["status"] for entry in log] == ["delivered", "failed", "failed"]
    world.wait_drained("retry", "webhooks.retries")
    world.wait_drained("deliver", "webhooks.deliveries")
    assert len(world.receiver.at("/recovers")) == 3
    assert account.webhook(webhook["id"])["isActive"] is True


def test_recovery_at_every_tier(world, account):
    """Eight webhooks hear of one event; the k-th fails k times and then accepts."""
    webhooks = {}
    for failures in range(1, 9):
        path = f"/recovers/{failures}"
        webhooks[failures] = account.register(world.receiver.url(path), "module.completed")
        world.receiver.script(path, [500] * failures + [200])
    identifier = produce(world, account, "recovers at every tier")
    missing = lambda: [failures for failures in webhooks
                       if identifier not in world.receiver.accepted_ids(f"/recovers/{failures}")]
    until(lambda: not missing(), 60, lambda: f"recovery after {missing()} failures\n{world.bridges[0].log[-3000:]}")
    for role, topic in [("retry", "retries"), ("deliver", "deliveries"), ("deliver", "deferred"),
                        ("registry", "commands")]:
        world.wait_drained(role, f"webhooks.{topic}")
    for failures, webhook in webhooks.items():
        deliveries = world.receiver.at(f"/recovers/{failures}")
        assert [delivery.status for delivery in deliveries] == [500] * failures + [200], "and then no more"
        late = assert_on_schedule(deliveries)
        print(f"{failures} failures: the retries {', '.join(f'{each * 1000:.0f}' for each in late)} ms after their time")
        records = [record.json for record in world.dump("attempts") if record.key.decode() == webhook["id"]]
        assert sorted((record["attempt"], record["status"]) for record in records) == [
            *((attempt, "failed") for attempt in range(1, failures + 1)), (failures + 1, "delivered")]
        mails = [record.json["template"] for record in world.dump("emails") if record.json["webhookId"] == webhook["id"]]
        assert mails == (["webhook-failing"] if failures == 8 else []), "a warning before the last retry, no more"
        assert account.webhook(webhook["id"])["isActive"] is True
    assert not [record for record in world.dump("dead-letters", "notices")
                if (record.key or b"").decode() in {webhook["id"] for webhook in webhooks.values()}]


def test_the_first_two_tiers_in_real_time(make_world):
    world = make_world("noida")
    world.run()
    account = world.account()
    account.register(world.receiver.url("/real"), "module.completed")
    world.receiver.script("/real", [500, 503, 200])
    identifier = produce(world, account, "real time")
    until(lambda: identifier in world.receiver.accepted_ids("/real"), 60, "the third attempt")
    late = assert_on_schedule(world.receiver.at("/real"), [5, 30])
    print(f"the retries after 5 s and 30 s came {late[0] * 1000:.0f} and {late[1] * 1000:.0f} ms late")


def test_nine_attempts_then_disabled_noticed_and_mailed(world, account):
    webhook = account.register(world.receiver.url("/fails"), "module.completed")
    healthy = account.register(world.receiver.url("/told"), "webhook.disabled")
    world.receiver.script("/fails", [500])
    identifier = produce(world, account, "fails")
    until(lambda: len(world.receiver.at("/fails")) == 9, 60,
          lambda: f"nine attempts, there are {len(world.receiver.at('/fails'))}\n{world.bridges[0].log[-3000:]}")
    deliveries = world.receiver.at("/fails")
    assert_on_schedule(deliveries)
    body = expected_body("module.completed", identifier)
    assert {delivery.body for delivery in deliveries} == {body}
    assert {delivery.event_id for delivery in deliveries} == {identifier}
    assert len({delivery.headers["x-learnault-delivery"].partition(".")[0] for delivery in deliveries}) == 1
    assert all(delivery.signed_with(webhook["signingSecret"]) for delivery in deliveries)

    until(lambda: account.webhook(webhook["id"])["isActive"] is False, 10, "the webhook inactive")
    of_webhook = lambda record: record.key is not None and record.key.decode() == webhook["id"]
    world.wait_records("notices", of_webhook)
    mails = lambda record: record.json["template"] == "webhook-disabled" and record.json["webhookId"] == webhook["id"]
    world.wait_records("emails", mails)
    # Another event of this account: the disabled webhook gets nothing more.
    produce(world, account, "afterwards")
    for stage, topic in [("translate", "learnault.modules"), ("retry", "webhooks.retries"),
                         ("deliver", "webhooks.deliveries"), ("deliver", "webhooks.deferred")]:
        world.wait_drained(stage, topic)
    assert steady(lambda: len(world.receiver.at("/fails"))) == 9, "no tenth"

    notice, = [record.json for record in world.dump("notices")
               if of_webhook(record) and record.json["type"] == "webhook.disabled"]
    assert notice["id"].startswith("ntc_")
    assert notice["accountId"] == account.id and notice["webhookId"] == webhook["id"]
    assert notice["data"]["failedAttempts"] == 9
    assert {"reason", "failedAttempts", "lastError", "generation"} <= set(notice["data"])
    emails = [record for record in world.dump("emails") if record.json["webhookId"] == webhook["id"]]
    assert [email.json["template"] for email in emails].count("webhook-disabled") == 1
    assert {email.json["template"] for email in emails} <= {"webhook-disabled", "webhook-failing"}
    for email in emails:
        assert email.key.decode() == account.id and email.json["to"] == account.email
        assert email.json["subject"] and email.json["text"] and email.json["id"].startswith("eml_")

    dead, = [record for record in world.dump("dead-letters") if record.headers.get("event-id") == identifier]
    assert dead.value == body and dead.headers["reason"] and of_webhook(dead)

    log = until(lambda: len((answer := account.log(webhook["id"]))["data"]) >= 9 and answer, 10, "nine log entries")
    assert log["pagination"]["total"] == 9
    assert [entry["attempt"] for entry in log["data"]] == list(range(9, 0, -1)), "newest first"
    for entry in log["data"]:
        assert entry["status"] == "failed" and entry["responseCode"] == 500 and entry["error"]

    tiers = [record for record in world.dump("retries") if record.headers["event-id"] == identifier]
    tiers.sort(key=lambda record: int(record.headers["attempt"]))
    assert [record.key.decode() for record in tiers] == ["5s", "30s", "5m", "30m", "2h", "6h", "12h", "24h"]
    assert [record.partition % 8 for record in tiers] == list(range(8))
    assert all(record.headers["due-at"].endswith("Z") and record.headers["first-attempt-at"] for record in tiers)

    # Another webhook of the account hears of it, the disabled one does not.
    told, = until(lambda: world.receiver.at("/told"), 15, "webhook.disabled at the other webhook")
    assert told.headers["x-learnault-event"] == "webhook.disabled" and told.signed_with(healthy["signingSecret"])


@pytest.mark.parametrize("status, body", [(301, b""), (302, b""), (404, b"no"), (429, b""), (500, b"x" * 100_000)],
                         ids=["301", "302", "404", "429", "500 with a long body"])
def test_anything_but_2xx_is_a_failure(world, account, status, body):
    path = f"/answers/{status}"
    account.register(world.receiver.url(path), "module.completed")
    location = {"Location": world.receiver.url("/elsewhere")}
    world.receiver.script(path, [Answer(status, location, body), 204])
    identifier = produce(world, account, f"answers {status}")
    until(lambda: identifier in world.receiver.accepted_ids(path), 15, "the second attempt")
    assert [delivery.status for delivery in world.receiver.at(path)] == [status, 204]
    assert world.receiver.at("/elsewhere") == []


def test_an_endpoint_that_refuses_connections_is_retried(world, account):
    webhook = account.register(f"http://127.0.0.1:{free_port()}/nobody", "module.completed")
    produce(world, account, "refused")
    failed = until(lambda: [entry for entry in account.log(webhook["id"])["data"] if entry["attempt"] >= 2], 20,
                   "two attempts in the log")
    assert failed[-1]["status"] == "failed" and failed[-1]["responseCode"] is None and failed[-1]["error"]
