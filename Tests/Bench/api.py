#!/usr/bin/env python3
"""The API's latencies: one bridge with all its roles on noida-db, a mix of reads and writes at a fixed rate over a few
connections that stay open. Beside them the client's own floor: a route that looks nothing up, at the same rate, alone.

usage: api.py [--rate N] [--seconds N] [--connections N] [--writes SHARE]
"""
import argparse
import asyncio
import json
import random
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "System"))

from harness.paths import BINARY  # noqa: E402
from harness.waiting import until  # noqa: E402
from harness.world import World  # noqa: E402

READ_MS, WRITE_MS = 5, 50
ACCOUNTS, TESTS = 8, 20
URL = "https://yourapp.com/webhooks/learnault"


class Connection:
    """One keep-alive connection, one request at a time."""

    def __init__(self, host, port):
        self.host, self.port = host, port

    async def open(self):
        self.reader, self.writer = await asyncio.open_connection(self.host, self.port)
        return self

    async def ask(self, method, path, key, body=None):
        """(status, body, seconds)"""
        content = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: {self.host}\r\nAuthorization: Bearer {key}\r\n"
        if body is not None:
            head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
        began = time.perf_counter()
        self.writer.write(head.encode() + b"\r\n" + content)
        head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        status = int(head[9:12])
        length = head.partition(b"content-length: ")[2].partition(b"\r")[0]
        answer = await self.reader.readexactly(int(length)) if length and status != 204 else b""
        return status, answer, time.perf_counter() - began

    def close(self):
        self.writer.close()


class Customer:
    """An account: a webhook that is read and changed, and others that come and go."""

    def __init__(self, account, webhook):
        self.key, self.webhook, self.passing = account.api_key, webhook, []

    def next(self, writes):
        """(kind, method, path, body) of its next request."""
        path = f"/v1/webhooks/{self.webhook}"
        if random.random() >= writes:
            return random.choice([("GET list", "GET", "/v1/webhooks", None), ("GET one", "GET", path, None),
                                  ("GET logs", "GET", path + "/logs?limit=20", None)])
        kind = random.choice(["POST", "PATCH", "DELETE"])
        if kind == "PATCH":
            return kind, "PATCH", path, {"description": f"number {random.random()}"}
        # Seven at most, so that what is under way at once does not meet the limit of ten.
        if self.passing and (kind == "DELETE" or len(self.passing) >= 4):
            return "DELETE", "DELETE", f"/v1/webhooks/{self.passing.pop()}", None
        return "POST", "POST", "/v1/webhooks", {"url": URL, "events": ["module.completed"]}


async def load(host, port, options, requests, seconds):
    """Sends what `requests()` gives (kind, key, method, path, body, done) at the rate; seconds by kind, and the latest start."""
    taken, faults, late = defaultdict(list), [], 0
    count, began = int(options.rate * seconds), time.perf_counter() + 0.1
    numbers = iter(range(count))

    async def work():
        nonlocal late
        connection = await Connection(host, port).open()
        for number in numbers:
            due = began + number / options.rate
            while (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            late = max(late, -wait)
            kind, key, method, path, body, done = requests()
            status, answer, spent = await connection.ask(method, path, key, body)
            if status >= 300:
                faults.append(f"{method} {path}: {status} {answer[:200]!r}")
            else:
                taken[kind].append(spent)
                done(answer)
        connection.close()

    await asyncio.gather(*(work() for _ in range(options.connections)))
    return taken, faults, late


def percentile(values, share):
    values = sorted(values)
    return 1000 * values[min(len(values) - 1, int(len(values) * share))]


def prepare(world):
    bridge = world.run()
    customers = []
    for _ in range(ACCOUNTS):
        account = world.account()
        webhook = account.register(world.receiver.url("/bench"), "module.completed")["id"]
        for _ in range(TESTS):
            account.call("POST", f"/v1/webhooks/{webhook}/test")
        until(lambda: account.log(webhook)["pagination"]["total"] == TESTS, 30, "the tests in the log")
        customers.append(Customer(account, webhook))
    return bridge, customers


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--writes", type=float, default=0.1)
    options = parser.parse_args()
    if not BINARY.exists():
        sys.exit(f"no binary at {BINARY}: run ./dev build")
    directory = tempfile.mkdtemp(prefix="webhook-bridge-bench-")
    world = World(directory)
    try:
        bridge, customers = prepare(world)
        host, port = bridge.settings["api"]["listen"].rsplit(":", 1)

        def floor():
            return "floor", customers[0].key, "GET", "/v1/ip-ranges", None, lambda _: None

        def mixed():
            customer = random.choice(customers)
            kind, method, path, body = customer.next(options.writes)

            def done(answer):
                if kind == "POST":
                    customer.passing.append(json.loads(answer)["data"]["id"])

            return kind, customer.key, method, path, body, done

        alone, faults, _ = asyncio.run(load(host, port, options, floor, options.seconds / 4))
        taken, more, late = asyncio.run(load(host, port, options, mixed, options.seconds))
        faults += more
        missed = bool(faults)
        print(f"{options.rate} requests/s for {options.seconds:g} s over {options.connections} connections, "
              f"{options.writes:.0%} writes; milliseconds")
        print(f"{'':12}{'count':>8}{'p50':>8}{'p99':>8}{'most':>8}")
        for kind in ["floor", "GET list", "GET one", "GET logs", "POST", "PATCH", "DELETE"]:
            values = (alone if kind == "floor" else taken)[kind]
            if not values:
                continue
            p50, p99, most = (percentile(values, share) for share in (0.5, 0.99, 1))
            verdict = ""
            if kind != "floor":
                wanted = READ_MS if kind.startswith("GET") else WRITE_MS
                missed |= p99 > wanted
                verdict = f"   p99 at most {wanted}: {'ok' if p99 <= wanted else 'FAULT'}"
            print(f"{kind:12}{len(values):>8}{p50:>8.2f}{p99:>8.2f}{most:>8.2f}{verdict}")
        print(f"the client began a request {1000 * late:.0f} ms late at most")
        for fault in faults[:10]:
            print(f"FAULT {fault}")
        return 1 if missed else 0
    finally:
        world.close()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
