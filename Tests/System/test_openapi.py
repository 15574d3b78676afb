"""The OpenAPI document: what the API serves, the binary prints and the repository holds is one; and schemathesis, which makes
requests of it, right ones and wrong ones, finds no answer that contradicts it."""
import json
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from harness.openapi import OPENAPI
from harness.paths import ROOT
from harness.processes import command

# A generated webhook has a generated host; nothing is to be sent there.
WORLD_SETTINGS = {
    "limits": {"webhooksPerAccount": 10_000},
    "egress": {"allowNetworks": ["127.0.0.0/8"], "denyNetworks": ["0.0.0.0/0", "::/0"]}}
SCHEMATHESIS = Path(sys.executable).parent / "schemathesis"

# What a schema cannot say, so that a request which fits it is refused all the same, is expected beside the usual: `since`
# after `until`, a replay's range in the future or too long ago.
COMMON = """\
seed = 20240115
workers = 2
base-url = "{api}"
headers = {{ Authorization = "Bearer {key}" }}
hooks = "{hooks}"
continue-on-failure = true
generation.max-examples = {examples}
generation.allow-extra-parameters = false
# Numbers of requests, not of faults: that most generated ids name nothing is known.
warnings = false
"""
SINGLE = """
phases.stateful.enabled = false

[[operations]]
include-operation-id = ["getWebhook", "testWebhook", "retryDelivery", "getReplay", "cancelReplay"]
parameters = {{ webhookId = "{tested}" }}

[[operations]]
include-operation-id = ["updateWebhook", "rotateSecret"]
parameters = {{ webhookId = "{changed}" }}

[[operations]]
include-operation-id = "listAttempts"
parameters = {{ webhookId = "{tested}" }}
checks.positive_data_acceptance.expected-statuses = ["200", "400"]

[[operations]]
include-operation-id = "startReplay"
parameters = {{ webhookId = "{tested}" }}
checks.positive_data_acceptance.expected-statuses = ["202", "409", "422"]
"""
# Sequences: what is made is read, changed and deleted, by links that are inferred. Cancelling a replay is a DELETE behind
# which it can still be read, on purpose.
STATEFUL = """
phases.examples.enabled = false
phases.coverage.enabled = false
phases.fuzzing.enabled = false

[[operations]]
include-operation-id = "cancelReplay"
enabled = false

[[operations]]
include-operation-id = ["listAttempts", "startReplay"]
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "404", "409", "422"]
"""


def test_the_three_documents_are_one(world):
    served = requests.get(world.bridges[0].api + "/v1/openapi.json", timeout=10)
    assert served.status_code == 200 and served.headers["Content-Type"] == "application/json"
    printed = command("config", "openapi")
    assert printed.returncode == 0 and printed.stdout == (ROOT / "config/openapi.json").read_text(encoding="utf-8")
    assert served.json() == json.loads(printed.stdout) == OPENAPI


@pytest.mark.timeout(180)
@pytest.mark.parametrize("phases", [SINGLE, STATEFUL], ids=["single requests", "sequences"])
def test_schemathesis_finds_no_contradiction(world, account, tmp_path, phases):
    tested, changed = (account.register(world.receiver.url(path), "user.created")["id"] for path in ("/tested", "/changed"))
    path = tmp_path / "schemathesis.toml"
    path.write_text((COMMON + phases).format(
        api=world.bridges[0].api, key=account.api_key, tested=tested, changed=changed, examples=40,
        hooks=ROOT / "Tests/System/harness/schemathesis_hooks.py"))
    result = subprocess.run(
        [SCHEMATHESIS, "--no-color", "--config-file", path, "run", world.bridges[0].api + "/v1/openapi.json"],
        cwd=tmp_path, capture_output=True, text=True, timeout=170, check=False)
    assert result.returncode == 0, result.stdout[-20_000:] + result.stderr[-2000:]
    world.bridges[0].assert_sound()
