"""Receivers whose TLS is right, and wrong in twelve ways. Certificates by trustme."""
import datetime
import socket
import ssl
import threading
import warnings

import trustme

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK"


class Listener:
    """Serves each connection on a thread: `serve(connection)`."""

    def __init__(self, serve):
        self._serve = serve
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._socket.getsockname()[1]
        self.requests = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._handle, args=(connection,), daemon=True).start()

    def _handle(self, connection):
        with connection:
            connection.settimeout(30)
            try:
                self._serve(self, connection)
            except OSError:  # what the other side does is its log's to tell
                pass

    def close(self):
        self._socket.close()


def answering(context):
    def serve(listener, connection):
        with context.wrap_socket(connection, server_side=True) as stream:
            if stream.recv(65536):
                listener.requests += 1
                stream.sendall(ANSWER)

    return serve


class Certificates:
    def __init__(self):
        self.trusted = trustme.CA(organization_name="Trusted")
        self.foreign = trustme.CA(organization_name="Foreign")

    def context(self, certificate, chain=True):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        pems = certificate.cert_chain_pems if chain else certificate.cert_chain_pems[:1]
        with trustme.Blob(certificate.private_key_pem.bytes() + b"".join(pem.bytes() for pem in pems)).tempfile() as path:
            context.load_cert_chain(path)
        return context

    def cases(self):
        """Name of the case → (how it serves, the error the log must show; None for a success)."""
        day, now = datetime.timedelta(days=1), datetime.datetime.now(datetime.timezone.utc)

        def name(case):
            return f"{case}.example"

        def leaf(case, ca=self.trusted, **more):
            return answering(self.context(ca.issue_cert(name(case), **more)))

        no_name = answering(self.context(self.trusted.issue_cert(common_name=name("no-name"))))
        own = trustme.CA(organization_name="Own")
        own_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with trustme.Blob(own.private_key_pem.bytes() + own.cert_pem.bytes()).tempfile() as path:
            own_context.load_cert_chain(path)
        old = self.context(self.trusted.issue_cert(name("old")))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        old.set_ciphers("ALL:@SECLEVEL=0")
        demanding = self.context(self.trusted.issue_cert(name("demanding")))
        demanding.verify_mode = ssl.CERT_REQUIRED
        self.trusted.configure_trust(demanding)
        middle = self.trusted.create_child_ca()
        incomplete = answering(self.context(middle.issue_cert(name("incomplete")), chain=False))

        def silent(_, connection):
            while connection.recv(65536):
                pass

        def plain(_, connection):
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

        def truncated(_, connection):
            connection.recv(65536)
            connection.sendall(b"\x16\x03\x03\x00\x7a\x02\x00")

        return {
            "good": (leaf("good"), None),
            "expired": (leaf("expired", not_before=now - 3 * day, not_after=now - day), "TLS certificate expired"),
            "early": (leaf("early", not_before=now + 30 * day, not_after=now + 60 * day),
                      "TLS certificate is not yet valid"),
            "wrong-host": (answering(self.context(self.trusted.issue_cert("other.example"))),
                           "TLS certificate is for another host"),
            "no-name": (no_name, "TLS certificate is for another host"),
            "self-signed": (answering(own_context), "TLS certificate is self-signed"),
            "untrusted": (leaf("untrusted", self.foreign), "TLS certificate is not trusted"),
            "incomplete": (incomplete, "TLS certificate is not trusted"),
            "old": (answering(old), "TLS 1.2 or newer is required"),
            "demanding": (answering(demanding), "Endpoint refused the TLS handshake"),
            "silent": (silent, "TLS handshake timeout"),
            "plain": (plain, "Endpoint does not speak TLS on this port"),
            "truncated": (truncated, "Connection closed in the TLS handshake"),
        }
