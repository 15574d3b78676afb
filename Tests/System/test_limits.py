"""Requests a minute, and failed authentications."""
import time

import requests

from harness.metrics import Metrics
from harness.waiting import until

WORLD_SETTINGS = {"limits": {"requestsPerMinute": 5, "authFailuresPerMinute": 3}}


def get(account, **headers):
    return requests.get(account.bridge.api + "/v1/webhooks", timeout=10,
                        headers={"Authorization": f"Bearer {account.api_key}", **headers})


def first(account):
    """The first answer that knows the key."""
    def answer():
        response = get(account)
        return None if response.headers.get("X-RateLimit-Limit") is None else response

    return until(answer, 10, "the key known")


def test_a_key_has_five_requests(world, account):
    began = time.time()
    answers = [first(account)] + [get(account) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["4", "3", "2", "1", "0", "0"]
    assert {answer.headers["X-RateLimit-Limit"] for answer in answers} == {"5"}
    resets = [int(answer.headers["X-RateLimit-Reset"]) for answer in answers]
    assert max(resets) - min(resets) <= 1 and began + 50 < resets[0] < time.time() + 62
    assert answers[-1].json()["error"]["code"] == "RATE_LIMITED" and 1 <= int(answers[-1].headers["Retry-After"]) <= 60
    assert Metrics(world.bridges[0])("api_limited_total", limit="requests") >= 1
    other = world.account()
    assert first(other).status_code == 200, "another key has its own"


def test_a_valid_key_passes_from_an_address_that_fails(world, account):
    api = world.bridges[0].api
    assert first(account).status_code == 200
    answers = [requests.get(api + "/v1/webhooks", timeout=10, headers={"Authorization": "Bearer lnk_live_wrong"})
               for _ in range(5)]
    assert answers[-1].status_code == 429 and answers[-1].json()["error"]["code"] == "RATE_LIMITED"
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
    assert get(account).status_code == 200
    metrics = Metrics(world.bridges[0])
    assert metrics("api_authentication_failures_total") >= 5
    assert metrics("api_limited_total", limit="authentication") >= 2
    assert metrics("api_requests_total", route="/v1/webhooks", method="GET", status="4xx") >= 5
