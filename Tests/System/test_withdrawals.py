"""A broker that stands still while changes are written: what was answered UNCONFIRMED has not happened, whatever lands."""
import os
import signal
import threading
import time

import pytest

from harness.waiting import until

CLIENTS = 12
STALL = 6.5  # longer than a sender waits for its answer
MOST_STALLS = 4


class Patcher(threading.Thread):
    """One after the other; knows what it was told."""

    def __init__(self, account, number, stop):
        super().__init__(daemon=True)
        self.account, self.stop, self.number = account, stop, number
        self.path = "/v1/webhooks/" + account.register(f"https://example.com/{number}", "user.created", description="0")["id"]
        self.expected, self.refused, self.done, self.faults = "0", 0, 0, []

    def shown(self):
        return self.account.call("GET", self.path).json()["data"]["description"]

    def run(self):
        number = 0
        while not self.stop.is_set():
            number += 1
            answer = self.account.call("PATCH", self.path, {"description": str(number)}, timeout=30)
            code = None if answer.status_code == 200 else answer.json()["error"]["code"]
            if code is None or code == "CARRIED_OUT":
                self.expected, self.done = str(number), self.done + 1
            elif code == "UNCONFIRMED":
                self.refused += 1
            else:
                self.faults.append(answer.text)


@pytest.mark.timeout(120)
def test_what_was_unconfirmed_has_not_happened_when_the_broker_goes_on(make_world):
    world = make_world("noida", limits={"requestsPerMinute": 0})
    bridge = world.bridge()
    bridge.make_topics()
    bridge.start("--roles", "api,registry").wait_ready()
    accounts = [world.account(bridge) for _ in range(2)]
    stop = threading.Event()
    clients = [Patcher(accounts[number % 2], number, stop) for number in range(CLIENTS)]
    for client in clients:
        client.start()

    def withdrawn():
        return sum(record.json.get("code") == "COMMAND_WITHDRAWN" for record in world.dump("results"))

    def moving(before):
        return all(client.done > count for client, count in zip(clients, before))

    for stalls in range(1, MOST_STALLS + 1):
        before = [client.done for client in clients]
        until(lambda: moving(before), 30, lambda: f"changes {[client.done for client in clients]}\n{bridge.log[-3000:]}")
        os.kill(world.broker.process.pid, signal.SIGSTOP)
        try:
            time.sleep(STALL)
        finally:
            os.kill(world.broker.process.pid, signal.SIGCONT)
        before = [client.done for client in clients]
        until(lambda: moving(before), 30, lambda: f"changes {[client.done for client in clients]}\n{bridge.log[-3000:]}")
        if withdrawn():
            break
    stop.set()
    for client in clients:
        client.join(30)
        assert not client.is_alive()
    print(f"{stalls} stalls, {sum(client.done for client in clients)} changes, "
          f"{sum(client.refused for client in clients)} unconfirmed, {withdrawn()} taken back")
    assert [fault for client in clients for fault in client.faults] == []
    assert all(client.refused for client in clients), "each of them was told so"
    assert withdrawn(), "something landed and was taken back"
    shown = [client.shown() for client in clients]
    assert shown == [client.expected for client in clients]
