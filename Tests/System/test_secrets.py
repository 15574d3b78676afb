"""Canaries: no signing secret and no API key in any log or topic; no address in a delivery's headers."""
import base64

from harness.events import domain_record
from harness.kafka import dump, partitions
from harness.waiting import until


def forms(secret):
    """The ways a secret could be written down."""
    plain = {secret, secret.removeprefix("whsec_")}
    encoded = {base64.b64encode(text.encode()).decode().rstrip("=") for text in plain}
    return {form.encode() for form in plain | encoded | {secret.encode().hex()}}


def test_secrets_appear_nowhere(make_world):
    world = make_world(retry={"timeScale": 0.0001})
    bridge = world.run()
    account = world.account()
    good = account.register(world.receiver.url("/good"), "module.completed")
    bad = account.register(world.receiver.url("/bad"), "module.completed")
    world.receiver.script("/bad", [500])
    world.backend.put("learnault.modules", domain_record("module.completed", account.id))
    account.call("GET", "/v1/webhooks", headers={"Authorization": f"Bearer {account.api_key}x"})
    account.call("PATCH", f"/v1/webhooks/{good['id']}", {"description": "changed"})
    rotated = account.call("POST", f"/v1/webhooks/{good['id']}/rotate-secret").json()["data"]["signingSecret"]
    # What answers a repeated request stands on a topic, sealed.
    keyed = [account.call("POST", "/v1/webhooks", {"url": world.receiver.url("/keyed"), "events": ["user.created"]}, headers={
        "Authorization": f"Bearer {account.api_key}", "Idempotency-Key": "once"}) for _ in range(2)]
    assert keyed[0].status_code == 201 and keyed[0].content == keyed[1].content
    until(lambda: len(world.receiver.at("/bad")) >= 4 and world.receiver.at("/good"), 20, "some attempts")
    until(lambda: len(account.log(bad["id"])["data"]) >= 4, 10, "the log")
    account.call("DELETE", f"/v1/webhooks/{bad['id']}")
    bridge.stop()

    topics = [topic for topic in partitions(world.broker.bootstrap) if topic.startswith("webhooks.")]
    records = dump(world.broker.bootstrap, *topics)
    assert {record.topic for record in records} >= {
        "webhooks." + topic for topic in ["deliveries", "retries", "attempts", "subscriptions", "accounts"]}
    state = b"".join(path.read_bytes() for path in world.directory.rglob("*")
                     if path.is_file() and "-state" in str(path))
    places = {"log": bridge.log.encode(), "state directory": state}
    for record in records:
        headers = "\n".join(f"{name}: {value}" for name, value in record.headers.items()).encode()
        places[record.origin] = b"\n".join([record.key or b"", headers, record.value or b""])
    for secret in [good["signingSecret"], bad["signingSecret"], rotated, keyed[0].json()["data"]["signingSecret"],
                   account.api_key]:
        for form in forms(secret):
            assert [name for name, text in places.items() if form in text] == []
    # The search can fail: the webhook's id is in several places.
    assert [name for name, text in places.items() if bad["id"].encode() in text]

    for record in records:
        if record.topic.rpartition(".")[2] in ("deliveries", "deferred", "retries", "dead-letters"):
            text = str(record.headers)
            assert "http://" not in text and account.email not in text and "user@example.com" not in text
