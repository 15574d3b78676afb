"""What a webhook missed comes back: a time range again, and one delivery again. On noida-db, which looks times up."""
import bisect
import re
import time
from datetime import datetime, timezone

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from harness.events import completed_modules, delivery_id, domain_record, event_id, expected_body, topic_of
from harness.kafka import partitions
from harness.receiver import Answer
from harness.schemas import judged
from harness.waiting import steady, until

RATE = 400
WORLD_SETTINGS = {"limits": {"eventsPerSecond": RATE}, "retry": {"timeScale": 0.00001}}
TOPIC = "learnault.modules"


def stamp(seconds=None):
    """RFC 3339 to the millisecond, now if nothing is given."""
    moment = datetime.fromtimestamp(time.time() if seconds is None else seconds, timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def switch(account, webhook, is_active):
    response = account.call("PATCH", f"/v1/webhooks/{webhook['id']}", {"isActive": is_active})
    assert response.status_code == 200, response.text


def produce(world, account, count):
    """`count` modules completed, sent and acknowledged: {event id: domain event id}."""
    records = completed_modules(account.id, count)
    for identifier, record in records:
        world.backend.send(TOPIC, record, key=identifier, tag=identifier)
    world.backend.flush()
    return {identifier: record["eventId"] for identifier, record in records}


def missed(world, account, webhook, count):
    """What happens while the webhook is off; when it began, and the events."""
    switch(account, webhook, False)
    time.sleep(0.002)  # the range begins at a millisecond
    since = stamp()
    events = produce(world, account, count)
    world.wait_drained("translate", TOPIC)
    switch(account, webhook, True)
    return since, events


def ask(account, webhook, bridge=None, status=202, **body):
    response = account.call("POST", f"/v1/webhooks/{webhook['id']}/replay", body, bridge=bridge)
    assert response.status_code == status, response.text
    return response.json()["data"] if status == 202 else response.json()["error"]


def shown(account, webhook, replay, bridge=None):
    response = account.call("GET", f"/v1/webhooks/{webhook['id']}/replays/{replay['id']}", bridge=bridge)
    assert response.status_code == 200, response.text
    return response.json()["data"]


def wait_ended(world, account, webhook, replay, timeout=60, bridge=None):
    def ended():
        data = shown(account, webhook, replay, bridge)
        return data if data["status"] != "running" else None

    return until(ended, timeout, lambda: f"the end of {shown(account, webhook, replay, bridge)}\n"
                 + "\n".join(each.log[-3000:] for each in world.bridges))


def arrived(world, path, events):
    return lambda: set(events) <= world.receiver.accepted_ids(path)


def most_in_a_second(deliveries):
    times = sorted(delivery.arrived for delivery in deliveries)
    return max(number - bisect.bisect_left(times, at - 1) + 1 for number, at in enumerate(times))


@pytest.mark.timeout(120)
def test_a_disabled_period_arrives_complete(world, account):
    """Same event ids, new delivery ids, the same bodies, signed, within the rate; the preview has counted them."""
    other = world.account()
    other.register(world.receiver.url("/others"), "*")
    webhook = account.register(world.receiver.url("/missed"), "module.completed")
    before = produce(world, account, 5)
    until(arrived(world, "/missed", before), 20, "what came before")
    switch(account, webhook, False)
    time.sleep(0.002)
    since = stamp()
    events = produce(world, account, 1000)
    produce(world, other, 20)
    world.backend.put(TOPIC, domain_record("module.completed", account.id)["payload"])  # no webhook can be made of it
    world.backend.put("learnault.rewards", domain_record("reward.issued", account.id))  # not subscribed to
    world.wait_drained("translate", TOPIC)
    assert ask(account, webhook, since=since, status=409)["code"] == "WEBHOOK_INACTIVE"
    switch(account, webhook, True)
    until_ = stamp()

    preview = ask(account, webhook, since=since, until=until_, dryRun=True)
    preview = wait_ended(world, account, webhook, preview)
    assert preview["status"] == "finished" and preview["dryRun"] is True
    assert preview["counts"]["events"] == 1000 and preview["counts"]["unmappable"] == 1
    assert preview["counts"]["read"] == preview["counts"]["records"] >= 1021
    assert preview["from"] == since
    assert world.receiver.accepted_ids("/missed") == set(before), "a preview sends nothing"

    replay = ask(account, webhook, since=since, until=until_)
    assert replay["status"] == "running" and re.fullmatch(r"rpl_[0-9a-f]{24}", replay["id"])
    assert replay["counts"]["records"] == preview["counts"]["records"]
    assert ask(account, webhook, since=since, status=409)["code"] == "REPLAY_RUNNING"
    live = produce(world, account, 20)
    until(arrived(world, "/missed", live), 20, "what happens meanwhile")
    assert not arrived(world, "/missed", events)(), "not vacuous: the replay goes on meanwhile"
    done = wait_ended(world, account, webhook, replay)
    assert done["status"] == "finished" and done["counts"] == preview["counts"]
    until(arrived(world, "/missed", events), 30, lambda: f"{len(world.receiver.accepted_ids('/missed'))} arrived")
    world.wait_drained("deliver", "webhooks.deferred")

    got = world.receiver.at("/missed")
    assert len(got) == 1025, "nothing twice, nothing else"
    for delivery in got:
        assert delivery.signed_with(webhook["signingSecret"])
        run = replay["id"] if delivery.event_id in events else ""
        assert delivery.headers["x-learnault-delivery"] == f"{delivery_id(delivery.event_id, webhook['id'], run)}.1"
        assert delivery.body == expected_body("module.completed", delivery.event_id)
    assert most_in_a_second(got) <= RATE * 1.1
    replayed = [record for record in world.dump("deferred") if record.headers.get("run") == replay["id"]]
    assert {record.headers["event-id"] for record in replayed} == set(events)
    assert {record.headers["purpose"] for record in replayed} == {"replay"}
    assert {record.headers["origin"] for record in replayed} == {world.backend.acknowledged[each] for each in events}
    attempts = [record.json for record in world.dump("attempts") if record.key.decode() == webhook["id"]]
    assert sum(attempt["purpose"] == "replay" for attempt in attempts) == 1000
    for topic in ["deferred", "commands", "results", "subscriptions"]:
        for record in world.dump(topic):
            verdicts = judged(record)
            assert [name for name, against in verdicts.items() if not against], f"{topic}: {record} {verdicts}"
    asked = {record.json["type"] for record in world.dump("commands")}
    assert {"replay.start", "replay.finish"} <= asked
    state = [record.json for record in world.dump("subscriptions") if record.key.decode() == webhook["id"]][-1]
    assert [each["status"] for each in state["replays"]] == ["finished", "finished"]


def test_the_range_is_by_the_records_times_whatever_their_order(world, account):
    """Also what is older than the webhook, which never gets it otherwise; timestamps on a partition go up and down."""
    webhook = account.register(world.receiver.url("/older"), "user.created", "user.deleted")
    now = time.time()
    ages = {"before": 7300, "first": 7200, "late": 3400, "middle": 5400, "last": 3601, "behind": 3600}
    for name, age in ages.items():
        record = domain_record("user.created", account.id, f"{name}-{account.id}")
        world.backend.put(topic_of("user.created"), record, key=b"one partition", timestamp=int((now - age) * 1000))
    world.wait_drained("translate", topic_of("user.created"))
    body = {"since": stamp(int((now - 7200) * 1000) / 1000), "until": stamp(int((now - 3600) * 1000) / 1000)}
    wanted = {event_id(topic_of("user.created"), f"{name}-{account.id}", "user.created")
              for name in ["first", "middle", "last"]}
    assert world.receiver.at("/older") == []
    replay = ask(account, webhook, **body)
    done = wait_ended(world, account, webhook, replay)
    assert done["counts"]["events"] == 3
    until(arrived(world, "/older", wanted), 15, "three events")
    world.wait_drained("deliver", "webhooks.deferred")
    assert world.receiver.accepted_ids("/older") == wanted


@pytest.mark.timeout(180)
def test_kill_9_in_the_middle_completes_after_a_restart(make_world):
    # With its own instance id: this broker never expires a dead member, but knows it again.
    world = make_world(limits={"eventsPerSecond": 100}, instance={"id": "one"})
    bridge = world.run()
    account = world.account()
    webhook = account.register(world.receiver.url("/killed"), "module.completed")
    since, events = missed(world, account, webhook, 600)
    replay = ask(account, webhook, since=since)

    # Behind the first report, so that it does not begin from the start.
    def reported():
        counts = shown(account, webhook, replay)["counts"]
        return counts if counts["read"] else None

    first = until(reported, 30, lambda: f"a report\n{bridge.log[-3000:]}")
    bridge.kill()
    before = len(world.receiver.at("/killed"))
    assert first["read"] < first["records"] and before < 600, "not vacuous: in the middle"
    bridge.run()
    done = wait_ended(world, account, webhook, replay, 90)
    assert done["status"] == "finished" and done["counts"]["events"] == 600
    until(arrived(world, "/killed", events), 60, lambda: f"{len(world.receiver.accepted_ids('/killed'))} arrived")
    got = world.receiver.at("/killed")
    for delivery in got:
        assert delivery.headers["x-learnault-delivery"].startswith(
            delivery_id(delivery.event_id, webhook["id"], replay["id"]) + ".")
    repeated = len(got) - 600
    # It was killed right behind a report: what came since, and what had no committed offset (≤ 1 s), not all from the start.
    assert repeated < first["events"] * 2 // 3, f"{repeated} repeated, {first} reported"
    print(f"killed at {before} of 600; {repeated} repeated")


@pytest.mark.timeout(180)
def test_a_move_completes(make_world):
    world = make_world(limits={"eventsPerSecond": 100})
    one = world.run("one")
    account = world.account()
    webhook = account.register(world.receiver.url("/moved"), "module.completed")
    since, events = missed(world, account, webhook, 800)
    replay = ask(account, webhook, since=since)
    until(lambda: len(world.receiver.at("/moved")) > 50, 30, lambda: f"it begins\n{one.log[-3000:]}")
    two = world.run("two")
    until(lambda: shown(account, webhook, replay, two)["counts"]["read"], 30, "a report that the other one sees")
    account.bridge = two
    one.stop()
    assert shown(account, webhook, replay)["status"] == "running", "not vacuous: in the middle"
    done = wait_ended(world, account, webhook, replay, 90)
    assert done["status"] == "finished" and done["counts"]["events"] == 800
    until(arrived(world, "/moved", events), 60, lambda: f"{len(world.receiver.accepted_ids('/moved'))} arrived")
    assert '"replay begins"' in two.log, "the second one went on with it"


@pytest.mark.timeout(90)
def test_cancelling_stops_it(world, account):
    webhook = account.register(world.receiver.url("/cancelled"), "module.completed")
    since, events = missed(world, account, webhook, 2000)
    # Slow, so that much of it waits for its turn when it is cancelled.
    world.receiver.script("/cancelled", lambda _: Answer(200, delay=1))
    replay = ask(account, webhook, since=since)

    def waiting():
        written = [record for record in world.dump("deferred") if record.headers.get("run") == replay["id"]]
        return len(written) - len(world.receiver.at("/cancelled")) > 150

    until(waiting, 30, "a backlog of it")
    path = f"/v1/webhooks/{webhook['id']}/replays/{replay['id']}"
    assert account.call("DELETE", path).status_code == 204
    at_once = len(world.receiver.at("/cancelled"))
    data = shown(account, webhook, replay)
    assert data["status"] == "cancelled" and data["reason"] == "cancelled on request"
    count = steady(lambda: len(world.receiver.at("/cancelled")))
    assert count <= at_once + 40, "what was waiting is dropped"
    world.wait_drained("deliver", "webhooks.deferred")
    assert account.call("DELETE", path).status_code == 204, "it does not run, which is what was asked for"
    # And a new one may begin.
    again = ask(account, webhook, since=since, dryRun=True)
    assert wait_ended(world, account, webhook, again)["counts"]["events"] == 2000


@pytest.mark.timeout(90)
def test_a_disabled_webhook_ends_its_replay(world, account):
    webhook = account.register(world.receiver.url("/off"), "module.completed")
    since, _ = missed(world, account, webhook, 2000)
    replay = ask(account, webhook, since=since)
    until(lambda: len(world.receiver.at("/off")) > 20, 30, "it begins")
    world.receiver.script("/off", [500])
    done = wait_ended(world, account, webhook, replay)
    assert done["status"] == "cancelled" and done["reason"] == "the webhook was disabled: too many failures"
    assert len(world.receiver.accepted_ids("/off")) < 2000


def test_the_command_line(world, account):
    bridge = world.bridges[0]
    webhook = account.register(world.receiver.url("/commanded"), "module.completed")
    since, events = missed(world, account, webhook, 30)
    named = ["--webhook", webhook["id"]]
    assert bridge.command("replay", "status", arguments=named).stdout == "no replays\n"
    preview = bridge.command("replay", arguments=[*named, "--since", since, "--dry-run"])
    assert preview.returncode == 0, preview.stderr
    assert re.fullmatch(r"rpl_[0-9a-f]{24}  finished  dry run  \S+ to \S+  read \d+ of \d+ records, 30 events",
                        preview.stdout.splitlines()[-1]), preview.stdout
    assert world.receiver.at("/commanded") == []
    result = bridge.command("replay", arguments=[*named, "--since", since, "--follow"])
    assert result.returncode == 0, result.stderr
    assert re.match(r"rpl_[0-9a-f]{24}  finished  ", result.stdout.splitlines()[-1]), result.stdout
    until(arrived(world, "/commanded", events), 30, "all of it")
    status = bridge.command("replay", "status", arguments=named)
    assert status.stdout.splitlines()[-1] == result.stdout.splitlines()[-1]
    cancel = bridge.command("replay", "cancel", arguments=named)
    assert cancel.returncode == 1 and "no replay" in cancel.stderr
    for arguments, code, words in [
            ([*named, "--since", "tomorrow"], 2, "neither a time"), ([*named, "--since", stamp(time.time() + 60)], 2, "nothing lies"),
            (["--webhook", "wh_" + "0" * 24, "--since", "1h"], 1, "there is no webhook"), (["--webhook", "x", "--since", "1h"], 2, "not a webhook id")]:
        result = bridge.command("replay", arguments=arguments)
        assert result.returncode == code and words in result.stderr, result.stderr
    switch(account, webhook, False)
    result = bridge.command("replay", arguments=[*named, "--since", since])
    assert result.returncode == 1 and "is inactive" in result.stderr


def test_a_broker_that_knows_no_times_is_read_from_its_beginning(make_world):
    world = make_world("embedded", limits={"eventsPerSecond": RATE})
    world.run()
    account = world.account()
    webhook = account.register(world.receiver.url("/timeless"), "module.completed")
    before = produce(world, account, 5)
    until(arrived(world, "/timeless", before), 30, "what came before")
    since, events = missed(world, account, webhook, 50)
    replay = ask(account, webhook, since=since)
    assert replay["counts"]["records"] >= 55
    assert wait_ended(world, account, webhook, replay)["counts"]["events"] == 50, "their own times decide"
    until(arrived(world, "/timeless", events), 30, "all of it")
    assert len(world.receiver.at("/timeless")) == 55


# MARK: One delivery again

def retry(account, webhook, event):
    return account.call("POST", f"/v1/webhooks/{webhook['id']}/deliveries/{event}/retry")


def wait_logged(account, webhook, event):
    until(lambda: any(entry["eventId"] == event for entry in account.log(webhook["id"], limit=100)["data"]), 15,
          f"{event} in the log")


def example(world, account, webhook, event_type="user.created", name="once"):
    """One event of a type that no other test sends; its id."""
    record = domain_record(event_type, account.id, f"{name}-{account.id}")
    world.backend.put(topic_of(event_type), record, key=b"usr_123")
    return event_id(topic_of(event_type), record["eventId"], event_type)


def trim(world, topic):
    """Takes everything off a topic, as retention would."""
    admin = AdminClient({"bootstrap.servers": world.broker.bootstrap, "log_level": 0})
    places = [TopicPartition(topic, partition, -1) for partition in range(partitions(world.broker.bootstrap)[topic])]
    for future in admin.delete_records(places).values():
        future.result(timeout=10)


def test_a_delivered_event_is_sent_again(world, account):
    webhook = account.register(world.receiver.url("/again"), "user.created")
    event = example(world, account, webhook)
    until(arrived(world, "/again", {event}), 15, "the first time")
    wait_logged(account, webhook, event)
    answers = [retry(account, webhook, event) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202], answers[0].text
    until(lambda: len(world.receiver.at("/again")) == 3, 15, lambda: f"three, there are {world.receiver.at('/again')}")
    got = world.receiver.at("/again")
    assert {delivery.event_id for delivery in got} == {event}
    assert {delivery.body for delivery in got} == {expected_body("user.created", event)}
    assert all(delivery.signed_with(webhook["signingSecret"]) for delivery in got)
    told = [answer.json()["data"]["deliveryId"] for answer in answers]
    assert sorted(delivery.headers["x-learnault-delivery"] for delivery in got[1:]) == sorted(f"{each}.1" for each in told)
    assert len({delivery_id(event, webhook["id"]), *told}) == 3
    assert retry(account, webhook, "evt_" + "0" * 24).json()["error"]["code"] == "EVENT_NOT_FOUND"


@pytest.mark.timeout(90)
def test_a_given_up_event_is_sent_again_also_without_its_source(world, account):
    """The topic of employers is this test's alone: it takes everything off it."""
    webhook = account.register(world.receiver.url("/given-up"), "employer.*")
    good = account.register(world.receiver.url("/given-good"), "employer.*")
    world.receiver.script("/given-up", [500])
    record = {"eventId": f"given-up-{account.id}", "eventType": "EmployerSubscribed",
              "occurredAt": "2024-02-01T09:00:00Z", "accountId": account.id,
              "payload": {"employer": {"id": "emp_77", "companyName": "Acme", "contactEmail": "talent@acme.example"},
                          "subscription": {"id": "sub_55", "plan": "growth", "billingInterval": "month",
                                           "amount": 99.5, "currency": "USD", "seats": 5,
                                           "subscribedAt": "2024-02-01T09:00:00Z"}}}
    since = stamp()
    world.backend.put("learnault.employers", record, key=b"emp_77")
    event = event_id("learnault.employers", record["eventId"], "employer.subscribed")
    until(arrived(world, "/given-good", {event}), 15, "the other webhook has it")
    until(lambda: account.webhook(webhook["id"])["isActive"] is False, 30, "given up and disabled")
    world.wait_records("dead-letters", lambda letter: letter.headers.get("event-id") == event
                       and letter.key.decode() == webhook["id"])
    wait_logged(account, webhook, event)
    wait_logged(account, good, event)
    assert retry(account, webhook, event).json()["error"]["code"] == "WEBHOOK_INACTIVE"
    world.receiver.script("/given-up", [200])
    switch(account, webhook, True)
    assert retry(account, webhook, event).status_code == 202
    until(arrived(world, "/given-up", {event}), 15, "sent again from its source")

    world.wait_drained("translate", "learnault.employers")
    trim(world, "learnault.employers")
    # Younger letters than what is read in one go stand behind it.
    letter, = world.wait_records("dead-letters", lambda letter: letter.headers.get("event-id") == event
                                 and letter.key.decode() == webhook["id"])
    for number in range(3500):
        world.backend.send("webhooks.dead-letters", {"n": number}, key=b"filler", partition=letter.partition)
    world.backend.flush()
    assert retry(account, webhook, event).status_code == 202
    until(lambda: len([each for each in world.receiver.at("/given-up") if each.accepted]) == 2, 15,
          "sent again from its dead letter")
    bodies = {delivery.body for delivery in world.receiver.at("/given-up")}
    assert bodies == {delivery.body for delivery in world.receiver.at("/given-good")}
    # The other one never gave it up: nothing of it is kept.
    answer = retry(account, good, event)
    assert answer.status_code == 410 and answer.json()["error"]["code"] == "EVENT_EXPIRED", answer.text

    # What a topic does not keep any more is said, once something shows where it begins.
    world.backend.put("learnault.employers", {**record, "eventId": "later"}, key=b"emp_77")
    data = ask(account, good, since=since, dryRun=True)
    assert data["from"] > since


def test_an_event_whose_topic_is_gone_has_expired(world, account):
    webhook = account.register(world.receiver.url("/topicless"), "user.created")
    event = example(world, account, webhook, name="topicless")
    until(arrived(world, "/topicless", {event}), 15, "delivered")
    wait_logged(account, webhook, event)
    logged = next(record.json for record in world.dump("attempts") if record.json["eventId"] == event)
    gone = "evt_" + "e" * 24
    world.backend.put("webhooks.attempts", {**logged, "eventId": gone, "origin": "no.such.topic/0/7"},
                      key=webhook["id"].encode())
    wait_logged(account, webhook, gone)
    answer = retry(account, webhook, gone)
    assert answer.status_code == 410 and answer.json()["error"]["code"] == "EVENT_EXPIRED", answer.text
