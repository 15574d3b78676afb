"""A broker, bridges, a receiver and a backend that belong together; everything is gone when it is closed."""
import itertools
from pathlib import Path

from .bridge import Account, Bridge, configuration
from .brokers import EmbeddedBroker, NoidaBroker
from .kafka import Backend, committed, dump
from .receiver import Receiver
from .waiting import until

OWN_TOPICS = ["deliveries", "deferred", "retries", "attempts", "dead-letters", "notices", "emails", "commands",
              "results", "accounts", "subscriptions"]


class World:
    def __init__(self, directory, broker="noida", **settings):
        self.directory = Path(directory)
        self.settings = settings
        self.bridges, self.accounts, self._closers = [], [], []
        self._numbers = itertools.count(1)
        if broker == "noida":
            self.broker = NoidaBroker(directory)
        else:
            # Its topics are made from the configuration; its address is not known before it runs.
            path, _ = configuration(directory, "127.0.0.1:1", "broker", **settings)
            self.broker = EmbeddedBroker(directory, path)
        self._closers.append(self.broker.stop)
        self.receiver = Receiver()
        self._closers.append(self.receiver.close)
        self.backend = Backend(self.broker.bootstrap)

    def bridge(self, name="bridge", **changes):
        """One more bridge, not started."""
        bridge = Bridge(self.directory, self.broker.bootstrap, name, **{**self.settings, **changes})
        self.bridges.append(bridge)
        return bridge

    def run(self, name="bridge", **changes):
        """One more bridge, ready; the first one makes the topics."""
        bridge = self.bridge(name, **changes)
        if len(self.bridges) == 1:
            bridge.make_topics()
        return bridge.run()

    def account(self, bridge=None):
        account = Account(bridge or self.bridges[0], f"developer{next(self._numbers)}@example.com")
        self.accounts.append(account)
        return account

    def dump(self, *topics):
        return dump(self.broker.bootstrap, *("webhooks." + topic for topic in topics))

    def wait_records(self, topic, matching, timeout=15):
        """The records of `webhooks.TOPIC` that match, once there is one."""
        return until(lambda: [record for record in self.dump(topic) if matching(record)], timeout,
                     lambda: f"a record on webhooks.{topic}; there are {self.dump(topic)}")

    def committed(self, role, topic):
        return committed(self.broker.bootstrap, f"webhook-bridge.{role}", topic)

    def wait_drained(self, role, topic, timeout=30):
        """Until the group of a role has committed the topic's ends: it is done with everything there."""
        def done():
            places = self.committed(role, topic)
            return all(offset == end or (offset is None and end == 0) for offset, end in places.values())

        until(done, timeout, lambda: f"{role} done with {topic}: {self.committed(role, topic)}")

    def close(self):
        """Stops the bridges by SIGTERM, which has to end with exit code 0, and then the rest."""
        faults = []
        for bridge in self.bridges:
            if bridge.process is None:
                continue
            if bridge.process.alive:
                self._try(bridge.stop, faults)
            self._try(bridge.assert_sound, faults)
        for closer in reversed(self._closers):
            self._try(closer, faults)
        if faults:
            raise faults[0]

    @staticmethod
    def _try(step, faults):
        try:
            step()
        except AssertionError as fault:
            faults.append(fault)
