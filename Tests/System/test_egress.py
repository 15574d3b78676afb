"""Where POSTs may go and to whom: TLS broken in twelve ways, names that lie, and what the log says of each."""
import socket

import pytest

from harness.events import domain_record
from harness.metrics import Metrics
from harness.nameserver import Nameserver
from harness.processes import free_port
from harness.tls import Certificates, Listener
from harness.waiting import until
from harness.world import World

TIMEOUT = 2.0  # seconds an attempt has in these tests
MANY = [f"127.0.1.{number}" for number in range(1, 201)]
# Name → (what it resolves to, the error the log must show).
LYING_NAMES = {
    "missing": ("NXDOMAIN", "DNS name not found"),
    "broken": ("SERVFAIL", "DNS lookup failed"),
    "slow": (10, "DNS lookup timeout"),
    "private": (["10.0.0.1"], "Endpoint address not allowed"),
    "metadata": (["169.254.169.254"], "Endpoint address not allowed"),
    "mapped": (["::ffff:a00:1"], "Endpoint address not allowed"),
    "mixture": (["127.0.0.1", "192.168.0.1"], "Endpoint address not allowed"),
    "many": (MANY, "Connection refused"),
    "many-and-one": (MANY + ["10.0.0.1"], "Endpoint address not allowed"),
}


