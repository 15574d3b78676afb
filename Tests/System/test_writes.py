"""What the API guarantees to those who write: a request sent again has one outcome, whichever process takes it and after
restarts; a change is for the state that was read; and the audit log tells who changed what."""
import concurrent.futures
import json
import uuid

import pytest

from harness.schemas import faults
from harness.waiting import steady, until


@pytest.fixture(scope="module")
def second(world):
    """Another process with API and registry."""
    return world.run("second")


def call(account, method, path, body=None, bridge=None, **headers):
    return account.call(method, path, body, bridge=bridge, headers={
        "Authorization": f"Bearer {account.api_key}",
        **{name.replace("_", "-"): value for name, value in headers.items()}})


def known(account, *bridges):
    for bridge in bridges:
        until(lambda: account.call("GET", "/v1/webhooks", bridge=bridge).status_code == 200, 10, "the account known")


def registration(number=1):
    return {"url": f"https://example.com/{number}", "events": ["user.created"]}


def audit(world, *bridges):
    return [entry for bridge in bridges for entry in map(json.loads, bridge.log.splitlines()) if "actor" in entry]


def test_one_key_on_two_processes_makes_one_webhook(world, account, second):
    first = world.bridges[0]
    known(account, first, second)
    key = str(uuid.uuid4())
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: call(
            account, "POST", "/v1/webhooks", registration(), (first, second)[number % 2], Idempotency_Key=key), range(8)))
    assert {answer.status_code for answer in answers} == {201}, [answer.text for answer in answers]
    assert len({answer.content for answer in answers}) == 1, "the same body, the same secret"
    assert len(account.webhooks()) == 1
    made = answers[0].json()["data"]
    for bridge in (first, second):
        assert account.call("GET", f"/v1/webhooks/{made['id']}", bridge=bridge).status_code == 200
        other = call(account, "POST", "/v1/webhooks", registration(2), bridge, Idempotency_Key=key)
        assert other.status_code == 422 and other.json()["error"]["code"] == "IDEMPOTENCY_KEY_REUSED"
    # The secret is the one that signs.
    path = f"/v1/webhooks/{made['id']}"
    assert account.call("PATCH", path, {"url": world.receiver.url("/keyed")}).status_code == 200
    tested = call(account, "POST", path + "/test", {}, first, Idempotency_Key=key + "-test")
    again = call(account, "POST", path + "/test", {}, second, Idempotency_Key=key + "-test")
    assert tested.status_code == again.status_code == 202 and tested.content == again.content
    delivery, = until(lambda: world.receiver.at("/keyed"), 15, "the test event")
    assert delivery.signed_with(made["signingSecret"])
    assert steady(lambda: len(world.receiver.at("/keyed"))) == 1
    assert call(account, "DELETE", path, None, second, Idempotency_Key=key + "-delete").status_code == 204

    first.stop()
    first.run()
    for bridge in (first, second):
        again = call(account, "POST", "/v1/webhooks", registration(), bridge, Idempotency_Key=key)
        assert again.status_code == 201 and again.content == answers[0].content
        assert call(account, "DELETE", path, None, bridge, Idempotency_Key=key + "-delete").status_code == 204
        assert call(account, "DELETE", path, None, bridge).status_code == 404
    assert account.webhooks() == []
    results = [record for record in world.dump("results") if record.key == account.id.encode()]
    assert [fault for record in results for fault in faults("results", record.json)] == []
    commands = [record for record in world.dump("commands") if record.key == account.id.encode()]
    assert [fault for record in commands for fault in faults("commands", record.json)] == []


def test_of_two_changes_for_the_same_state_one_is_made(world, account, second):
    first = world.bridges[0]
    known(account, first, second)
    path = "/v1/webhooks/" + account.register("https://example.com/", "user.created")["id"]
    for turn in range(5):
        until(lambda: account.call("GET", path, bridge=second).headers.get("ETag")
              == account.call("GET", path, bridge=first).headers["ETag"], 5, "both processes see the same")
        tag = account.call("GET", path).headers["ETag"]
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(lambda number: call(
                account, "PATCH", path, {"description": f"{turn}/{number}"}, (first, second)[number % 2], If_Match=tag),
                range(6)))
        assert sorted(answer.status_code for answer in answers) == [200] + 5 * [412], [a.text for a in answers]
        done, = [answer for answer in answers if answer.status_code == 200]
        assert done.headers["ETag"] != tag
        refused = next(answer for answer in answers if answer.status_code == 412).json()
        assert refused["error"]["code"] == "PRECONDITION_FAILED"
        now = account.call("GET", path)
        assert now.json()["data"]["description"] == done.json()["data"]["description"]
        assert now.headers["ETag"] == done.headers["ETag"]
    assert call(account, "DELETE", path, None, second, If_Match=tag).status_code == 412
    assert call(account, "DELETE", path, None, second, If_Match="*").status_code == 204


def test_every_change_is_one_audit_line(world, account, second):
    bridges = [world.bridges[0], second]
    key_id = account.api_key.split("_")[2][:8]
    secret_url = world.receiver.url("/audited") + "?token=s3cret"
    webhook = account.register(secret_url, "user.created", description="call ann@example.com")
    path = f"/v1/webhooks/{webhook['id']}"
    assert account.call("PATCH", path, {"events": ["*"], "isActive": False}).status_code == 200
    rotated = account.call("POST", path + "/rotate-secret", {"overlapSeconds": 60}).json()["data"]
    assert account.call("DELETE", path).status_code == 204
    account.call("GET", path, headers={"Authorization": f"Bearer {account.api_key[:-1]}"})
    result = bridges[0].command("accounts", "revoke-key", arguments=["--account", account.id, "--key", key_id])
    assert result.returncode == 0, result.stderr
    lines = until(lambda: len(lines := [entry for entry in audit(world, *bridges) if entry.get("account") == account.id])
                  >= 6 and lines, 10, lambda: f"audit lines {audit(world, *bridges)}")
    assert [(entry["command"], entry["actor"]) for entry in lines] == [
        ("account.create", "command line"), ("webhook.create", f"key {key_id}"), ("webhook.update", f"key {key_id}"),
        ("webhook.rotate-secret", f"key {key_id}"), ("webhook.delete", f"key {key_id}"),
        ("account.revoke-key", "command line")], "one line each, from whichever process is the registry"
    made, changed, turned, gone = lines[1:5]
    assert {entry["webhook"] for entry in lines[1:5]} == {webhook["id"]}
    assert f"url={world.receiver.url('')} events=user.created isActive=true" in made["after"] and "before" not in made
    assert changed["before"] == "events=user.created isActive=true revision=1"
    assert changed["after"] == "events=* isActive=false revision=2"
    assert "secrets=" in turned["before"] and turned["after"].count("/20") == 1
    assert "isActive=false" in gone["before"] and "after" not in gone
    assert f"keys={key_id}:" in lines[5]["before"] and lines[5]["after"] == "keys="
    failed = [entry for bridge in bridges for entry in map(json.loads, bridge.log.splitlines())
              if entry["message"] == "API authentication failed"]
    assert failed and failed[-1]["address"] == "127.0.0.1"
    whole = "".join(bridge.log for bridge in bridges)
    for secret in ("s3cret", "ann@example.com", webhook["signingSecret"], rotated["signingSecret"], account.api_key,
                   account.api_key[:-1], account.email):
        assert secret not in whole
