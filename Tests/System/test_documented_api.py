"""Every example request of the public documentation, taken from its code blocks when the test runs and sent by curl as it
stands there; the answers have the documented shapes, and fit the OpenAPI document."""
import json
import re
import subprocess
from dataclasses import dataclass

import pytest

from harness.openapi import faults
from harness.paths import DOCUMENTATION
from harness.waiting import until

BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", DOCUMENTATION.read_text(encoding="utf-8"), re.M | re.S)
REQUESTS = [text for language, text in BLOCKS if not language and re.match(r"(GET|POST|PATCH|PUT|DELETE) /", text)]


def documented(first_member):
    """The one JSON sample that begins with that member, without the comments people read in it."""
    texts = [re.sub(r"(?<=[,\s])//[^\n]*", "", text) for language, text in BLOCKS if language == "json"]
    found = [value for value in map(json.loads, filter(_is_json, texts)) if next(iter(value), None) == first_member]
    assert len(found) == 1, f"{len(found)} samples begin with {first_member}"
    return found[0]


def _is_json(text):
    try:
        json.loads(text)
        return True
    except ValueError:
        return False


@dataclass
class Answer:
    method: str
    path: str
    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


def replay(request, account, webhook=None):
    """Sends a request of the documentation by curl; only what a reader has to fill in is filled in."""
    head, _, body = request.partition("{")
    first, *lines = [line for line in head.splitlines() if line.strip()]
    method, path = first.split(" ", 1)
    path = path.replace(":webhookId", webhook or "")
    headers = [line.replace("<your-api-key>", account.api_key) for line in lines]
    if not any(line.startswith("Authorization:") for line in headers):
        headers.append(f"Authorization: Bearer {account.api_key}")
    # Where the sample names no type none is sent; curl would make up one of a form.
    if not any(line.startswith("Content-Type:") for line in headers):
        headers.append("Content-Type:")
    arguments = ["curl", "--silent", "--show-error", "--max-time", "20", "--include", "--request", method]
    for header in headers:
        arguments += ["--header", header]
    if body:
        arguments += ["--data-binary", "{" + body]
    result = subprocess.run([*arguments, account.bridge.api + path], capture_output=True, timeout=30, check=False)
    assert result.returncode == 0, result.stderr
    head, _, content = result.stdout.partition(b"\r\n\r\n")
    status, *fields = head.decode("latin-1").split("\r\n")
    answer = Answer(method, path, int(status.split()[1]),
                    {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)},
                    content)
    assert faults(method, path, answer.status, answer.body) == []
    return answer


def request(start):
    found = [text for text in REQUESTS if re.match(start, text)]
    assert len(found) == 1, f"{len(found)} requests begin with {start}"
    return found[0]


def shape(value, sample, path="$"):
    """How a value differs from the documented one in kind: members in their order, types; more members are allowed only in
    log entries, where the documentation itself shows different ones."""
    if isinstance(sample, dict):
        if not isinstance(value, dict):
            yield f"{path} is no object"
            return
        ours = [name for name in value if name in sample]
        if ours != list(sample):
            yield f"{path} has {list(value)}, documented is {list(sample)}"
        if not path.startswith("$.data[") and set(value) != set(sample):
            yield f"{path} has {sorted(set(value) - set(sample))} beside what is documented"
        for name in ours:
            yield from shape(value[name], sample[name], f"{path}.{name}")
    elif isinstance(sample, list):
        if not isinstance(value, list):
            yield f"{path} is no list"
        elif not isinstance(sample[0], dict) and value:
            yield from shape(value[0], sample[0], f"{path}[0]")
    elif type(value) is not type(sample):
        yield f"{path} is {value!r}, documented is {sample!r}"


@pytest.fixture
def webhook(account):
    """Made as the documentation makes it."""
    account.register("https://yourapp.com/known", "user.created")  # known to the API from here on
    return replay(request("POST /v1/webhooks\n"), account).json["data"]["id"]


def test_the_documentation_has_these_requests():
    assert [text.splitlines()[0] for text in REQUESTS] == [
        "POST /v1/webhooks", "GET /v1/webhooks", "PATCH /v1/webhooks/:webhookId", "DELETE /v1/webhooks/:webhookId",
        "POST /v1/webhooks/:webhookId/test", "GET /v1/webhooks/:webhookId/logs?limit=50"]


def test_register(account):
    account.register("https://yourapp.com/known", "user.created")
    answer = replay(request("POST /v1/webhooks\n"), account)
    assert answer.status == 201 and answer.headers["content-type"].startswith("application/json")
    sample = documented("success")
    assert list(shape(answer.json, sample)) == []
    for name in ("url", "events"):
        assert answer.json["data"][name] == sample["data"][name]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", answer.json["data"]["createdAt"])


def test_list(account, webhook):
    answer = replay(request("GET /v1/webhooks\n"), account)
    assert answer.status == 200 and webhook in [each["id"] for each in answer.json["data"]]


def test_update(account, webhook):
    answer = replay(request("PATCH "), account, webhook)
    assert answer.status == 200
    assert answer.json["data"]["events"] == ["module.completed", "reward.issued"] and answer.json["data"]["isActive"]


def test_delete(account, webhook):
    answer = replay(request("DELETE "), account, webhook)
    assert answer.status == 204 and answer.body == b""
    assert account.webhook(webhook) is None
    assert replay(request("DELETE "), account, webhook).status == 404


def test_test_and_logs(world, account, webhook):
    """One attempt that is delivered and one that is not, and the log of both as it is documented."""
    answers = [200, 500]
    world.receiver.script("/documented", answers)
    assert account.call("PATCH", f"/v1/webhooks/{webhook}",
                        {"url": world.receiver.url("/documented")}).status_code == 200
    for count in (1, 2):
        answer = replay(request("POST /v1/webhooks/:webhookId/test"), account, webhook)
        assert answer.status == 202 and re.fullmatch(r"evt_[0-9a-f]{24}", answer.json["data"]["eventId"])
        until(lambda: account.log(webhook)["pagination"]["total"] == count, 15, f"{count} log entries")
    answer = replay(request("GET /v1/webhooks/:webhookId/logs"), account, webhook)
    assert answer.status == 200
    sample = documented("status")
    assert list(shape(answer.json, sample)) == []
    assert answer.json["pagination"] == {"page": 1, "limit": 50, "total": 2}
    for entry in answer.json["data"]:
        like = next(each for each in sample["data"] if each["status"] == entry["status"])
        assert list(shape(entry, like, "$.data[]")) == []
    assert [entry["status"] for entry in answer.json["data"]] == ["failed", "delivered"], "newest first"
