"""What has to be replaced now and then, without a break: signing secrets, API keys, and the key that seals secrets at rest."""
import base64
import json
import os
import time

from harness.events import completed_modules
from harness.waiting import until
from standardwebhooks import Webhook as Verifier

# Four seconds until the first retry.
WORLD_SETTINGS = {"retry": {"timeScale": 0.8}}


def publish(world, account):
    (identifier, record), = completed_modules(account.id, 1)
    world.backend.put("learnault.modules", record, key=identifier.encode())


def verifies(secret, delivery):
    """By the Standard Webhooks library, which takes any signature of the header."""
    try:
        Verifier(secret).verify(delivery.body, delivery.headers)
        return True
    except Exception:
        return False


def received(world, path, count):
    return until(lambda: len(got := world.receiver.at(path)) >= count and got, 20, f"{count} at {path}")[count - 1]


def test_both_secrets_sign_while_one_is_rotated_out(world, account):
    webhook = account.register(world.receiver.url("/rotated"), "module.completed")
    path = f"/v1/webhooks/{webhook['id']}/rotate-secret"
    old = webhook["signingSecret"]
    asked = time.time()
    answer = account.call("POST", path, {"overlapSeconds": 5})
    assert answer.status_code == 200 and set(answer.json()) == {"success", "data"}
    new = answer.json()["data"]["signingSecret"]
    assert answer.json()["data"]["id"] == webhook["id"] and new != old and new.startswith("whsec_")
    # The first attempt fails during the overlap, its retry comes when that is over.
    world.receiver.script("/rotated", [500, 200])
    publish(world, account)
    first = received(world, "/rotated", 1)
    assert first.wall < asked + 5, "within the overlap"
    assert first.signed_with(old) and not first.signed_with(new), "the documented verifiers go on with the old one"
    assert verifies(old, first) and verifies(new, first)
    assert first.headers["webhook-signature"].count("v1,") == 2
    second = received(world, "/rotated", 2)
    until(lambda: time.time() > asked + 6, 10, "the overlap is over")
    publish(world, account)
    third = received(world, "/rotated", 3)
    for delivery in [third] if second.wall < asked + 6 else [second, third]:
        assert delivery.signed_with(new) and verifies(new, delivery)
        assert not delivery.signed_with(old) and not verifies(old, delivery)
    last = account.call("POST", path, {"overlapSeconds": 0}).json()["data"]["signingSecret"]
    publish(world, account)
    fourth = received(world, "/rotated", 4)
    assert fourth.signed_with(last) and not verifies(new, fourth)
    assert account.call("GET", f"/v1/webhooks/{webhook['id']}").status_code == 200
    assert account.call("POST", path, {"overlapSeconds": 604801}).status_code == 422


def accounts(bridge, *words):
    return bridge.command("accounts", *words[:1], arguments=words[1:])


def status(account, key, bridge):
    return account.call("GET", "/v1/webhooks", bridge=bridge,
                        headers={"Authorization": f"Bearer {key}"}).status_code


# README: at once, everywhere within a second. The half beside it is the test machine's, which runs all of it on few cores.
EVERYWHERE_SECONDS = 1 + 0.5


def refused_after(account, key, returned, *bridges):
    """For how long after the command each process still took the key, in seconds: when the last request was sent that it answered,
    whatever the machine does in between. Whoever has refused it goes on doing so."""
    taken, refused = {each: 0 for each in bridges}, set()

    def ask():
        for each in bridges:
            sent = time.monotonic() - returned
            answer = status(account, key, each)
            if answer == 401:
                refused.add(each)
            else:
                taken[each] = sent
            assert answer == (401 if each in refused else 200), answer
        return len(refused) == len(bridges)

    until(ask, 5, "the key refused by every process")
    return list(taken.values())


