"""The API speaks TLS itself where it has a certificate."""
import socket
import ssl
import threading
import warnings

import pytest
import requests
import trustme

from harness.bridge import configuration
from harness.processes import command


@pytest.fixture(scope="module")
def authority():
    return trustme.CA(organization_name="API")


def files(directory, certificate):
    """The names of the certificate's and the key's file."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "api.pem").write_bytes(b"".join(pem.bytes() for pem in certificate.cert_chain_pems))
    key = directory / "api.key"
    key.touch(mode=0o600)
    key.write_bytes(certificate.private_key_pem.bytes())
    return {"certificateFile": str(directory / "api.pem"), "keyFile": str(key)}


@pytest.fixture
def serving(make_world, tmp_path, authority):
    """A bridge whose API speaks TLS, and the file of the authority to trust."""
    world = make_world("noida")
    bridge = world.bridge(api={"tls": files(tmp_path / "tls", authority.issue_cert("127.0.0.1", "localhost"))})
    bridge.make_topics()
    bridge.run()
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(path)
    return world, bridge, str(path)


def test_the_api_speaks_tls(serving, authority):
    world, bridge, trusted = serving
    api = bridge.api.replace("http://", "https://")
    account = world.account()
    headers = {"Authorization": f"Bearer {account.api_key}"}
    session = requests.Session()
    session.verify = trusted
    session.trust_env = False  # a bundle named there would win
    assert session.get(api + "/v1/openapi.json", timeout=10).json()["openapi"] == "3.1.0"

    body = {"url": "https://yourapp.com/webhooks/learnault", "events": ["*"]}
    while (made := session.post(api + "/v1/webhooks", json=body, headers=headers, timeout=10)).status_code == 401:
        pass
    assert made.status_code == 201, made.text
    assert session.get(api + "/v1/webhooks", headers=headers, timeout=10).json()["data"][0]["url"] == body["url"]
    # Answers of several records, also the other way.
    assert len(session.get(api + "/v1/event-types", headers=headers, timeout=10).content) > 40_000
    large = session.post(api + "/v1/webhooks", data=b" " * 900_000, headers=headers, timeout=10)
    assert large.status_code == 400 and large.json()["error"]["code"] == "INVALID_JSON"

    with pytest.raises(requests.exceptions.SSLError):
        requests.get(api + "/v1/openapi.json", timeout=10)
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.get(bridge.api + "/v1/openapi.json", timeout=10)
    old = ssl.create_default_context(cafile=trusted)
    old.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    host, port = bridge.settings["api"]["listen"].rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=10) as connection, pytest.raises(ssl.SSLError):
        old.wrap_socket(connection, server_hostname="localhost")

    # Who begins a handshake and does not go on holds nobody up.
    held = [socket.create_connection((host, int(port)), timeout=10) for _ in range(20)]
    for each in held:
        each.sendall(b"\x16\x03\x01")
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(
        requests.get(api + "/v1/webhooks", headers=headers, timeout=10, verify=trusted).status_code))
        for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 8
    for each in held:
        each.close()

    tls = {**bridge.settings["api"]["tls"], "keyFile": files(world.directory / "foreign", authority.issue_cert("a"))["keyFile"]}
    wrong = world.bridge("wrong", api={"tls": tls}).start()
    assert wrong.process.wait(30) == 2 and "do not belong together" in wrong.log


def test_files_that_do_not_belong_together(tmp_path, authority):
    one, other = authority.issue_cert("127.0.0.1"), authority.issue_cert("127.0.0.1")
    tls = files(tmp_path / "one", one)
    tls["keyFile"] = files(tmp_path / "other", other)["keyFile"]
    path, _ = configuration(tmp_path, "127.0.0.1:1", api={"tls": tls})
    assert command("config", "check", "--config", path).returncode == 0
    (tmp_path / "other/api.key").chmod(0o644)
    result = command("config", "check", "--config", path)
    assert result.returncode == 2 and "api.tls.keyFile" in result.stdout and "0600" in result.stdout
