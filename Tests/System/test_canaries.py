"""Marked secrets, payloads and addresses through everything that can go wrong: none is in a log, a metric, an error's text or
a dead letter's headers. (What topics and disk may hold: test_secrets.py.)"""
import base64
import json
from pathlib import Path

import requests

from harness.bridge import Account
from harness.events import domain_record
from harness.metrics import Metrics
from harness.processes import command
from harness.receiver import Answer
from harness.smtp import MailServer
from harness.waiting import until

OWNER, PERSON = "canary.owner@customer.example", "canary.person@people.example"
PASSWORD, TITLE, TOKEN = "canary-smtp-password", "Canary module title", "canary-url-token"
WRONG_KEY = "lnk_live_CanaryWrongKeyCanaryWrongKeyCanaryWrongKey0"
BODY = "canary-request-value"
ANSWER = "canary-receiver-answer"


def forms(secret):
    """The ways it could be written down."""
    raw = secret if isinstance(secret, bytes) else secret.encode()
    encoded = {base64.b64encode(raw).decode().rstrip("="), raw.hex(), raw.hex().upper()}
    return encoded | ({secret} if isinstance(secret, str) else set())


def record(account, name, **changes):
    value = domain_record("module.completed", account.id, name)
    value["payload"]["user"]["email"] = PERSON
    value["payload"]["module"]["title"] = TITLE
    value["payload"].update(changes)
    return value


def test_nothing_marked_is_told(make_world, tmp_path):
    mail_server = MailServer(users={"bridge": PASSWORD})
    try:
        _run(make_world, tmp_path, mail_server)
    finally:
        mail_server.close()


def _run(make_world, tmp_path, mail_server):
    (tmp_path / "password").write_text(PASSWORD)
    world = make_world(retry={"timeScale": 0.00001}, mail={
        "smtp": f"smtp://127.0.0.1:{mail_server.port}", "from": "webhooks@bridge.example", "requireTLS": False,
        "username": "bridge", "passwordFile": str(tmp_path / "password")})
    bridge = world.run()
    account = Account(bridge, OWNER)
    good = account.register(world.receiver.url(f"/good?token={TOKEN}"), "module.completed", description=BODY)
    bad = account.register(world.receiver.url(f"/bad?token={TOKEN}"), "module.completed")
    nowhere = account.register(f"http://canary-host.invalid/?token={TOKEN}", "module.completed")
    world.receiver.script(f"/bad?token={TOKEN}", [Answer(500, {"X-Canary": ANSWER}, ANSWER.encode())])
    errors = [_refused(bridge, account, good["id"]).encode()]

    # Delivered, failed until its webhook is disabled and the owner mailed, and not mappable in several ways.
    world.backend.put("learnault.modules", record(account, "good"))
    unmappable = [
        world.backend.put("learnault.modules", json.dumps(value).encode() if isinstance(value, dict) else value)
        for value in (record(account, "no attempt", attempt={"score": PERSON}), f'{{"{TITLE}": "{PERSON}'.encode(),
                      {**record(account, "no type"), "eventType": TITLE})]
    until(lambda: mail_server.to(OWNER), 40, "the owner mailed")
    until(lambda: account.webhook(bad["id"])["isActive"] is False, 40, "the failing webhook disabled")
    until(lambda: account.webhook(nowhere["id"])["isActive"] is False, 40, "the other failing webhook disabled")
    test = account.call("POST", f"/v1/webhooks/{bad['id']}/test", {"wait": True})
    assert test.status_code in (200, 202)
    letters = until(lambda: _letters(world, unmappable, [bad["id"], nowhere["id"]]), 20, "the dead letters")

    listed = command("dead-letters", "list", "--config", bridge.configuration)
    assert listed.returncode == 0 and unmappable[0] in listed.stdout
    metrics = Metrics(bridge).text
    bridge.stop()
    told = {
        "log": bridge.log.encode(), "stdout": bridge.process.stdout.encode(), "metrics": metrics.encode(),
        "errors of the API": errors[0], "dead-letters list": (listed.stdout + listed.stderr).encode(),
        "headers of dead letters": b"\n".join(
            name.encode() + b": " + (value or b"") for letter in letters for name, value in letter.raw_headers)}

    # What was marked did come by.
    body = next(delivery.body for delivery in world.receiver.at(f"/good?token={TOKEN}"))
    assert PERSON.encode() in body and TITLE.encode() in body
    assert any(TITLE.encode() in (letter.value or b"") for letter in letters)
    assert mail_server.mails[0].user == "bridge"
    master = Path(bridge.settings["secrets"]["keyFile"]).read_bytes()
    secrets = [master, account.api_key, PASSWORD, WRONG_KEY]
    secrets += [form for hook in (good, bad, nowhere) for form in (
        hook["signingSecret"], base64.b64decode(hook["signingSecret"].removeprefix("whsec_")))]
    marked = {form for secret in secrets for form in forms(secret)} | {OWNER, PERSON, TITLE, TOKEN, BODY, ANSWER}
    found = [(place, form) for place, text in told.items() for form in marked if form.encode() in text]
    assert found == []
    # And the search can fail: ids are told.
    assert bad["id"].encode() in told["log"] and account.id.encode() in told["log"]


def _letters(world, origins, webhooks):
    letters = world.dump("dead-letters")
    keys = {letter.key.decode() for letter in letters}
    complete = set(origins) <= {letter.headers.get("origin") for letter in letters} and set(webhooks) <= keys
    return letters if complete else None


def _refused(bridge, account, webhook):
    """The texts of answers to requests that are wrong and carry what is marked."""
    url = f"{bridge.api}/v1/webhooks"
    key = {"Authorization": f"Bearer {account.api_key}"}
    texts = []

    def ask(method, path="", **options):
        response = requests.request(method, url + path, timeout=10, **{"headers": key, **options})
        assert 400 <= response.status_code < 500, f"{response.status_code} {response.text}"
        texts.append(response.text + str(response.headers))

    ask("GET", headers={"Authorization": f"Bearer {WRONG_KEY}"})
    ask("GET", headers={"Authorization": f"Basic {account.api_key}"})
    ask("GET", headers={"Authorization": f"Bearer {account.api_key}", "X-Broken": f"{TITLE}\x01"})
    ask("POST", data=f'{{"url": "{BODY}'.encode())
    ask("POST", data=f'{{"url": "https://a.example/", "url": {BODY}}}'.encode())
    ask("POST", json={"url": f"https://user:{BODY}@a.example/", "events": [BODY], "description": [BODY], "version": BODY,
                      "isActive": PERSON})
    ask("POST", json={"url": f"https://a.example/#{BODY}", "events": [f"{BODY}.*"]})
    ask("PATCH", f"/{webhook}", json={"events": [PERSON]})
    ask("POST", f"/{webhook}/test", json={"event": BODY})
    ask("POST", f"/{webhook}/replay", json={"since": BODY})
    ask("GET", f"/{webhook}/logs", params={"status": BODY, "since": PERSON})
    ask("GET", f"/{BODY}")
    return "\n".join(texts)