def test_an_api_key_is_rotated_and_revoked(world, account):
    bridge, second = world.bridges[0], world.run("second")
    until(lambda: status(account, account.api_key, second) == 200, 10, "known to both")
    result = accounts(bridge, "rotate-key", "--account", account.id, "--overlap-hours", "1")
    assert result.returncode == 0 and result.stderr == "", result.stderr
    made = json.loads(result.stdout)
    assert set(made) == {"accountId", "apiKey", "keyId", "previousKeyExpiresAt"}
    answered = time.monotonic()
    for each in (bridge, second):
        until(lambda: status(account, made["apiKey"], each) == 200, 5, "the new key known")
        assert status(account, account.api_key, each) == 200, "and the old one still"
    assert time.monotonic() - answered < 5

    account.register(world.receiver.url("/listed"), "user.created")
    listed = [json.loads(line) for line in accounts(bridge, "list").stdout.splitlines()]
    mine, = [entry for entry in listed if entry["accountId"] == account.id]
    old_id = account.api_key.split("_")[2][:8]
    assert mine["email"] == account.email and mine["webhooks"] == 1
    assert [key["id"] for key in mine["keys"]] == [old_id, made["keyId"]]
    assert mine["keys"][0]["expiresAt"] == made["previousKeyExpiresAt"] and "expiresAt" not in mine["keys"][1]
    assert account.api_key not in str(listed) and made["apiKey"] not in str(listed)

    result = accounts(bridge, "revoke-key", "--account", account.id, "--key", old_id)
    times = refused_after(account, account.api_key, time.monotonic(), bridge, second)
    assert max(times) <= EVERYWHERE_SECONDS, times
    assert result.returncode == 0 and json.loads(result.stdout) == {
        "accountId": account.id, "keyId": old_id, "revoked": True}
    for each in (bridge, second):
        assert status(account, made["apiKey"], each) == 200
    again = accounts(bridge, "revoke-key", "--account", account.id, "--key", old_id)
    assert again.returncode == 1 and "no API key of this id" in again.stderr
    leaked = accounts(bridge, "revoke-key", "--account", account.id, "--key", made["apiKey"])
    assert leaked.returncode == 2 and made["apiKey"] not in leaked.stderr, "a key is not repeated"
    nobody = accounts(bridge, "rotate-key", "--account", "acct_" + "0" * 24)
    assert nobody.returncode == 1 and nobody.stdout == ""
    assert accounts(bridge, "rotate-key", "--account", account.id, "--overlap-hours", "169").returncode == 2
    ended = accounts(bridge, "rotate-key", "--account", account.id, "--overlap-hours", "0")
    times = refused_after(account, made["apiKey"], time.monotonic(), bridge, second)
    assert max(times) <= EVERYWHERE_SECONDS, ("without an overlap the old key ends at once", times)
    assert status(account, json.loads(ended.stdout)["apiKey"], second) == 200


def test_secrets_are_sealed_again_with_a_new_key(make_world):
    world = make_world()
    bridge = world.run()
    account = world.account()
    webhook = account.register(world.receiver.url("/sealed"), "module.completed")
    other = account.register(world.receiver.url("/other"), "user.created")
    account.call("POST", f"/v1/webhooks/{other['id']}/rotate-secret", {"overlapSeconds": 3600})
    # Three secrets on the topic, of which one is over when it comes to the keys.
    brief = account.register(world.receiver.url("/brief"), "user.created")
    account.call("POST", f"/v1/webhooks/{brief['id']}/rotate-secret", {"overlapSeconds": 1})
    ended = time.time() + 1
    path = bridge.settings["secrets"]["keyFile"]
    old, new = open(path, "rb").read(), os.urandom(32)

    def write_keys(*lines):
        with open(path, "w") as file:
            file.writelines(f"{name}:{base64.b64encode(key).decode()}\n" for name, key in lines)

    def restart():
        bridge.stop()
        bridge.run()

    def key_ids():
        latest = {}
        for record in world.dump("subscriptions"):
            if record.key != b"epoch":
                latest[record.key.decode()] = [secret["keyId"] for secret in record.json["secrets"]]
        return latest

    def rewrap():
        result = bridge.command("secrets", "rewrap")
        return result.returncode, json.loads(result.stdout), result.stderr

    write_keys(("k2", new), ("default", old))
    restart()
    until(lambda: time.time() > ended, 5, "the brief overlap over")
    both = ["default", "default"]
    assert key_ids() == {webhook["id"]: ["default"], other["id"]: both, brief["id"]: both}
    assert rewrap() == (0, {"webhooks": 3, "secrets": 5, "rewrapped": 4, "failed": 0}, "")
    assert key_ids() == {webhook["id"]: ["k2"], other["id"]: ["k2", "k2"], brief["id"]: ["k2", "default"]}
    assert rewrap() == (0, {"webhooks": 3, "secrets": 5, "rewrapped": 0, "failed": 0}, "")
    # The old key may go: what is still sealed with it signs nothing any more.
    write_keys(("k2", new))
    restart()
    assert rewrap() == (0, {"webhooks": 3, "secrets": 5, "rewrapped": 0, "failed": 0}, "")
    account.call("PATCH", f"/v1/webhooks/{brief['id']}", {"events": ["module.completed"]})
    publish(world, account)
    assert received(world, "/sealed", 1).signed_with(webhook["signingSecret"]), "the same secret as ever"
    assert received(world, "/brief", 1)
    assert "being rotated out" not in bridge.log, "nor is there anything to warn of"

    write_keys(("k3", os.urandom(32)))
    code, counts, complaint = rewrap()
    assert code == 1 and counts == {"webhooks": 3, "secrets": 5, "rewrapped": 0, "failed": 3}
    assert webhook["id"] in complaint and "k2" in complaint
