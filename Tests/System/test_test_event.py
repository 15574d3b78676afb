"""Test events: one signed attempt on request, to active and inactive webhooks, that counts nowhere."""
import json
import os
import re
import signal
import time

import pytest
from standardwebhooks import Webhook

from harness.bridge import PARTITIONS
from harness.events import domain_record, event_id
from harness.kafka import murmur2
from harness.processes import free_port
from harness.receiver import Answer
from harness.schemas import faults
from harness.waiting import until

WORLD_SETTINGS = {"retry": {"timeScale": 0.00001}}
ENTRY = ["eventId", "eventType", "attempt", "status", "responseCode", "responseTime", "timestamp"]
ANSWER = ["responseHeaders", "responseBody"]


def ask(account, webhook, body=None, **options):
    return account.call("POST", f"/v1/webhooks/{webhook['id']}/test", body, **options)


def asked(response):
    """The id of the test event of a 202."""
    assert response.status_code == 202, response.text
    answer = response.json()
    assert list(answer) == ["success", "data"] and answer["success"] is True
    assert list(answer["data"]) == ["eventId"] and re.fullmatch("evt_[0-9a-f]{24}", answer["data"]["eventId"])
    return answer["data"]["eventId"]


def entry_of(response):
    """The log entry of a 200."""
    assert response.status_code == 200, response.text
    answer = response.json()
    assert list(answer) == ["success", "data"] and answer["success"] is True
    return answer["data"]


def logged(account, webhook, identifier):
    return until(lambda: [entry for entry in account.log(webhook["id"])["data"] if entry["eventId"] == identifier], 15,
                 f"{identifier} in the log")


def marker(world, account, path):
    """One more event of the account: once it has arrived, what was asked for before it has had its time."""
    account.register(world.receiver.url(path), "module.completed")
    world.backend.put("learnault.modules", domain_record("module.completed", account.id, path))
    wanted = event_id("learnault.modules", path, "module.completed")
    until(lambda: wanted in world.receiver.accepted_ids(path), 15, "the marker")


def left_behind(world, webhook):
    """What may follow a failed delivery and may not follow a failed test."""
    world.wait_drained("deliver", "webhooks.deliveries")
    world.wait_drained("retry", "webhooks.retries")
    return [record for topic in ["retries", "dead-letters", "commands", "notices", "emails", "deferred"]
            for record in world.dump(topic)
            if webhook["id"] in (record.headers.get("webhook-id"), (record.key or b"").decode())
            or (topic == "commands" and record.json.get("webhookId") == webhook["id"])]


@pytest.mark.parametrize("body", [{"event": "webhook.test"}, {}, None], ids=["documented", "empty", "none"])
def test_it_arrives_signed_and_is_in_the_log(world, account, body):
    path = f"/arrives/{'none' if body is None else len(body)}"
    webhook = account.register(world.receiver.url(path), "module.completed")
    before = int(time.time())
    identifier = asked(ask(account, webhook, body))
    delivery, = until(lambda: world.receiver.at(path), 15, "the test event")

    content = json.loads(delivery.body)
    assert faults("webhook.test", content) == []
    assert content["id"] == identifier and content["data"]["webhookId"] == webhook["id"]
    assert before <= time.mktime(time.strptime(content["created"], "%Y-%m-%dT%H:%M:%SZ")) - time.timezone <= time.time()
    assert delivery.body == json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
    assert delivery.headers["x-learnault-event"] == "webhook.test" and delivery.attempt == 1
    assert delivery.signed_with(webhook["signingSecret"])
    assert Webhook(webhook["signingSecret"]).verify(delivery.body, delivery.headers)["id"] == identifier

    entry, = logged(account, webhook, identifier)
    assert list(entry) == ENTRY + ANSWER
    assert entry["eventType"] == "webhook.test" and entry["attempt"] == 1
    assert entry["status"] == "delivered" and entry["responseCode"] == 200

    record, = world.wait_records("deliveries", lambda record: record.headers.get("event-id") == identifier)
    assert record.key.decode() == webhook["id"] and record.partition == murmur2(record.key) % PARTITIONS
    assert record.value == delivery.body
    assert record.headers["purpose"] == "test" and record.headers["origin"] == ""
    assert faults("delivery-headers", record.headers) == []
    attempt, = world.wait_records("attempts", lambda record: record.json["eventId"] == identifier)
    assert attempt.json["purpose"] == "test" and faults("attempts", attempt.json) == []


def test_waiting_answers_with_the_entry(world, account):
    webhook = account.register(world.receiver.url("/waits"), "module.completed")
    world.receiver.script("/waits", [Answer(200, {"X-Place": "here", "Set-Cookie": "sid=31d4"}, b"th\x00nks \xff")])
    entry = entry_of(ask(account, webhook, {"event": "webhook.test", "wait": True}))
    assert list(entry) == ENTRY + ANSWER
    assert entry["responseHeaders"] == {"content-length": "8", "x-place": "here", "set-cookie": "[not kept]"}
    assert entry["responseBody"] == "th\0nks \N{REPLACEMENT CHARACTER}"
    assert entry["status"] == "delivered" and entry["responseCode"] == 200 and entry["attempt"] == 1
    delivery, = world.receiver.at("/waits")
    assert delivery.event_id == entry["eventId"]
    assert logged(account, webhook, entry["eventId"]) == [entry]


