"""The documented calls answer as documented."""
import re

import pytest
import requests

from harness.events import domain_record, event_id
from harness.waiting import until

URL = "https://yourapp.com/webhooks/learnault"


@pytest.fixture
def account(world):
    """Known to the API: the first call of an account may come before its key is there."""
    account = world.account()
    data = account.register(URL, "user.created")
    assert account.call("DELETE", f"/v1/webhooks/{data['id']}").status_code == 204
    return account


def failed(response, status, code=None):
    assert response.status_code == status, f"{response.status_code} {response.text}"
    answer = response.json()
    assert answer["success"] is False and answer["status"] == "error"
    assert answer["error"]["code"] and answer["error"]["message"]
    if code:
        assert answer["error"]["code"] == code
    return answer["error"]


def test_registration_as_documented(account):
    response = account.call("POST", "/v1/webhooks", {
        "url": URL, "description": "Production webhook",
        "events": ["module.completed", "reward.issued", "credential.issued"], "isActive": True, "version": "1.0"})
    assert response.status_code == 201
    assert response.headers["content-type"].startswith("application/json")
    answer = response.json()
    assert answer["success"] is True
    data = answer["data"]
    assert list(data)[:5] == ["id", "url", "signingSecret", "events", "createdAt"]
    assert re.fullmatch(r"wh_[0-9a-f]{24}", data["id"])
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", data["signingSecret"])
    assert data["url"] == URL and data["events"] == ["module.completed", "reward.issued", "credential.issued"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z", data["createdAt"])


def test_list_get_update_delete(account):
    data = account.register(URL, "module.completed", description="first")
    identifier = data["id"]
    listed = account.call("GET", "/v1/webhooks").json()
    assert listed["success"] is True
    webhook, = listed["data"]
    assert webhook["id"] == identifier and webhook["url"] == URL and webhook["isActive"] is True
    assert "signingSecret" not in webhook and data["signingSecret"] not in str(listed)
    one = account.call("GET", f"/v1/webhooks/{identifier}")
    assert one.status_code == 200
    assert {name: value for name, value in one.json()["data"].items() if name != "health"} == webhook

    response = account.call("PATCH", f"/v1/webhooks/{identifier}",
                            {"events": ["module.completed", "reward.issued"], "isActive": True})
    assert response.status_code == 200 and response.json()["success"] is True
    assert account.webhook(identifier)["events"] == ["module.completed", "reward.issued"], "read your writes"
    for change in [{"isActive": False}, {"url": URL + "/2"}, {"description": "second"}]:
        assert account.call("PATCH", f"/v1/webhooks/{identifier}", change).status_code == 200
        assert change.items() <= account.webhook(identifier).items()

    response = account.call("DELETE", f"/v1/webhooks/{identifier}")
    assert response.status_code == 204 and response.content == b""
    assert account.webhooks() == []
    for method, body in [("GET", None), ("PATCH", {"isActive": True}), ("DELETE", None)]:
        failed(account.call(method, f"/v1/webhooks/{identifier}", body), 404)


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer "}, {"Authorization": "Bearer lk_wrong"},
                                     {"Authorization": "Basic dXNlcjpwYXNz"}], ids=["none", "empty", "wrong", "basic"])
@pytest.mark.parametrize("method, path", [
    ("GET", "/v1/webhooks"), ("POST", "/v1/webhooks"), ("PATCH", "/v1/webhooks/wh_" + "0" * 24),
    ("DELETE", "/v1/webhooks/wh_" + "0" * 24), ("GET", "/v1/webhooks/wh_" + "0" * 24 + "/logs")])
def test_no_key_no_answer(account, method, path, headers):
    failed(account.call(method, path, headers=headers), 401)


