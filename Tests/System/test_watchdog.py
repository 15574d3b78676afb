"""A stage that stands still, seen from outside: told by both probes, and in the end the process goes."""
import requests

from harness.standstill import standing_still
from harness.waiting import until


def probe(bridge, path):
    response = requests.get(bridge.ops + path, timeout=5)
    return response.status_code, response.json()


def test_a_stage_that_stands_still_is_told_and_given_up(make_world):
    world = make_world("noida", ops={"stallWarning": "2s", "stallExit": "6s"})
    bridge = world.run()
    with standing_still(bridge.pid, "deliver"):
        until(lambda: probe(bridge, "/healthz")[0] == 503, 20, lambda: f"unhealthy: {probe(bridge, '/healthz')}")
        status, health = probe(bridge, "/healthz")
        assert status == 503 and health["status"] == "stalled" and "deliver" in health["reasons"][0]
        status, readiness = probe(bridge, "/readyz")
        assert status == 503 and not readiness["ready"] and "deliver" in readiness["reasons"][0]
    until(lambda: probe(bridge, "/healthz") == (200, {"status": "ok"}) and bridge.is_ready(), 20, "all is well again")
    assert "stage stands still" in bridge.log and "stage turns again" in bridge.log

    with standing_still(bridge.pid, "translate"):
        until(lambda: "a stage stands still for good" in bridge.log, 30, lambda: f"it gives up\n{bridge.log[-2000:]}")
    assert bridge.process.wait(20) == 1