@pytest.mark.parametrize("fails", ["500", "refuses"])
def test_a_failed_test_is_one_attempt_that_counts_nowhere(world, account, fails):
    path = "/fails/" + fails
    url = world.receiver.url(path) if fails == "500" else f"http://127.0.0.1:{free_port()}/"
    world.receiver.script(path, [500])
    webhook = account.register(url, "reward.issued")
    entry = entry_of(ask(account, webhook, {"wait": True}))
    assert list(entry) == [*ENTRY[:6], "error", ENTRY[6]] + (ANSWER if fails == "500" else [])
    assert entry["status"] == "failed" and entry["error"] and entry["attempt"] == 1
    assert entry["responseCode"] == (500 if fails == "500" else None)
    marker(world, account, "/marker/" + fails)
    assert left_behind(world, webhook) == []
    assert len(world.receiver.at(path)) == (1 if fails == "500" else 0)
    assert len(logged(account, webhook, entry["eventId"])) == 1
    attempt, = world.wait_records("attempts", lambda record: record.json["eventId"] == entry["eventId"])
    assert attempt.json["nextAttemptAt"] is None and attempt.json["backoffTier"] is None
    assert account.webhook(webhook["id"])["isActive"] is True


def test_an_attempt_that_takes_its_whole_time_is_waited_for(make_world):
    world = make_world(egress={"timeoutMilliseconds": 1000})
    world.run()
    account = world.account()
    webhook = account.register(world.receiver.url("/slow"), "module.completed")
    world.receiver.script("/slow", [Answer(200, delay=30)])
    entry = entry_of(ask(account, webhook, {"wait": True}))
    assert entry["status"] == "failed" and entry["responseCode"] is None and entry["responseTime"] >= 1000


def test_an_inactive_webhook_is_tested(world, account):
    webhook = account.register(world.receiver.url("/inactive"), "module.completed", isActive=False)
    entry = entry_of(ask(account, webhook, {"wait": True}))
    assert entry["status"] == "delivered"
    delivery, = world.receiver.at("/inactive")
    assert delivery.event_id == entry["eventId"] and delivery.signed_with(webhook["signingSecret"])
    assert account.webhook(webhook["id"])["isActive"] is False


def test_another_event_is_refused(world, account):
    webhook = account.register(world.receiver.url("/other-event"), "module.completed")
    response = ask(account, webhook, {"event": "module.completed"})
    assert response.status_code == 422, response.text
    error = response.json()["error"]
    assert error["code"] == "VALIDATION_FAILED"
    assert [fault["pointer"] for fault in error["details"]["errors"]] == ["/event"]
    identifier = asked(ask(account, webhook))
    until(lambda: world.receiver.accepted_ids("/other-event") == {identifier}, 15, "only the one after it")


def test_another_accounts_webhook_is_not_there(world, account):
    other = world.account()
    foreign = other.register(world.receiver.url("/foreign"), "module.completed")
    own = account.register(world.receiver.url("/own"), "module.completed")
    for identifier in [foreign["id"], "wh_" + "0" * 24]:
        response = ask(account, {"id": identifier})
        assert response.status_code == 404 and response.json()["error"]["code"] == "WEBHOOK_NOT_FOUND"
    asked(ask(account, own))
    until(lambda: world.receiver.at("/own"), 15, "the own one")
    world.wait_drained("deliver", "webhooks.deliveries")
    assert world.receiver.at("/foreign") == []


def test_without_a_broker_it_is_503_and_what_waited_does_not_come_later(make_world):
    world = make_world()
    bridge = world.run()
    account = world.account()
    webhook = account.register(world.receiver.url("/away"), "module.completed")
    before = asked(ask(account, webhook))
    until(lambda: world.receiver.accepted_ids("/away") == {before}, 15, "the test before")
    os.kill(world.broker.process.pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        # The first may be in the broker's socket already; the second is never sent.
        assert [ask(account, webhook, {"wait": wait}).status_code for wait in (False, True)] == [503, 503]
        assert time.monotonic() - began < 2 * 5.5
    finally:
        os.kill(world.broker.process.pid, signal.SIGCONT)
    answers = []

    def answered():
        answers.append(ask(account, webhook))
        return answers[-1].status_code == 202

    until(answered, 30, "a broker")
    after = asked(answers[-1])
    until(lambda: after in world.receiver.accepted_ids("/away"), 30, "the test after")
    world.wait_drained("deliver", "webhooks.deliveries")
    assert len(world.dump("deliveries")) <= 2 + len(answers)
    assert bridge.process.alive