def test_what_belongs_to_another_account_is_not_there(world, account):
    other = world.account()
    foreign = other.register(URL, "module.completed")["id"]
    for method, path, body in [
            ("GET", f"/v1/webhooks/{foreign}", None), ("PATCH", f"/v1/webhooks/{foreign}", {"isActive": False}),
            ("DELETE", f"/v1/webhooks/{foreign}", None), ("GET", f"/v1/webhooks/{foreign}/logs", None)]:
        failed(account.call(method, path, body), 404)
    assert account.webhooks() == [] and other.webhook(foreign)["isActive"] is True


def test_the_eleventh_webhook(account):
    for number in range(10):
        account.register(f"{URL}/{number}", "module.completed")
    response = account.call("POST", "/v1/webhooks", {"url": URL, "events": ["module.completed"]})
    assert 400 <= response.status_code < 500
    failed(response, response.status_code, "WEBHOOK_LIMIT_REACHED")
    assert len(account.webhooks()) == 10
    first = account.webhooks()[0]["id"]
    assert account.call("DELETE", f"/v1/webhooks/{first}").status_code == 204
    account.register(URL, "module.completed")


@pytest.mark.parametrize("body", [
    {}, {"url": URL}, {"url": URL, "events": []}, {"url": URL, "events": ["module.vanished"]},
    {"url": URL, "events": "module.completed"}, {"url": 7, "events": ["module.completed"]},
    {"url": "ftp://yourapp.com/", "events": ["module.completed"]},
    {"url": "https://user:password@yourapp.com/", "events": ["module.completed"]},
    {"url": "https://yourapp.com/#part", "events": ["module.completed"]},
    {"url": "https://localhost/", "events": ["module.completed"]},
    {"url": "https://10.0.0.1/", "events": ["module.completed"]},
    {"url": "https://[::1]/", "events": ["module.completed"]},
    {"url": "https://169.254.169.254/latest", "events": ["module.completed"]},
    {"url": "https://yourapp.com:0/", "events": ["module.completed"]},
    {"url": "https://intranet/", "events": ["module.completed"]},
    {"url": "https://yourapp.com/" + "a" * 2048, "events": ["module.completed"]},
    {"url": URL, "events": ["module.completed"], "isActive": "yes"}], ids=lambda body: str(body)[:60])
def test_registration_refuses(account, body):
    response = account.call("POST", "/v1/webhooks", body)
    assert response.status_code in (400, 422), f"{response.status_code} {response.text}"
    failed(response, response.status_code)
    assert account.webhooks() == []


def test_bad_requests(world, account):
    key = {"Authorization": f"Bearer {account.api_key}"}
    base = world.bridges[0].api
    json_type = {**key, "Content-Type": "application/json"}
    failed(requests.post(base + "/v1/webhooks", b'{"url": ', headers=json_type, timeout=10), 400)
    failed(requests.post(base + "/v1/webhooks", b"a=b", headers={**key, "Content-Type": "text/plain"}, timeout=10), 415)
    failed(account.call("PUT", "/v1/webhooks", {}), 405)
    failed(account.call("GET", "/v1/nothing"), 404)
    failed(account.call("GET", "/v1/webhooks/not-an-id"), 404)


def test_an_inactive_webhook_gets_nothing(world, account):
    quiet = account.register(world.receiver.url("/quiet"), "module.completed", isActive=False)
    account.register(world.receiver.url("/loud"), "module.completed")
    world.backend.put("learnault.modules", domain_record("module.completed", account.id, "quiet"))
    wanted = event_id("learnault.modules", "quiet", "module.completed")
    until(lambda: wanted in world.receiver.accepted_ids("/loud"), 15, "the active one")
    world.wait_drained("translate", "learnault.modules")
    world.wait_drained("deliver", "webhooks.deliveries")
    assert world.receiver.at("/quiet") == []
    assert account.webhook(quiet["id"])["isActive"] is False


def test_ops_listener(world):
    ops = world.bridges[0].ops
    for path in ["/healthz", "/readyz", "/metrics"]:
        assert requests.get(ops + path, timeout=5).status_code == 200
