"""A mail server that keeps what it is given, and answers as it is told to. By aiosmtpd."""
import asyncio
import email
import email.policy
import threading
import time
from dataclasses import dataclass, field

from aiosmtpd.smtp import SMTP, AuthResult


@dataclass
class Mail:
    sender: str
    recipients: list
    raw: bytes
    arrived: float
    encrypted: bool
    user: str | None
    message: email.message.EmailMessage = field(init=False)

    def __post_init__(self):
        self.message = email.message_from_bytes(self.raw, policy=email.policy.default)

    @property
    def identifier(self):
        """The record's id, which the Message-ID begins with."""
        return self.message["Message-ID"].strip("<>").partition("@")[0]

    def part(self, subtype):
        return self.message.get_body((subtype,)).get_content().replace("\r\n", "\n")


class _Handler:
    def __init__(self, server):
        self.server = server

    async def answer(self, transport, step, address):
        said = self.server.answer(step, address)
        if isinstance(said, (int, float)):
            await asyncio.sleep(said)
            return None
        if said == "drop":
            transport.abort()
        return said

    async def handle_QUIT(self, _server, _session, _envelope):
        await asyncio.sleep(self.server.quit_seconds)
        return "221 Bye"

    async def handle_MAIL(self, server, _session, envelope, address, options):
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return await self.answer(server.transport, "sender", address) or "250 OK"

    async def handle_RCPT(self, server, _session, envelope, address, options):
        said = await self.answer(server.transport, "recipient", address)
        if said is None:
            envelope.rcpt_tos.append(address)
        return said or "250 OK"

    async def handle_DATA(self, server, session, envelope):
        said = await self.answer(server.transport, "message", envelope.rcpt_tos[0])
        if said is None:
            self.server.mails.append(Mail(
                envelope.mail_from, envelope.rcpt_tos, envelope.original_content, time.monotonic(),
                server.transport.get_extra_info("ssl_object") is not None, session.auth_data))
        return said or "250 Accepted"


class MailServer:
    """Listens on a port of its own until it is closed; can come back on the same one.

    `context` and `implicit`: TLS from the start, or by STARTTLS, which is then demanded. `users`: names and passwords;
    where there are any, nobody sends without."""

    def __init__(self, context=None, implicit=False, users=None):
        self.mails, self.asked = [], []
        self._context, self._implicit, self._users = context, implicit, users
        self._answers = {}
        self._lock = threading.Lock()
        self.port = 0
        self.quit_seconds = 0
        self.open()

    def script(self, step, address, *answers):
        """What "sender", "recipient" or "message" is answered for an address; after the last one it is taken.

        A number: it is taken after so many seconds. "drop": the connection breaks instead."""
        with self._lock:
            self._answers[step, address] = list(answers)

    def answer(self, step, address):
        with self._lock:
            self.asked.append((step, address))
            left = self._answers.get((step, address))
            return left.pop(0) if left else None

    def to(self, address):
        return [mail for mail in list(self.mails) if address in mail.recipients]

    def _session(self):
        def authenticate(_server, _session, _envelope, _mechanism, data):
            name, password = data.login.decode(), data.password.decode()
            return AuthResult(success=self._users.get(name) == password, handled=False, auth_data=name)

        options = {"hostname": "mail.example", "enable_SMTPUTF8": True, "loop": self._loop}
        if self._users:
            options |= {"authenticator": authenticate, "auth_required": True,
                        "auth_require_tls": self._context is not None and not self._implicit}
        if self._context and not self._implicit:
            options |= {"tls_context": self._context, "require_starttls": True}
        return SMTP(_Handler(self), **options)

    def open(self):
        self._loop = asyncio.new_event_loop()
        started = threading.Event()

        def run():
            asyncio.set_event_loop(self._loop)
            self._server = self._loop.run_until_complete(self._loop.create_server(
                self._session, "127.0.0.1", self.port, ssl=self._context if self._implicit else None))
            self.port = self._server.sockets[0].getsockname()[1]
            started.set()
            self._loop.run_forever()

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        assert started.wait(10), "the mail server listens"

    def close(self):
        def end():
            self._server.close()
            for task in asyncio.all_tasks(self._loop):
                task.cancel()
            self._loop.call_later(0.05, self._loop.stop)

        self._loop.call_soon_threadsafe(end)
        self._thread.join(10)
