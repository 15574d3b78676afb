"""The demo: one command, no Kafka, no Docker."""
import re

import pytest
import requests

from harness.paths import BINARY
from harness.processes import Process, command
from harness.waiting import until


@pytest.mark.timeout(150)
def test_demo_tells_the_whole_story_and_exits_0():
    result = command("demo", timeout=90)
    said = result.stdout
    assert result.returncode == 0, said[-4000:] + result.stderr[-4000:]
    # A line per delivery: event, webhook, attempt, status, milliseconds, next retry.
    failures = {}
    for line in said.splitlines():
        event, webhook = re.search(r"\bevt_[0-9a-f]+", line), re.search(r"\bwh_[0-9a-f]+", line)
        if event and webhook and re.search(r"\b500\b", line):
            failures.setdefault((event.group(), webhook.group()), []).append(line)
    assert failures, f"no line of a failed delivery\n{said}"
    most = max(failures.values(), key=len)
    assert len(most) == 9, "\n".join(most)
    assert re.search(r"\b200\b", said), "the good receiver"
    for word in ["disabled", "notice", "mail"]:
        assert word in said.lower(), f"{word}\n{said}"


@pytest.mark.timeout(150)
def test_demo_keep_leaves_an_api_to_play_with(tmp_path):
    """The address and the key are printed as a curl line, which has to work."""
    demo = Process("demo", [BINARY, "demo", "--keep"], tmp_path)
    try:
        def printed(pattern, timeout):
            return until(lambda: re.search(pattern, demo.stdout), timeout, lambda: demo.stdout[-3000:])

        key = printed(r"Authorization: Bearer ([^'\"\s]+)", 90)
        url = printed(r"(http://127\.0\.0\.1:\d+)/v1/webhooks", 10)
        answer = requests.get(url.group(1) + "/v1/webhooks", timeout=5,
                              headers={"Authorization": f"Bearer {key.group(1)}"})
        assert answer.status_code == 200 and answer.json()["data"], answer.text
        assert demo.alive
        assert demo.stop() == 0
    finally:
        demo.kill()
