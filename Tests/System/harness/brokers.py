"""The two brokers: noida-db, an independent Kafka server, and the embedded one in a process of its own."""
import socket
from pathlib import Path

import noida_db
from confluent_kafka.admin import AdminClient

from .paths import BINARY
from .processes import Process, free_port
from .waiting import until


class NoidaBroker:
    """noida-db: creates topics, keeps configs, answers offsets for times; never expires a dead group member."""
    kind = "noida"

    def __init__(self, directory, port=None):
        self.port = port or free_port()
        self.bootstrap = f"127.0.0.1:{self.port}"
        # The program itself: the package's command is a wrapper whose end leaves the broker running.
        program = Path(noida_db.__file__).parent / "noida-db"
        self.process = Process(
            "noida-db", [program, "start", "--only", "kafka", "--kafka-port", self.port, "--data-dir",
                         Path(directory) / "noida"], directory)
        until(self._answers, 20, lambda: f"noida-db on {self.bootstrap}\n{self.process.stderr}")

    def _answers(self):
        assert self.process.alive, f"noida-db ended\n{self.process.stderr}"
        try:
            admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
            return admin.list_topics(timeout=1).brokers
        except Exception:
            return None

    def stop(self):
        self.process.kill()
        until(self._refuses, 10, f"noida-db gone from {self.bootstrap}")

    def _refuses(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) != 0


class EmbeddedBroker:
    """`webhook-bridge broker`: expires dead members, so whatever kills or stalls one runs here."""
    kind = "embedded"

    def __init__(self, directory, configuration):
        self.process = Process("broker", [BINARY, "broker", "--config", configuration], directory)
        self.bootstrap = self.process.first_line(20).strip()

    def stop(self):
        assert self.process.stop() == 0, f"the embedded broker did not stop cleanly\n{self.process.stderr[-3000:]}"
