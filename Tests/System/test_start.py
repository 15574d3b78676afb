"""Starting up: configuration faults, a broker that is not there, wrong topics, help pages."""
import json

import pytest
import requests
from confluent_kafka.admin import AdminClient, ConfigResource

from harness.bridge import PARTITIONS, Bridge, configuration, key_file
from harness.brokers import NoidaBroker
from harness.events import TOPICS, completed_modules
from harness.kafka import partitions
from harness.paths import BINARY
from harness.processes import Process, command, free_port
from harness.waiting import until

COMMANDS = [[], ["run"], ["demo"], ["broker"], ["topics"], ["topics", "create"], ["topics", "check"], ["accounts"],
            ["accounts", "create"], ["accounts", "delete"], ["config", "check"], ["config", "openapi"], ["listen"]]


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words) or "(none)")
def test_help(words):
    result = command(*words, "--help")
    assert result.returncode == 0 and result.stdout.strip()
    assert " ".join(words) in result.stdout


@pytest.mark.parametrize("words", [[], ["fly"], ["run"], ["run", "--fly"], ["topics", "fly"],
                                   ["accounts", "create", "--config", "/nonexistent.json"]], ids=" ".join)
def test_wrong_usage_exits_2(words):
    result = command(*words)
    assert result.returncode == 2 and result.stderr.strip()


FAULTS = {
    "topics.partitions": {"topics": {"partitions": 0}},
    "api.listen": {"api": {"listen": "nonsense"}},
    "retry.timeScale": {"retry": {"timeScale": -1}},
    "egress.allowNetworks": {"egress": {"allowNetworks": ["10.0.0.0/99"]}},
    "limits.webhooksPerAccount": {"limits": {"webhooksPerAccount": "ten"}},
    "limits.eventPerSecond": {"limits": {"eventPerSecond": 1}},
    "surprise": {"surprise": True},
}


def broken(tmp_path):
    changes = {}
    for fault in FAULTS.values():
        for key, value in fault.items():
            changes[key] = {**changes.get(key, {}), **value} if isinstance(value, dict) else value
    path, _ = configuration(tmp_path, f"127.0.0.1:{free_port()}", **changes)
    return path


@pytest.mark.parametrize("words", [["config", "check"], ["run"]], ids=" ".join)
def test_a_broken_configuration_lists_every_fault_with_its_key(tmp_path, words):
    result = command(*words, "--config", broken(tmp_path))
    assert result.returncode == 2
    said = result.stdout + result.stderr
    assert [key for key in FAULTS if key not in said] == [], said


@pytest.mark.parametrize("key", FAULTS)
def test_each_fault_alone_is_enough(tmp_path, key):
    path, _ = configuration(tmp_path, "127.0.0.1:1", **FAULTS[key])
    result = command("config", "check", "--config", path)
    assert result.returncode == 2 and key in result.stdout + result.stderr


def test_a_right_configuration_has_no_fault(tmp_path):
    path, _ = configuration(tmp_path, "127.0.0.1:1")
    result = command("config", "check", "--config", path)
    assert result.returncode == 0, result.stdout + result.stderr


def test_not_json_and_not_there(tmp_path):
    path = tmp_path / "broken.json"
    path.write_text('{"kafka": ')
    assert command("config", "check", "--config", path).returncode == 2
    assert command("config", "check", "--config", tmp_path / "nowhere.json").returncode == 2


@pytest.mark.parametrize("fault", ["readable by others", "too short", "not there"])
def test_the_key_file_has_to_be_right(tmp_path, fault):
    path, _ = configuration(tmp_path, "127.0.0.1:1")
    file = key_file(tmp_path)
    if fault == "readable by others":
        file.chmod(0o644)
    elif fault == "too short":
        file.write_bytes(b"short")
    else:
        file.unlink()
    result = command("run", "--config", path)
    assert result.returncode == 2 and "secrets.keyFile" in result.stdout + result.stderr


def test_flags_over_environment_over_file(tmp_path):
    path, _ = configuration(tmp_path, "127.0.0.1:1")
    result = command("config", "check", "--config", path, environment={"BRIDGE_RETRY_TIME_SCALE": "-3"})
    assert result.returncode == 2 and "retry.timeScale" in result.stdout + result.stderr
    result = command("config", "check", "--config", path, environment={"BRIDGE_UNHEARD_OF": "1"})
    assert result.returncode == 0, "an unknown variable only warns"


def test_no_broker_at_first(tmp_path):
    port = free_port()
    bridge = Bridge(tmp_path, f"127.0.0.1:{port}").start()
    until(lambda: f"127.0.0.1:{port}" in bridge.log, 15, lambda: f"the address tried\n{bridge.log}")

    def answer():
        try:
            return requests.get(bridge.ops + "/readyz", timeout=2).status_code
        except requests.ConnectionError:
            return None

    until(lambda: answer() is not None, 15, "the ops listener")
    assert answer() == 503 and bridge.process.alive
    assert requests.get(bridge.ops + "/healthz", timeout=2).status_code == 200

    broker = NoidaBroker(tmp_path, port)
    try:
        bridge.make_topics()
        bridge.wait_ready(45)
        bridge.stop()
    finally:
        broker.stop()


