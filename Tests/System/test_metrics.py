"""The metrics as Prometheus' own parser reads them, and the page that documents them."""
import re
import time

from harness.events import send_modules
from harness.metrics import PREFIX, Metrics
from harness.paths import ROOT
from harness.waiting import steady, until

# The role mail as well: nobody listens there, and nothing is mailed.
WORLD_SETTINGS = {"mail": {"smtp": "smtp://127.0.0.1:1", "from": "webhooks@bridge.example"}}
OLDEST_DUE = PREFIX + "retries_oldest_due_timestamp_seconds"
DOCUMENTED = {
    name: (kind, set(re.findall(r"`(\w+)`", labels)))
    for name, kind, labels in re.findall(
        r"^\| `(\w+)` \| (\w+) \|([^|]*)\|", (ROOT / "config/metrics.md").read_text(encoding="utf-8"), re.M)}


def settled(bridge):
    """A reading after which nothing of the tests before comes in late."""
    steady(lambda: [Metrics(bridge)(name) for name in ("records_in_total", "records_out_total", "attempts_total")])
    return Metrics(bridge)


def test_what_is_exposed_is_what_is_documented(world, account):
    account.register(world.receiver.url("/documented"), "module.completed")
    ids = send_modules(world, account)
    until(lambda: ids <= world.receiver.accepted_ids("/documented"), 30, "a delivery")
    until(lambda: PREFIX + "consumer_lag_records{" in Metrics(world.bridges[0]).text, 30, "a lag")
    metrics = Metrics(world.bridges[0])
    exposed = {}
    for name, family in metrics.families.items():
        assert family.documentation.endswith("."), name
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        if name == OLDEST_DUE and not family.samples:
            labels = {"tier"}  # a series only while something waits: test_what_is_parked_has_a_due_time
        else:
            assert family.samples, f"{name} has no series"
        assert all(set(sample.labels) - {"le"} == labels for sample in family.samples), f"{name}: labels differ"
        exposed[name] = (family.type, labels)
    assert exposed == DOCUMENTED


def test_parked_deliveries_are_counted_however_many(make_world):
    """A partition of which enough is in hand is not fetched any more; what is added to it is counted all the same."""
    world = make_world("noida")
    bridge = world.run()
    headers = {
        "event-id": "evt_" + "1" * 24, "event-type": "module.completed", "webhook-id": "wh_" + "2" * 24,
        "account-id": "acct_" + "3" * 24, "delivery-id": "dlv_" + "4" * 24, "generation": "1", "purpose": "delivery",
        "attempt": "8", "origin": "learnault.modules/0/0", "due-at": "2199-01-01T00:00:00.000Z"}
    for count in (200, 400):
        for number in range(200):
            world.backend.send("webhooks.retries", b"{}", key=b"24h", headers=list(headers.items()), partition=7,
                               tag=f"{count}/{number}")
        world.backend.flush()
        until(lambda: Metrics(bridge)("retries_parked", tier="24h") == count, 20,
              lambda: f"{count} parked: {Metrics(bridge)('retries_parked', tier='24h')}")


def test_a_histogram_is_one(world):
    family = Metrics(world.bridges[0]).families[PREFIX + "attempt_duration_seconds"]
    buckets = [sample for sample in family.samples if sample.name.endswith("_bucket")]
    bounds = [float(sample.labels["le"]) for sample in buckets]
    assert bounds == sorted(bounds) and bounds[-1] == float("inf") and 5.0 in bounds
    counts = [sample.value for sample in buckets]
    assert counts == sorted(counts)
    assert next(sample.value for sample in family.samples if sample.name.endswith("_count")) == counts[-1]


def test_deliveries_move_what_counts_them(world, account):
    bridge = world.bridges[0]
    account.register(world.receiver.url("/counted"), "module.completed")
    before = settled(bridge)
    ids = send_modules(world, account, 10)
    until(lambda: ids <= world.receiver.accepted_ids("/counted"), 30, "ten deliveries")

    def moved(name, **labels):
        return Metrics(bridge)(name, **labels) - before(name, **labels)

    until(lambda: moved("attempts_total", outcome="http_2xx") == 10, 10, lambda: Metrics(bridge).text)
    assert moved("attempts_total") == 10
    assert moved("attempt_duration_seconds_count") == 10
    assert moved("attempt_duration_seconds_sum") > 0
    assert moved("connects_total") >= 1
    assert moved("connects_total") + moved("connection_reuses_total") >= 10
    until(lambda: moved("records_in_total", role="translate") == 10, 10, "records in")
    until(lambda: moved("records_out_total", role="translate") == 10, 10, "records out")
    until(lambda: moved("records_out_total", role="deliver") == 10, 10, "attempts out")
    assert Metrics(bridge)("connections", state="idle") >= 1
    assert Metrics(bridge)("attempts_in_flight") == 0
    until(lambda: Metrics(bridge)("lanes", state="healthy") >= 1, 10, "a healthy lane")
    roles = {"translate": "learnault.modules", "deliver": "webhooks.deliveries"}
    for role, topic in roles.items():
        until(lambda: Metrics(bridge)("consumer_lag_records", role=role, topic=topic) == 0, 10,
              lambda: f"{role} done\n{Metrics(bridge).text}")
    for role in ("translate", "deliver", "retry", "registry"):
        assert Metrics(bridge)("assigned_partitions", role=role) >= 1
        assert Metrics(bridge)("produce_retries_total", role=role) == before("produce_retries_total", role=role)
    until(lambda: Metrics(bridge)("window_records") == 0 and Metrics(bridge)("unacknowledged_records") == 0, 10,
          "nothing is under way")


def test_a_process_tells_of_itself(world):
    metrics = Metrics(world.bridges[0])
    assert 5e6 < metrics("process_resident_memory_bytes") < 1e9
    assert 10 < metrics("process_open_fds") < metrics("process_max_fds")
    assert metrics("process_cpu_seconds_total") > 0
    assert -5 < time.time() - metrics("process_start_time_seconds") < 600


def test_mapping_reloads_are_counted(world):
    bridge = world.bridges[0]
    before = Metrics(bridge)
    bridge.reload()
    until(lambda: Metrics(bridge)("mapping_reloads_total", result="taken_up")
          == before("mapping_reloads_total", result="taken_up") + 1, 20, "a reload")
    assert Metrics(bridge)("mapping_files") == before("mapping_files") >= 6


def test_what_cannot_be_mapped_is_counted_by_its_reason(world):
    bridge = world.bridges[0]
    before = Metrics(bridge)
    world.backend.send("learnault.modules", b"no JSON", key="poison", tag="poison")
    world.backend.flush()
    until(lambda: Metrics(bridge)("dead_letters_total", reason="unmappable")
          == before("dead_letters_total", reason="unmappable") + 1, 20, lambda: Metrics(bridge).text)


def test_what_is_parked_has_a_due_time(world, account):
    account.register(world.receiver.url("/parks"), "module.completed")
    world.receiver.script("/parks", [500])
    began = time.time()
    send_modules(world, account, 1)
    until(lambda: OLDEST_DUE + '{tier="30s"}' in Metrics(world.bridges[0]).text, 30, "a due time")
    metrics = Metrics(world.bridges[0])
    assert metrics("retries_parked", tier="30s") == 1
    # Whole seconds.
    assert began + 29 <= metrics("retries_oldest_due_timestamp_seconds", tier="30s") <= time.time() + 30
