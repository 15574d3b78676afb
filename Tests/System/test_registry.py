"""The registry under many hands: eight clients on two processes change one account at random, one process is killed and
comes back, and whatever a client was told is true. `REGISTRY_SECONDS=60` is the long run."""
import os
import random
import threading
import time

import pytest
import requests

from harness.waiting import until

SECONDS = float(os.environ.get("REGISTRY_SECONDS", "6"))
CLIENTS = 8
LIMIT = 10
UNKNOWN = object()  # whether it happened nobody was told: the connection broke


class Client(threading.Thread):
    """Changes webhooks that it alone has made, so that it knows what each has to be."""

    def __init__(self, number, account, bridges, stop):
        super().__init__(daemon=True)
        self.number, self.account, self.bridges, self.stop = number, account, bridges, stop
        self.random = random.Random(number)
        self.expected = {}  # webhook → description, or UNKNOWN, or None once it is gone
        self.lost_creations = 0
        self.done = {"create": 0, "patch": 0, "delete": 0, "refused": 0, "unconfirmed": 0, "broken": 0}
        self.faults = []

    def run(self):
        try:
            while not self.stop.is_set():
                self.step()
        except Exception as fault:  # a thread's exception is nobody's otherwise
            self.faults.append(repr(fault))

    def call(self, method, path, body=None):
        try:
            response = self.account.call(method, path, body, bridge=self.random.choice(self.bridges), timeout=20)
        except requests.RequestException:
            self.done["broken"] += 1
            time.sleep(0.05)
            return None, None
        if response.status_code == 503:
            self.done["unconfirmed"] += 1
            if response.json()["error"]["code"] == "CARRIED_OUT":
                return "carried out", response
        return response.status_code, response

    def step(self):
        alive = [identifier for identifier, value in self.expected.items() if value is not None]
        kind = self.random.choice(["create", "create", "patch", "patch", "delete"]) if alive else "create"
        text = f"{self.number}-{self.random.getrandbits(40):x}"
        if kind == "create":
            status, response = self.call("POST", "/v1/webhooks", {
                "url": f"https://example.com/{text}", "events": ["user.created"], "description": text})
            if status == 201:
                self.expected[response.json()["data"]["id"]] = text
                self.done["create"] += 1
            elif status in (None, "carried out"):
                self.lost_creations += 1
            elif status == 409:
                self.done["refused"] += 1
            elif status != 503:
                self.faults.append(f"create: {status} {response.text}")
            return
        identifier = self.random.choice(alive)
        if kind == "patch":
            status, response = self.call("PATCH", f"/v1/webhooks/{identifier}", {"description": text})
            done, value = 200, text
        else:
            status, response = self.call("DELETE", f"/v1/webhooks/{identifier}")
            done, value = 204, None
        if status in (done, "carried out"):
            self.expected[identifier] = value
            self.done[kind] += 1
        elif status is None:
            self.expected[identifier] = UNKNOWN
        elif status == 404:
            # Another process hears of it within a second (contract §1); or it is gone, if nobody was told of its end.
            time.sleep(0.02)
        elif status != 503:
            self.faults.append(f"{kind}: {status} {response.text}")


def listed(account, bridge):
    try:
        response = account.call("GET", "/v1/webhooks", bridge=bridge, timeout=5)
    except requests.RequestException:
        return None
    return {each["id"]: each["description"] for each in response.json()["data"]} if response.ok else None


@pytest.mark.timeout(int(120 + 3 * SECONDS))
def test_eight_clients_on_two_processes_with_one_killed(make_world):
    world = make_world("embedded", limits={"requestsPerMinute": 0}, kafka={"session.timeout.ms": 6000})
    one = world.bridge("one")
    one.make_topics()
    one.start("--roles", "api,registry").wait_ready()
    two = world.bridge("two").start("--roles", "api,registry").wait_ready()
    account = world.account(one)
    until(lambda: listed(account, one) == {} and listed(account, two) == {}, 20, "the account known to both")
    stop, most, looks = threading.Event(), [0], [0]

    def watch():
        while not stop.is_set():
            for bridge in (one, two):
                seen = listed(account, bridge)
                if seen is not None:
                    most[0], looks[0] = max(most[0], len(seen)), looks[0] + 1

    clients = [Client(number, account, [one, two], stop) for number in range(CLIENTS)]
    watcher = threading.Thread(target=watch, daemon=True)
    for thread in [*clients, watcher]:
        thread.start()
    time.sleep(SECONDS / 2)  # a steady load, not a wait
    # The first process has taken the registry: it is the one to die.
    until(lambda: sum(client.done["create"] for client in clients) > 0, 30, "something done before the kill")
    before = sum(client.done["create"] + client.done["patch"] for client in clients)
    one.kill()
    time.sleep(SECONDS / 8)
    one.start("--roles", "api,registry")
    until(lambda: sum(client.done["create"] + client.done["patch"] for client in clients) > before + 5, 60,
          lambda: f"changes after the kill {[client.done for client in clients]}\n{two.log[-3000:]}")
    time.sleep(SECONDS / 2)
    stop.set()
    for thread in [*clients, watcher]:
        thread.join(30)
        assert not thread.is_alive()
    one.wait_ready(60)
    assert [fault for client in clients for fault in client.faults] == []
    total = {kind: sum(client.done[kind] for client in clients) for kind in clients[0].done}
    print(f"{total}, at most {most[0]} webhooks in {looks[0]} looks")
    assert most[0] <= LIMIT and looks[0] > 10

    def settled():
        first, second = listed(account, one), listed(account, two)
        return first is not None and first == second and (first,)

    final, = until(settled, 15, lambda: f"both views equal: {listed(account, one)} {listed(account, two)}")
    time.sleep(1)  # an unconfirmed write would happen now, if it did
    assert listed(account, one) == listed(account, two) == final and len(final) <= LIMIT
    known = {identifier: value for client in clients for identifier, value in client.expected.items()}
    for identifier, value in known.items():
        if value is not UNKNOWN:
            assert final.get(identifier) == value, f"{identifier}: told {value!r}, is {final.get(identifier)!r}"
    invented = set(final) - set(known)
    assert len(invented) <= sum(client.lost_creations for client in clients), f"nobody was told of {invented}"
    assert total["create"] and total["patch"] and total["delete"] and total["refused"], f"not vacuous: {total}"
    epochs = [record.json["epoch"] for record in world.dump("results") if record.key == b"epoch"]
    assert epochs == sorted(set(epochs)) and len(epochs) >= 2, f"the registry was taken over: {epochs}"