def test_topics_create_is_idempotent_and_check_agrees(make_world):
    world = make_world()
    bridge = world.bridge()
    for _ in range(2):
        result = bridge.command("topics", "create")
        assert result.returncode == 0, result.stderr
        assert "learnault.modules" in result.stdout + result.stderr, "a missing domain topic is a warning"
    assert bridge.command("topics", "check").returncode == 0
    bridge.make_topics()
    bridge.make_topics()
    assert bridge.command("topics", "check").returncode == 0
    wrong = bridge.command("topics", "check", arguments=["--set", "topics.partitions=8"])
    assert wrong.returncode == 2
    assert "webhooks.deliveries" in wrong.stdout + wrong.stderr
    # A body at the new limit would be refused by the broker and produced for ever.
    larger = bridge.command("topics", "check", arguments=["--set", "limits.payloadBytes=4194304"])
    assert larger.returncode == 0
    for name in ("deliveries", "deferred", "retries", "dead-letters"):
        assert f"warning: topic webhooks.{name}: its max.message.bytes is 2228224" in larger.stderr, larger.stderr


def test_topics_are_made_as_promised(make_world):
    world = make_world()
    world.bridge().make_topics()
    counts = partitions(world.broker.bootstrap)
    shared = ["deliveries", "deferred", "attempts", "dead-letters"]
    single = ["notices", "emails", "commands", "results", "accounts", "subscriptions"]
    wanted = {**dict.fromkeys(shared, PARTITIONS), "retries": 8 * PARTITIONS, **dict.fromkeys(single, 1)}
    assert {name: counts.get("webhooks." + name) for name in wanted} == wanted
    assert set(TOPICS.values()) <= set(counts)

    days = {"deliveries": 7, "deferred": 7, "retries": 7, "attempts": 30, "dead-letters": 30, "notices": 30,
            "emails": 30, "commands": 1, "results": 1}
    admin = AdminClient({"bootstrap.servers": world.broker.bootstrap})
    resources = {name: ConfigResource(ConfigResource.Type.TOPIC, "webhooks." + name) for name in wanted}
    answers = admin.describe_configs(list(resources.values()))
    for name, resource in resources.items():
        settings = {key: entry.value for key, entry in answers[resource].result(10).items()}
        policy = "compact" if name in ("accounts", "subscriptions") else "delete"
        assert settings["cleanup.policy"] == policy, name
        if name in days:
            assert int(settings["retention.ms"]) == days[name] * 86_400_000, name
        if name in ("deliveries", "deferred", "retries", "dead-letters"):
            assert int(settings["max.message.bytes"]) >= 2 * 1_048_576, name


def test_a_wrong_partition_count_refuses_to_run(make_world):
    world = make_world()
    world.bridge("right").make_topics()
    bridge = world.bridge("wrong", topics={"partitions": 8}).start()
    assert bridge.process.wait(30) == 2, bridge.log
    said = bridge.log
    assert "webhooks.deliveries" in said and "webhooks.retries" in said
    assert "topics.partitions" in said, f"how to fix it\n{said}"
    assert all(isinstance(json.loads(line), dict) for line in said.splitlines())


def test_missing_topics_are_named_until_they_are_made(make_world):
    world = make_world()
    bridge = world.bridge().start()
    assert bridge.process.wait(20) == 2, bridge.log
    assert "topics create" in bridge.log and "webhooks.deliveries" in bridge.log


def test_an_account_made_before_any_registry_runs(make_world):
    world = make_world()
    bridge = world.bridge()
    bridge.make_topics()
    result = bridge.command("accounts", "create", arguments=["--email", "early@example.com"])
    assert result.returncode == 0 and result.stderr.strip(), "it says that no registry answered"
    answer = json.loads(result.stdout)
    bridge.run()
    key = {"Authorization": f"Bearer {answer['apiKey']}"}
    until(lambda: requests.get(bridge.api + "/v1/webhooks", headers=key, timeout=5).status_code == 200, 10, "known")


def test_listen_verifies_what_the_bridge_sends(make_world):
    world = make_world()
    bridge = world.run()
    account = world.account()
    port = free_port()
    webhook = account.register(f"http://127.0.0.1:{port}/hook", "module.completed")
    listener = Process(
        "listen", [BINARY, "listen", "--port", port, "--secret", webhook["signingSecret"]], world.directory)
    until(lambda: _connects(port), 10, lambda: listener.stderr)
    (identifier, record), = completed_modules(account.id, 1)
    world.backend.put("learnault.modules", record)
    until(lambda: identifier in listener.stdout, 20,
          lambda: f"{listener.stdout}{listener.stderr}\n{bridge.log[-2000:]}")
    refused = requests.post(f"http://127.0.0.1:{port}/hook", b"{}", timeout=5,
                            headers={"Content-Type": "application/json", "X-Learnault-Signature": "0" * 64})
    assert refused.status_code == 401
    assert listener.stop() == 0


def _connects(port):
    try:
        return requests.get(f"http://127.0.0.1:{port}/", timeout=2) is not None
    except requests.ConnectionError:
        return False


def test_listen_refuses_what_is_no_secret():
    result = command("listen", "--port", "0", "--secret", "whsec_wrongwrong")
    assert result.returncode == 2 and "--secret" in result.stderr and "wrongwrong" not in result.stderr
