"""`health` of a webhook: why its deliveries wait, as its owner sees it, and the metrics of the same lanes."""
import pytest

from harness.events import send_modules
from harness.metrics import Metrics
from harness.waiting import until

# Attempts fail in a row without waiting for minutes.
WORLD_SETTINGS = {"retry": {"timeScale": 0.02}}


def health(account, webhook):
    response = account.call("GET", f"/v1/webhooks/{webhook['id']}")
    assert response.status_code == 200, response.text
    return response.json()["data"]["health"]


def test_health_of_an_endpoint_that_fails_and_works_again(world, account):
    bridge = world.bridges[0]
    webhook = account.register(world.receiver.url("/ill"), "module.completed")
    new = health(account, webhook)
    assert new["state"] == "healthy" and new["queued"] == 0 and new["at"] is None and new["p50"] is None
    world.receiver.script("/ill", [500])
    before = Metrics(bridge)
    send_modules(world, account)
    failing = until(lambda: (now := health(account, webhook))["state"] == "failing" and now, 30,
                    lambda: f"failing: {health(account, webhook)}")
    assert failing["lastError"] == "HTTP 500" and failing["lastErrorAt"] and failing["lastSuccessAt"] is None
    assert failing["at"] >= failing["lastErrorAt"] and failing["p50"] is not None
    assert Metrics(bridge)("attempts_total", outcome="http_5xx") >= before("attempts_total", outcome="http_5xx") + 3
    until(lambda: Metrics(bridge)("lanes", state="failing") >= 1, 10, "a failing lane")
    world.receiver.script("/ill", [200])
    # Another event: the next retry of the first may be minutes away.
    send_modules(world, account)
    well = until(lambda: (now := health(account, webhook))["state"] == "healthy" and now, 30,
                 lambda: f"healthy: {health(account, webhook)}")
    assert well["lastSuccessAt"] and well["lastError"] == "HTTP 500", "what there was is not forgotten"
    assert account.call("PATCH", f"/v1/webhooks/{webhook['id']}", {"isActive": False}).status_code == 200
    assert health(account, webhook)["state"] == "disabled"


@pytest.mark.timeout(120)
def test_health_of_a_webhook_over_its_rate(world, account):
    bridge = world.bridges[0]
    webhook = account.register(world.receiver.url("/greedy"), "module.completed")
    ids = send_modules(world, account, 500)
    limited = until(lambda: (now := health(account, webhook))["state"] == "limited" and now, 20,
                    lambda: f"limited: {health(account, webhook)}")
    assert limited["queued"] + limited["deferred"] > 0

    def behind():
        metrics = Metrics(bridge)
        waits = ["lane_records", "lane_records_max", "deferred_records", "deferred_total", "window_bytes_max"]
        return (all(metrics(name) > 0 for name in waits) and metrics("lanes", state="limited") == 1
                and metrics("consumer_lag_records", role="deliver") > 0
                and metrics("window_records", role="deliver") >= metrics("window_records_max", role="deliver") > 0
                and metrics("window_bytes") >= metrics("window_bytes_max"))

    until(behind, 10, lambda: Metrics(bridge).text)
    until(lambda: ids <= world.receiver.accepted_ids("/greedy"), 60, "all of it")
    until(lambda: health(account, webhook)["state"] == "healthy", 20, lambda: f"healthy: {health(account, webhook)}")
    until(lambda: Metrics(bridge)("lane_records") == 0 and Metrics(bridge)("deferred_records") == 0, 10, "empty lanes")
    until(lambda: Metrics(bridge)("consumer_lag_records", role="deliver") == 0
          and Metrics(bridge)("window_records", role="deliver") == 0, 20, lambda: Metrics(bridge).text)
