#!/usr/bin/env python3
"""What many webhooks cost: a bridge starts beside 100,000 webhooks of 10,000 accounts, which are written straight to the
topics by an independent client. Time from the process's start to `readyz`, its memory then, and the registry's take-over.

usage: registry.py [--webhooks N] [--accounts N] [--rounds N]
"""
import argparse
import base64
import json
import secrets
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "System"))

from harness.bridge import Bridge  # noqa: E402
from harness.brokers import NoidaBroker  # noqa: E402
from harness.kafka import Backend  # noqa: E402
from harness.paths import BINARY  # noqa: E402
from harness.waiting import until  # noqa: E402

SECONDS, MEGABYTES = 3, 250
AT = "2024-01-15T10:00:00.000Z"
FAMILIES = ["user", "module", "reward", "credential", "referral", "employer"]


def resident_megabytes(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0


def produce(backend, options):
    """As the registry writes them: each webhook with a URL, three subscriptions and one sealed secret."""
    accounts = [secrets.token_hex(12) for _ in range(options.accounts)]
    for number, account in enumerate(accounts):
        identifier = f"acct_{account}"
        backend.send("webhooks.accounts", {
            "id": identifier, "email": f"developer{number}@example.com",
            "keys": [{"id": secrets.token_hex(4), "hash": secrets.token_hex(32), "createdAt": AT}], "createdAt": AT},
            key=identifier.encode(), headers={"command-id": f"cmd_{secrets.token_hex(12)}"}, tag="state")
    for number in range(options.webhooks):
        identifier, family = f"wh_{secrets.token_hex(12)}", FAMILIES[number % len(FAMILIES)]
        backend.send("webhooks.subscriptions", {
            "id": identifier, "accountId": f"acct_{accounts[number % len(accounts)]}",
            "url": f"https://hooks.customer{number}.example.com/learnault/webhooks",
            "events": ["user.created", f"{family}.*"], "isActive": True, "version": "1.0", "generation": 1,
            "createdAt": AT, "updatedAt": AT, "secrets": [
                {"keyId": "k1", "box": base64.b64encode(secrets.token_bytes(78)).decode(), "createdAt": AT}]},
            key=identifier.encode(), headers={"command-id": f"cmd_{secrets.token_hex(12)}"}, tag="state")
    backend.flush(120)


def measure(bridge):
    began = time.monotonic()
    bridge.start()
    until(bridge.is_ready, 120, "ready")
    seconds = time.monotonic() - began
    entries = [json.loads(line) for line in bridge.log.splitlines()]
    counts = {entry["message"]: entry.get("count") for entry in entries if "count" in entry}
    memory = resident_megabytes(bridge.pid)
    bridge.stop()
    return seconds, memory, counts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--webhooks", type=int, default=100_000)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if not BINARY.exists():
        sys.exit(f"no binary at {BINARY}: run ./dev build")
    directory = tempfile.mkdtemp(prefix="webhook-bridge-bench-")
    broker = None
    try:
        broker = NoidaBroker(directory)
        bridge = Bridge(directory, broker.bootstrap)
        bridge.make_topics()
        empty = measure(bridge)
        produce(Backend(broker.bootstrap), options)
        rounds = [measure(bridge) for _ in range(options.rounds)]
        loaded = rounds[-1][2].get("registry view loaded")
        seconds = statistics.median(each[0] for each in rounds)
        memory = max(each[1] for each in rounds)
        print(f"{'':34}{'empty':>10}{options.webhooks:>10,}")
        print(f"{'start to readyz, s':34}{empty[0]:>10.2f}{seconds:>10.2f}   (at most {SECONDS})")
        print(f"{'resident memory when ready, MB':34}{empty[1]:>10.0f}{memory:>10.0f}   (at most {MEGABYTES})")
        print(json.dumps({"empty": empty[:2], "rounds": [each[:2] for each in rounds], "loaded": loaded}))
        faults = [loaded != options.webhooks, seconds > SECONDS, memory > MEGABYTES]
        return 1 if any(faults) else 0
    finally:
        if broker is not None:
            broker.stop()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
