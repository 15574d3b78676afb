"""The scripted subscriber: writes down each request and its decision before it answers.

One event loop on a thread of the test process, so that it outlives every bridge a test kills. What it answers is
programmed by path: a list of statuses (the last one stays), or a function of the request.
"""
import asyncio
import hashlib
import hmac
import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Answer:
    status: int = 200
    headers: dict = field(default_factory=dict)
    body: bytes = b"OK"
    delay: float = 0  # seconds between the decision and the answer
    hold: threading.Event | None = None  # the answer waits until it is set


@dataclass
class Delivery:
    """One request as it came, and what was decided about it."""
    path: str
    headers: dict  # lower-case names
    names: list  # names as they were written
    body: bytes
    arrived: float  # monotonic seconds, when the last byte of the request was there
    wall: float  # seconds since 1970, the same moment
    pid: int | None  # the process that made the connection, where one of `watched` did
    status: int = 0
    answered: float | None = None  # monotonic seconds, when the answer was handed to the kernel

    @property
    def event_id(self):
        return self.headers.get("webhook-id")

    @property
    def attempt(self):
        return int(self.headers["x-learnault-delivery"].rpartition(".")[2])

    @property
    def accepted(self):
        return 200 <= self.status < 300

    def signed_with(self, secret):
        expected = hmac.new(secret.encode(), self.body, hashlib.sha256).hexdigest()
        return hmac.compare_digest(expected, self.headers.get("x-learnault-signature", ""))


class Receiver:
    def __repr__(self):
        return f"Receiver({len(self.deliveries)} deliveries)"

    def __init__(self):
        self.deliveries = []
        self.watched = set()  # process ids whose connections are told apart
        self.malformed = []
        self._scripts = {}
        self._loop = asyncio.new_event_loop()
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), name="receiver", daemon=True)
        self._thread.start()
        assert started.wait(10)

    def _run(self, started):
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            self._loop.create_server(lambda: _Connection(self), "127.0.0.1", 0, backlog=1024))
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        self._loop.run_forever()
        server.close()

    def close(self):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def script(self, path, answers):
        """`answers`: a list of statuses or Answers, the last one for ever; or a function of the Delivery."""
        if callable(answers):
            self._scripts[path] = answers
            return
        left = list(answers)

        def next_answer(_):
            return left.pop(0) if len(left) > 1 else left[0]

        self._scripts[path] = next_answer

    def at(self, path):
        return [delivery for delivery in list(self.deliveries) if delivery.path == path]

    def accepted_ids(self, path=None):
        return {delivery.event_id for delivery in list(self.deliveries)
                if delivery.accepted and delivery.answered and path in (None, delivery.path)}

    def unanswered(self, pid=None):
        """Requests that were decided upon and not answered yet."""
        return [delivery for delivery in list(self.deliveries)
                if delivery.answered is None and pid in (None, delivery.pid)]

    def decide(self, delivery):
        answer = self._scripts.get(delivery.path, lambda _: 200)(delivery)
        answer = answer if isinstance(answer, Answer) else Answer(answer)
        delivery.status = answer.status
        self.deliveries.append(delivery)  # before the answer goes out
        return answer


class _Connection(asyncio.Protocol):
    def __init__(self, receiver):
        self.receiver = receiver
        self.buffer = bytearray()
        self.pid = None

    def connection_made(self, transport):
        self.transport = transport
        if self.receiver.watched:
            self.pid = _owner_of(transport.get_extra_info("peername")[1], self.receiver.watched)

    def data_received(self, data):
        self.buffer += data
        while (request := self._take()) is not None:
            answer = self.receiver.decide(request)
            if answer.delay:
                asyncio.get_running_loop().call_later(answer.delay, self._answer, request, answer)
            else:
                self._answer(request, answer)

    def _answer(self, delivery, answer):
        if self.transport.is_closing():
            return
        if answer.hold is not None and not answer.hold.is_set():
            asyncio.get_running_loop().call_later(0.01, self._answer, delivery, answer)
            return
        lines = [f"HTTP/1.1 {answer.status} Decided", f"Content-Length: {len(answer.body)}"]
        lines += [f"{name}: {value}" for name, value in answer.headers.items()]
        self.transport.write("\r\n".join(lines).encode() + b"\r\n\r\n" + answer.body)
        delivery.answered = time.monotonic()

    def _take(self):
        """One whole request off the buffer, or None."""
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        first, *lines = bytes(self.buffer[:end]).decode("latin-1").split("\r\n")
        pairs = [line.partition(":")[::2] for line in lines]
        headers = {name.lower(): value.strip() for name, value in pairs}
        length = headers.get("content-length", "")
        method, _, rest = first.partition(" ")
        path, _, version = rest.partition(" ")
        if method != "POST" or version != "HTTP/1.1" or not length.isdigit() or len(headers) != len(pairs):
            self.receiver.malformed.append(bytes(self.buffer))
            self.transport.close()
            self.buffer.clear()
            return None
        total = end + 4 + int(length)
        if len(self.buffer) < total:
            return None
        body = bytes(self.buffer[end + 4:total])
        del self.buffer[:total]
        return Delivery(path, headers, [name for name, _ in pairs], body, time.monotonic(), time.time(), self.pid)


def _owner_of(port, pids):
    """The process among `pids` whose socket has this local port; None where none has."""
    wanted = f":{port:04X}"
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(wanted) and fields[9] != "0":
            inode = f"socket:[{fields[9]}]"
            for pid in pids:
                try:
                    for entry in os.scandir(f"/proc/{pid}/fd"):
                        try:
                            if os.readlink(entry.path) == inode:
                                return pid
                        except OSError:
                            continue
                except OSError:
                    continue
    return None