def own_address():
    """An address of this machine that others could reach; None where there is none. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address = probe.getsockname()[0]
        return None if address.startswith("127.") else address


@pytest.fixture(scope="module")
def certificates():
    return Certificates()


@pytest.fixture(scope="module")
def tls_cases(certificates):
    cases = {name: (Listener(serve), error) for name, (serve, error) in certificates.cases().items()}
    yield cases
    for listener, _ in cases.values():
        listener.close()


@pytest.fixture(scope="module")
def nameserver(tls_cases):
    names = {f"{name}.example": ["127.0.0.1"] for name in tls_cases}
    names.update({f"{name}.example": answer for name, (answer, _) in LYING_NAMES.items()})
    names["own.example"] = lambda _: [own_address()]
    names["rebinding.example"] = lambda before: ["127.0.0.1"] if before == 0 else ["169.254.169.254"]
    nameserver = Nameserver(names)
    yield nameserver
    nameserver.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory, nameserver, certificates):
    directory = tmp_path_factory.mktemp("world")
    authority = directory / "ca.pem"
    certificates.trusted.cert_pem.write_to_path(str(authority))
    world = World(
        directory, limits={"webhooksPerAccount": 50}, ops={"listen": f"0.0.0.0:{free_port()}"}, egress={
            "nameservers": [nameserver.address], "caFile": str(authority), "timeoutMilliseconds": int(TIMEOUT * 1000),
            "allowNetworks": ["127.0.0.0/8"] + [f"{own_address()}/32"] * (own_address() is not None)})
    try:
        world.run()
        yield world
    finally:
        world.close()


@pytest.fixture(scope="module")
def registered(world):
    """An account that the API knows."""
    account = world.account()
    account.register("https://example.com/", "module.completed")
    return account


def first_entry(account, webhook):
    """The log entry of attempt 1."""
    def entry():
        return next((entry for entry in account.log(webhook["id"])["data"] if entry["attempt"] == 1), None)

    return until(entry, 20, lambda: f"an attempt for {webhook['url']}")


def produce(world, account, domain_id):
    world.backend.put("learnault.modules", domain_record("module.completed", account.id, domain_id))


def test_each_way_tls_is_broken_is_named(world, account, tls_cases):
    webhooks = {name: account.register(f"https://{name}.example:{listener.port}/hook", "module.completed")
                for name, (listener, _) in tls_cases.items()}
    produce(world, account, "tls")
    for name, (listener, error) in tls_cases.items():
        entry = first_entry(account, webhooks[name])
        assert entry.get("error") == error, name
        assert entry["status"] == ("failed" if error else "delivered"), name
        assert entry["responseCode"] == (None if error else 200), name
        assert (listener.requests == 0) == (error is not None), f"{name} got {listener.requests} requests"
    metrics = Metrics(world.bridges[0])
    assert metrics("tls_handshakes_total", resumed="no") >= 1
    assert metrics("attempts_total", outcome="tls_expired") >= 1


def test_each_lie_of_a_nameserver_is_named(world, account):
    healthy = account.register(world.receiver.url("/healthy"), "module.completed")
    webhooks = {name: account.register(f"http://{name}.example:9/hook", "module.completed") for name in LYING_NAMES}
    produce(world, account, "names")
    for name, (_, error) in LYING_NAMES.items():
        entry = first_entry(account, webhooks[name])
        assert (entry["status"], entry["responseCode"], entry.get("error")) == ("failed", None, error), name
        # A refusal tells nothing of our network.
        assert not any(part in entry["error"] for part in ("127.", "10.", "169.", "private")), name
    assert first_entry(account, healthy)["responseTime"] < 1000, "one slow name holds up the loop"
    metrics = Metrics(world.bridges[0])
    for result in ["found", "not_found", "failed"]:
        assert metrics("dns_lookups_total", result=result) >= 1, result
    assert metrics("addresses_denied_total") >= 5 and metrics("attempts_total", outcome="address_denied") >= 5


def test_a_name_that_moves_inside_is_not_followed(world, account, nameserver):
    webhook = account.register(f"http://rebinding.example:{world.receiver.port}/rebinding", "module.completed")
    produce(world, account, "before")
    until(lambda: world.receiver.at("/rebinding"), 15, "the delivery before the name moves")

    def refused():
        # The connection is still open and idle; only the name has changed.
        produce(world, account, f"after-{len(nameserver.asked)}-{len(account.log(webhook['id'])['data'])}")
        return [entry for entry in account.log(webhook["id"], limit=100)["data"]
                if entry.get("error") == "Endpoint address not allowed"]

    until(refused, 20, lambda: f"a refusal\n{account.log(webhook['id'])}")
    delivered = [entry for entry in account.log(webhook["id"], limit=100)["data"] if entry["status"] == "delivered"]
    assert len(world.receiver.at("/rebinding")) == len(delivered)


def test_a_listener_on_every_address_is_denied_on_each_of_them(world, account):
    if own_address() is None:
        pytest.skip("this machine has no address but loopback")
    port = world.bridges[0].ops.rpartition(":")[2]
    inside = account.register(f"http://own.example:{port}/", "module.completed")
    beside = account.register("http://own.example:9/", "module.completed")
    response = account.call("POST", "/v1/webhooks", {
        "url": f"http://{own_address()}:{port}/", "events": ["module.completed"]})
    assert response.status_code == 422, response.text
    produce(world, account, "own")
    assert first_entry(account, inside)["error"] == "Endpoint address not allowed"
    assert first_entry(account, beside)["error"] == "Connection refused", "the address itself is allowed here"


@pytest.mark.parametrize("url", [
    # Loopback in IPv4 is allowed to the bridge of these tests; Tests/Core has its many forms.
    "https://10.1/", "https://0xa.1/", "https://012.0.0.1/", "https://167772161/", "https://%31%30.0.0.1.:1/",
    "https://[::1]/", "https://[::ffff:169.254.169.254]/", "https://[fe80::1%25eth0]/", "https://169.254.169.254/latest",
    "https://user@example.com/", "https://example.com\\@10.0.0.1/", "https://localhost/", "https://a.internal/",
    "https://api.default.svc.cluster.local./", "https://example.com:0/", "https://example.com/#x", "ftp://example.com/",
])
def test_hostile_urls_are_not_registered(world, registered, url):
    response = registered.call("POST", "/v1/webhooks", {"url": url, "events": ["module.completed"]})
    assert response.status_code == 422, response.text
    assert response.json()["error"]["code"] == "VALIDATION_FAILED"


def test_ip_ranges_are_the_published_ones(registered):
    response = registered.call("GET", "/v1/ip-ranges")
    assert response.status_code == 200
    assert response.json() == {"success": True, "data": {
        "production": ["52.85.83.0/27", "54.85.83.0/27"], "testnet": ["52.85.84.0/27", "54.85.84.0/27"]}}


def test_a_lookup_that_nobody_answers_is_counted(world, account):
    account.register("http://slow.example:9/counted", "module.completed")
    produce(world, account, "slow")
    until(lambda: Metrics(world.bridges[0])("dns_lookups_total", result="timeout") >= 1, 30,
          lambda: Metrics(world.bridges[0]).text)
