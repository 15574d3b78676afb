"""The demo: one command, no Kafka, no Docker."""
import re

import pytest

from harness.processes import command


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
