"""What can be checked of docker/ without a Docker engine: lint, structure, and that the parts agree with each other."""
import json
import re
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
import yaml

from harness.bridge import key_file
from harness.paths import BINARY, MAPPINGS, ROOT
from harness.processes import command

DOCKER = ROOT / "docker"
DOCKERFILE = (DOCKER / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
# The keys of the Compose specification that this file may use; a misspelt one is found.
SERVICE_KEYS = {"image", "build", "entrypoint", "command", "environment", "ports", "volumes", "healthcheck",
                "depends_on", "restart", "read_only", "cap_drop", "security_opt", "stop_grace_period"}
HEALTH_KEYS = {"test", "interval", "timeout", "retries", "start_period", "disable"}
CONDITIONS = {"service_started", "service_healthy", "service_completed_successfully"}


def test_hadolint():
    hadolint = Path(sys.executable).parent / "hadolint"
    result = subprocess.run([hadolint, DOCKER / "Dockerfile"], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_compose_structure():
    assert set(COMPOSE) == {"name", "services", "volumes"}
    for name, service in COMPOSE["services"].items():
        assert set(service) <= SERVICE_KEYS, name
        assert set(service.get("healthcheck", {})) <= HEALTH_KEYS, name
        for variable, value in service.get("environment", {}).items():
            assert isinstance(value, str), f"{variable} has to be quoted"
        for other, how in service.get("depends_on", {}).items():
            assert other in COMPOSE["services"] and set(how) == {"condition"} and how["condition"] in CONDITIONS
            if how["condition"] == "service_healthy":
                assert "test" in COMPOSE["services"][other]["healthcheck"], f"{other} has no health check"
        for volume in service.get("volumes", []):
            source, target, *mode = volume.split(":")
            assert source in COMPOSE["volumes"] and target.startswith("/") and mode in ([], ["ro"])
        for port in service.get("ports", []):
            assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port), "published on this machine only"
        if "build" in service:
            assert (DOCKER / service["build"]["context"] / service["build"]["dockerfile"]).is_file()


def bridge_configuration():
    lines = (DOCKER / "bridge.json").read_text().splitlines()
    return json.loads("\n".join(line for line in lines if not line.strip().startswith("//")))


def test_compose_bridge_and_image_agree():
    settings, services = bridge_configuration(), COMPOSE["services"]
    host, _, port = settings["kafka"]["bootstrap.servers"].partition(":")
    assert f"INTERNAL://{host}:{port}" in services["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    exposed = re.search(r"^EXPOSE (.*)$", DOCKERFILE, re.M).group(1).split()
    listens = [settings[part]["listen"].rpartition(":")[2] for part in ("api", "ops")]
    assert exposed == listens == [port.rpartition(":")[2] for port in services["bridge"]["ports"]]
    keys, state = settings["secrets"]["keyFile"].rpartition("/")[0], settings["state"]["directory"]
    mounted = {volume.split(":")[1] for volume in services["bridge"]["volumes"]}
    assert mounted == {keys, state}
    assert keys in DOCKERFILE and state in DOCKERFILE, "volumes take their owner from the image's directories"
    assert settings["secrets"]["keyFile"] in services["prepare"]["command"][0]
    user = re.search(r"^USER (\d+)$", DOCKERFILE, re.M).group(1)
    assert f"--uid {user} " in DOCKERFILE and user != "0"


def test_images_packages_are_those_of_dev():
    """The build stage installs the libraries ./dev installs; the final stage has the run-time half of each."""
    build, final = DOCKERFILE.split("FROM debian:")
    wanted = re.search(r'^libraries="(.*)"$', (ROOT / "dev").read_text(), re.M).group(1).split()
    assert [library for library in wanted if library not in build] == []
    for library in wanted:
        # Of libcurl the other half has no flavour in its name; it is the one for OpenSSL.
        stem = library.removesuffix("-dev").removesuffix("4-openssl")
        assert re.search(rf"\b{re.escape(stem)}[-\d]*\b", final), library


@pytest.mark.parametrize("status, healthy", [(200, True), (503, False)])
def test_the_health_check_tells_ready_from_not(status, healthy):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status if self.path == "/readyz" else 404)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        check = json.loads(re.search(r"^HEALTHCHECK .*\\\n\s+CMD (\[.*\])$", DOCKERFILE, re.M).group(1))
        check[2] = check[2].replace("/8081", f"/{server.server_port}")
        assert (subprocess.run(check, timeout=10).returncode == 0) is healthy
    finally:
        server.shutdown()


def test_prepare_makes_the_key_once(tmp_path):
    """The key part of the one-shot service, run by hand with other paths."""
    script = COMPOSE["services"]["prepare"]["command"][0].replace("$$", "$")
    script = script.replace("/var/lib/webhook-bridge/keys", str(tmp_path)).replace("exec webhook-bridge", "exec true")
    key, seen = tmp_path / "secret.key", set()
    for _ in range(2):
        subprocess.run([*COMPOSE["services"]["prepare"]["entrypoint"], script], check=True)
        assert key.stat().st_mode & 0o777 == 0o600
        seen.add(key.read_bytes())
    assert len(seen) == 1 and len(seen.pop()) == 32


def test_the_image_has_the_mappings_its_configuration_names():
    target = re.search(r"^COPY config (\S+)$", DOCKERFILE, re.M).group(1)
    assert bridge_configuration()["mappings"] == target + "/mappings"


@pytest.mark.skipif(not BINARY.exists(), reason="no binary")
def test_the_bridge_takes_this_configuration(tmp_path):
    """The file of the image, with the paths of this machine."""
    settings = bridge_configuration()
    settings["mappings"] = str(MAPPINGS)
    settings["secrets"]["keyFile"] = str(key_file(tmp_path))
    settings["state"]["directory"] = str(tmp_path)
    path = tmp_path / "bridge.json"
    path.write_text(json.dumps(settings))
    result = command("config", "check", "--config", path)
    assert result.returncode == 0, result.stdout + result.stderr
