"""The bridge as its operator and its customers see it: a configuration file, a process, an HTTP API."""
import json
import secrets
import signal
from pathlib import Path

import requests

from .paths import BINARY, MAPPINGS
from .processes import Process, command, free_port
from .waiting import until

PARTITIONS = 4


def merged(base, changes):
    result = dict(base)
    for key, value in changes.items():
        result[key] = merged(result.get(key, {}), value) if isinstance(value, dict) and key != "kafka" else value
    if "kafka" in changes:
        result["kafka"] = {**base.get("kafka", {}), **changes["kafka"]}
    return result


def key_file(directory):
    path = Path(directory) / "secret.key"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_bytes(secrets.token_bytes(32))
    return path


def configuration(directory, bootstrap, name="bridge", **changes):
    """Writes NAME.json and returns (path, settings); `changes` are nested like the file."""
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    settings = merged({
        "kafka": {"bootstrap.servers": bootstrap},
        "topics": {"partitions": PARTITIONS},
        "mappings": str(MAPPINGS),
        "api": {"listen": f"127.0.0.1:{free_port()}"},
        "ops": {"listen": f"127.0.0.1:{free_port()}"},
        # Tests poll; test_limits.py sets them.
        "limits": {"requestsPerMinute": 0, "authFailuresPerMinute": 0},
        "egress": {"allowHTTP": True, "allowNetworks": ["127.0.0.0/8"]},
        "secrets": {"keyFile": str(key_file(directory))},
        "state": {"directory": str(directory / f"{name}-state")},
    }, changes)
    (directory / f"{name}-state").mkdir(exist_ok=True)
    path = directory / f"{name}.json"
    path.write_text("// Written by the system tests.\n" + json.dumps(settings, indent=2) + "\n")
    return path, settings


class Bridge:
    """One `webhook-bridge run`; made stopped."""

    def __init__(self, directory, bootstrap, name="bridge", **changes):
        self.name, self.directory = name, Path(directory)
        self.configuration, self.settings = configuration(directory, bootstrap, name, **changes)
        self.process = None

    @property
    def api(self):
        return "http://" + self.settings["api"]["listen"]

    @property
    def ops(self):
        return "http://" + self.settings["ops"]["listen"]

    @property
    def pid(self):
        return self.process.pid

    @property
    def log(self):
        path = self.directory / f"{self.name}.err"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self, *arguments, environment=None, binary=BINARY):
        """Starts the process and does not wait for it; what is in `environment` is added to ours."""
        assert binary.exists(), f"no binary at {binary}: run ./dev build"
        self.process = Process(
            self.name, [binary, "run", "--config", self.configuration, *arguments], self.directory, environment)
        return self

    def is_ready(self):
        try:
            return requests.get(self.ops + "/readyz", timeout=2).status_code == 200
        except requests.RequestException:
            return False

    def wait_ready(self, timeout=90):
        # The embedded broker takes nine seconds for a rebalance, and now and then makes three of one.
        def ready():
            assert self.process.alive, f"{self.name} ended with {self.process.popen.returncode}\n{self.log[-4000:]}"
            return self.is_ready()

        until(ready, timeout, lambda: f"{self.name} ready\n{self.log[-4000:]}")
        return self

    def run(self, *arguments, **options):
        return self.start(*arguments, **options).wait_ready()

    def stop(self):
        """SIGTERM; the bridge drains and exits 0."""
        code = self.process.stop()
        assert code == 0, f"{self.name} ended with {code} on SIGTERM\n{self.log[-4000:]}"

    def kill(self):
        self.process.kill()

    def assert_sound(self):
        """Whatever it was put through: it did not crash, and its log is one JSON object a line."""
        code = self.process.popen.returncode
        assert code is None or code >= 0 or code in (-signal.SIGKILL, -signal.SIGTERM), (
            f"{self.name} crashed: {signal.Signals(-code).name}\n{self.log[-4000:]}")
        for line in self.log.splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                entry = None
            assert isinstance(entry, dict), f"not a JSON object in the log of {self.name}: {line!r}"

    def reload(self):
        """SIGHUP: reads the mapping files again."""
        self.process.popen.send_signal(signal.SIGHUP)

    def command(self, *words, arguments=(), **options):
        """Runs `webhook-bridge WORDS --config FILE ARGUMENTS`."""
        return command(*words, "--config", self.configuration, *arguments, **options)

    def make_topics(self):
        result = self.command("topics", "create", arguments=["--with-domain"])
        assert result.returncode == 0, result.stderr


class Account:
    """An account made on the command line, and its customer's view of the API."""

    def __init__(self, bridge, email):
        result = command("accounts", "create", "--config", bridge.configuration, "--email", email)
        assert result.returncode == 0, result.stderr
        assert len(result.stdout.splitlines()) == 1, f"one line: {result.stdout!r}"
        answer = json.loads(result.stdout)
        self.bridge, self.email = bridge, email
        self.id, self.api_key = answer["accountId"], answer["apiKey"]
        self.secrets = []

    def call(self, method, path, body=None, bridge=None, **options):
        options.setdefault("headers", {"Authorization": f"Bearer {self.api_key}"})
        options.setdefault("timeout", 10)
        return requests.request(method, (bridge or self.bridge).api + path, json=body, **options)

    def register(self, url, *events, **more):
        """Registers a webhook and returns the documented `data`."""
        body = {"url": url, "events": list(events), "isActive": True, "version": "1.0", **more}

        def answer():
            # An account is there for every process within a second; until then its key is unknown.
            response = self.call("POST", "/v1/webhooks", body)
            return None if response.status_code == 401 else response

        response = until(answer, 10, f"{self.email} known to the API")
        assert response.status_code == 201, response.text
        data = response.json()["data"]
        self.secrets.append(data["signingSecret"])
        return data

    def webhooks(self):
        response = self.call("GET", "/v1/webhooks")
        assert response.status_code == 200, response.text
        return response.json()["data"]

    def webhook(self, identifier):
        return next((webhook for webhook in self.webhooks() if webhook["id"] == identifier), None)

    def log(self, identifier, **query):
        response = self.call("GET", f"/v1/webhooks/{identifier}/logs", params=query)
        assert response.status_code == 200, response.text
        return response.json()
