"""A nameserver on loopback that answers by script: dnslib, over UDP and TCP at the same port."""
import threading
import time

from dnslib import A, AAAA, QTYPE, RCODE, RR
from dnslib.server import BaseResolver, DNSLogger, DNSServer


class Nameserver(BaseResolver):
    """`names` maps a name to a list of addresses, to a response code's name, to seconds of silence, or to a function of
    the number of times its A record was asked for before that returns one of these."""

    def __init__(self, names):
        self.names = names
        self.asked = []
        self._lock = threading.Lock()
        logger = DNSLogger(log="-request,-reply,-truncated,-error", logf=lambda _: None)
        udp = DNSServer(self, address="127.0.0.1", port=0, logger=logger)
        self.port = udp.server.server_address[1]
        tcp = DNSServer(self, address="127.0.0.1", port=self.port, tcp=True, logger=logger)
        self._servers = [udp, tcp]
        for server in self._servers:
            server.start_thread()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def resolve(self, request, handler):
        name = str(request.q.qname).rstrip(".").lower()
        kind = QTYPE[request.q.qtype]
        with self._lock:
            before = self.asked.count((name, kind))
            self.asked.append((name, kind))
        reply = request.reply()
        answer = self.names.get(name, "NXDOMAIN")
        if callable(answer):
            answer = answer(before)
        if isinstance(answer, (int, float)):
            time.sleep(answer)
            answer = "SERVFAIL"
        if isinstance(answer, str):
            reply.header.rcode = getattr(RCODE, answer)
            return reply
        for address in answer:
            if (":" in address) == (kind == "AAAA"):
                data = AAAA(address) if kind == "AAAA" else A(address)
                reply.add_answer(RR(request.q.qname, request.q.qtype, rdata=data, ttl=0))
        return reply

    def close(self):
        for server in self._servers:
            server.server.shutdown()
            server.server.server_close()
