"""Mails on their way: what the account reads, over every kind of connection, and what becomes of those that are not taken."""
import hashlib
import json
import re
import secrets
import time

import pytest

from harness.events import domain_record
from harness.kafka import committed, dump
from harness.metrics import Metrics
from harness.smtp import MailServer
from harness.tls import Certificates
from harness.waiting import steady, until

FROM = "webhooks@bridge.example"
SCALE = 0.00002


@pytest.fixture(scope="module")
def mail_server():
    server = MailServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def mailing(tmp_path_factory, mail_server):
    """A bridge with all its roles that sends by `mail_server`."""
    from harness.world import World
    world = World(tmp_path_factory.mktemp("mail"), retry={"timeScale": SCALE})
    try:
        world.run(mail=settings(mail_server), api={"publicURL": "https://api.example.com"} | api_listen())
        yield world
    finally:
        world.close()


def api_listen():
    from harness.processes import free_port
    return {"listen": f"127.0.0.1:{free_port()}"}


def settings(server, scheme="smtp", **more):
    return {"smtp": f"{scheme}://127.0.0.1:{server.port}", "from": FROM, "requireTLS": False,
            "timeoutMilliseconds": 5000, **more}


def record(to, **changes):
    return {"id": "eml_" + secrets.token_hex(12), "template": "webhook-disabled", "to": to, "subject": "A subject",
            "text": "Plain text.\n", "html": "<p>HTML</p>", "accountId": "acct_" + "0" * 24, "webhookId": "wh_" + "0" * 24,
            "createdAt": "2024-01-15T10:30:00Z", **changes}


def put(world, value, topic="webhooks.emails"):
    world.backend.put(topic, value, key=value["accountId"].encode())
    return value["id"]


def arrived(server, address, timeout=20):
    return until(lambda: server.to(address), timeout, lambda: f"a mail to {address}; the server was asked {server.asked}")


# MARK: What the account reads

def test_a_failing_webhook_is_warned_about_and_then_disabled(mailing, mail_server):
    account = mailing.account()
    webhook = account.register(mailing.receiver.url("/fails?token=hunter2"), "module.completed")
    mailing.receiver.script("/fails?token=hunter2", [500])
    for number in range(3):
        mailing.backend.put("learnault.modules", domain_record("module.completed", account.id, f"mailed {number}"))
    until(lambda: len(mail_server.to(account.email)) >= 2, 60,
          lambda: f"two mails, there are {mail_server.mails}\n{mailing.bridges[0].log[-3000:]}")
    mailing.wait_drained("registry", "webhooks.commands")
    mailing.wait_drained("mail", "webhooks.emails")
    warning, disabled = mail_server.to(account.email)
    assert "is failing" in warning.message["Subject"] and "was disabled" in disabled.message["Subject"]
    records = [record.json for record in mailing.dump("emails") if record.json["to"] == account.email]
    assert [record["template"] for record in records] == ["webhook-failing", "webhook-disabled"], "each once"
    for template, record in zip(("webhook-failing", "webhook-disabled"), records):
        seed = "\0".join(["email", template, webhook["id"], "1"])
        assert record["id"] == "eml_" + hashlib.sha256(seed.encode()).hexdigest()[:24]
    for mail, record in zip((warning, disabled), records):
        assert_is_as_recorded(mail, record, account.email)
        for body in (record["text"], record["html"]):
            assert webhook["id"] in body and "HTTP 500" in body and "hunter2" not in body
            assert f"https://api.example.com/v1/webhooks/{webhook['id']}" in body
    orders = [command.json for command in mailing.dump("commands") if command.json["type"] == "webhook.warn"]
    assert orders and {order["failedAttempts"] for order in orders} == {8} and {order["generation"] for order in orders} == {1}
    states = [state.json for state in mailing.dump("subscriptions") if state.key.decode() == webhook["id"]]
    assert [(state["isActive"], state.get("warnedGeneration")) for state in states] == [(True, None), (True, 1), (False, 1)]
    # The command of each step is one that the API takes.
    for path in re.findall(r"https://api\.example\.com(/v1[^\"]*)", records[0]["text"] + records[1]["text"]):
        assert path.startswith(f"/v1/webhooks/{webhook['id']}")


def assert_is_as_recorded(mail, record, address):
    message = mail.message
    assert message.defects == [] and mail.sender == FROM and mail.recipients == [address]
    names = [name.lower() for name in message.keys()]
    for name in ("date", "from", "to", "subject", "message-id", "mime-version", "auto-submitted", "content-type"):
        assert names.count(name) == 1, f"{name} in {names}"
    assert message["From"].addresses[0].addr_spec == FROM and message["To"].addresses[0].addr_spec == address
    assert message["Subject"] == record["subject"]
    assert message["Message-ID"] == f"<{record['id']}@bridge.example>"
    assert message["Date"].datetime.strftime("%Y-%m-%dT%H:%M:%SZ") == record["createdAt"]
    assert message["Auto-Submitted"] == "auto-generated" and message["MIME-Version"] == "1.0"
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert mail.part("plain") == record["text"] and mail.part("html") == record["html"]
    assert all(len(line) <= 76 for line in mail.raw.partition(b"\r\n\r\n")[2].splitlines())
    assert mail.raw.isascii()


# MARK: The server's answers

def test_a_mail_that_is_put_off_is_tried_again_and_holds_nobody_up(mailing, mail_server):
    """Also where it is older than a day: a restart, or a server's absence, may be why it is tried only now."""
    mail_server.script("recipient", "greylisted@example.com", "451 Later", "450 Not yet")
    mail_server.script("message", "slow@example.com", "452 Full")
    for name in ("greylisted", "slow", "behind"):
        put(mailing, record(f"{name}@example.com"))
    arrived(mail_server, "greylisted@example.com", 30)
    order = [mail.recipients[0] for mail in mail_server.mails]
    places = [order.index(f"{name}@example.com") for name in ("behind", "slow", "greylisted")]
    assert places == sorted(places), order
    assert all(len(mail_server.to(f"{name}@example.com")) == 1 for name in ("greylisted", "slow", "behind"))


@pytest.mark.parametrize("step, answer, said", [
    ("recipient", "550 No such user <gone@example.com>", "recipient for good (550)"),
    ("message", "554 Spam for gone@example.com", "message for good (554)"),
], ids=["recipient", "message"])
def test_a_mail_that_is_refused_for_good_is_a_dead_letter(mailing, mail_server, step, answer, said):
    before = Metrics(mailing.bridges[0])("mails_total", result="refused")
    mail_server.script(step, "gone@example.com", *[answer] * 5)
    email = record("gone@example.com")
    put(mailing, email)
    next_address = f"next-{step}@example.com"
    put(mailing, record(next_address))
    arrived(mail_server, next_address)
    dead, = mailing.wait_records("dead-letters", lambda letter: letter.value and email["id"].encode() in letter.value)
    assert dead.json == email and dead.key == b"webhooks.emails" and dead.headers["reason"] == "mail refused"
    assert said in dead.headers["message"] and "example.com" not in str(dead.headers)
    assert dead.headers["origin"].startswith("webhooks.emails/0/") and dead.headers["source-key"] == email["accountId"]
    assert mail_server.asked.count(("recipient", "gone@example.com")) in (1, 2), "not tried again"
    assert Metrics(mailing.bridges[0])("mails_total", result="refused") == before + 1
    mail_server.script(step, "gone@example.com")


def test_a_repeated_record_is_sent_once(mailing, mail_server):
    email = record("twice@example.com")
    put(mailing, email)
    put(mailing, email)
    put(mailing, record("last@example.com"))
    arrived(mail_server, "last@example.com")
    assert len(mail_server.to("twice@example.com")) == 1
    assert Metrics(mailing.bridges[0])("mails_total", result="repeated") >= 1


HOSTILE = ["victim@example.com\r\nBcc: other@example.com", "victim@example.com\nSubject: x", "victim@example.com>",
           "victim@example.com, other@example.com", "victim example.com", ""]


@pytest.mark.parametrize("to", HOSTILE)
def test_what_is_no_address_is_a_dead_letter(mailing, mail_server, to):
    email = record(to)
    put(mailing, email)
    dead, = mailing.wait_records("dead-letters", lambda letter: letter.value and email["id"].encode() in letter.value)
    assert dead.headers["reason"] == "malformed record" and "example.com" not in dead.headers["message"]
    assert not [asked for asked in mail_server.asked if "victim" in asked[1]]


def test_no_field_can_end_a_line(mailing, mail_server):
    subject = "Hello\r\nBcc: other@example.com\r\n\r\nBody " + "ü" * 200
    text = "Ä line of its own\r\n.\r\n.leading\nRCPT TO:<x@y>\n" + "long " * 1000
    put(mailing, record("lines@example.com", subject=subject, text=text, html="<p>" + "x" * 5000 + "</p>"))
    mail, = arrived(mail_server, "lines@example.com")
    assert mail.recipients == ["lines@example.com"] and "Bcc" not in mail.message
    assert mail.message["Subject"] == subject.replace("\r", " ").replace("\n", " ")
    assert mail.part("plain") == text.replace("\r\n", "\n") and "x" * 5000 in mail.part("html")
    # The line with the boundary is libcurl's own.
    assert [line for line in mail.raw.splitlines() if len(line) > 76 and b"boundary=" not in line] == []


def test_nobody_is_named_in_logs_and_metrics(mailing, mail_server):
    bridge = mailing.bridges[0]
    mail_server.script("recipient", "named@example.com", "450 <named@example.com> is away", "550 <named@example.com> is gone")
    put(mailing, record("named@example.com"))
    put(mailing, record("unnamed@example.com"))
    arrived(mail_server, "unnamed@example.com")
    until(lambda: "mail was given up" in bridge.log, 20, lambda: f"the end of the other\n{bridge.log[-3000:]}")
    assert "mail sent" in bridge.log and "mail was not taken" in bridge.log
    for text in (bridge.log, Metrics(bridge).text):
        assert "@" not in text, re.findall(r"\S*@\S*", text)[:3]


# MARK: The connection

@pytest.fixture(scope="module")
def certificates():
    return Certificates()


@pytest.fixture(scope="module")
def letters(tmp_path_factory):
    """A broker for bridges that have the mail role alone, each with topics of its own."""
    from harness.world import World
    world = World(tmp_path_factory.mktemp("letters"))
    yield world
    world.close()


def mailer(world, name, mail):
    bridge = world.bridge(name, mail=mail, topics={"partitions": 1, "prefix": f"{name}."}, application={"id": name})
    bridge.make_topics()
    return bridge.start("--roles", "mail").wait_ready()


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
@pytest.mark.parametrize("users", [None, {"bridge": "hunter2 ü"}], ids=["open", "login"])
def test_tls(letters, certificates, tmp_path, scheme, users):
    server = MailServer(certificates.context(certificates.trusted.issue_cert("127.0.0.1")), scheme == "smtps", users)
    try:
        certificates.trusted.cert_pem.write_to_path(tmp_path / "ca.pem")
        mail = settings(server, scheme, requireTLS=True, caFile=str(tmp_path / "ca.pem"))
        if users:
            (tmp_path / "password").write_text("hunter2 ü\n")
            mail |= {"username": "bridge", "passwordFile": str(tmp_path / "password")}
        name = f"{scheme}-{'login' if users else 'open'}"
        bridge = mailer(letters, name, mail)
        put(letters, record("tls@example.com"), f"{name}.emails")
        mail, = arrived(server, "tls@example.com")
        assert mail.encrypted and mail.user == ("bridge" if users else None)
        assert "hunter2" not in bridge.log
        bridge.stop()
    finally:
        server.close()


@pytest.mark.parametrize("fault", ["foreign", "wrong-host", "no-tls", "password"])
def test_nothing_is_sent_where_the_server_is_not_the_right_one(letters, certificates, tmp_path, fault):
    """And nothing is lost: the mail goes out once it is."""
    ca = certificates.foreign if fault == "foreign" else certificates.trusted
    wrong = None if fault == "no-tls" else certificates.context(
        ca.issue_cert("mail.example" if fault == "wrong-host" else "127.0.0.1"))
    users = {"bridge": "right"} if fault == "password" else None
    server = MailServer(wrong, users=users)
    certificates.trusted.cert_pem.write_to_path(tmp_path / "ca.pem")
    mail = settings(server, requireTLS=True, caFile=str(tmp_path / "ca.pem"))
    if users:
        (tmp_path / "password").write_text("wrong")
        mail |= {"username": "bridge", "passwordFile": str(tmp_path / "password")}
    name = f"wrong-{fault}"
    bridge = mailer(letters, name, mail)
    try:
        put(letters, record("kept@example.com"), f"{name}.emails")
        until(lambda: Metrics(bridge)("mails_total", result="retried") >= 2, 20, lambda: f"two tries\n{bridge.log}")
        assert server.mails == [] and server.asked == []
        server.close()
        server._context = certificates.context(certificates.trusted.issue_cert("127.0.0.1"))
        server._users = users and {"bridge": "wrong"}
        server.open()
        mail, = arrived(server, "kept@example.com", 40)
        assert mail.encrypted
        bridge.stop()
    finally:
        server.close()


def test_a_server_that_is_away_and_a_restart(letters):
    """A mail that was sent is not sent again by the next process; one that was not is."""
    server = MailServer()
    bridge = mailer(letters, "away", settings(server))
    try:
        first = put(letters, record("first@example.com"), "away.emails")
        arrived(server, "first@example.com")
        until(lambda: committed(letters.broker.bootstrap, "away.mail", "away.emails") == {0: (1, 1)}, 20,
              lambda: f"the first committed: {committed(letters.broker.bootstrap, 'away.mail', 'away.emails')}")
        server.close()
        second = put(letters, record("second@example.com"), "away.emails")
        until(lambda: Metrics(bridge)("mails_total", result="retried") >= 1, 20, lambda: f"a try\n{bridge.log}")
        bridge.stop()
        server.open()
        bridge.start("--roles", "mail").wait_ready()
        arrived(server, "second@example.com")
        third = put(letters, record("third@example.com"), "away.emails")
        arrived(server, "third@example.com")
        assert [mail.identifier for mail in server.mails] == [first, second, third]
        bridge.stop()
    finally:
        server.close()


def test_the_offset_stands_before_a_mail_that_is_put_off_and_no_restart_sends_those_behind_it_again(letters):
    server = MailServer()
    server.script("recipient", "first@example.com", *["450 Not yet"] * 1000)
    bridge = mailer(letters, "aside", settings(server))
    offsets = lambda: committed(letters.broker.bootstrap, "aside.mail", "aside.emails")
    try:
        first = put(letters, record("first@example.com"), "aside.emails")
        behind = [put(letters, record(f"behind{number}@example.com"), "aside.emails") for number in range(3)]
        arrived(server, "behind2@example.com")
        until(lambda: offsets() == {0: (0, 4)}, 20, lambda: f"the first to be waited for: {offsets()}")
        assert steady(offsets) == {0: (0, 4)}, "what is put off is not finished"
        # Handed over, it stands behind those that were sent.
        bridge.stop()
        assert offsets() == {0: (4, 5)}
        assert [email.json["id"] for email in dump(letters.broker.bootstrap, "aside.emails")] == [first, *behind, first]
        server.script("recipient", "first@example.com")
        bridge.start("--roles", "mail").wait_ready()
        arrived(server, "first@example.com")
        until(lambda: offsets() == {0: (5, 5)}, 20, lambda: f"all committed: {offsets()}")
        assert [mail.identifier for mail in server.mails] == [*behind, first], "each once"
        bridge.stop()
    finally:
        server.close()


def test_a_refusal_of_our_own_address_is_no_mail_s_end(letters):
    """Every mail has it: the configuration is wrong, or the server's mind changes."""
    server = MailServer()
    server.script("sender", FROM, "550 Unknown sender", "451 Still unknown")
    bridge = mailer(letters, "sender", settings(server))
    try:
        put(letters, record("first@example.com"), "sender.emails")
        put(letters, record("second@example.com"), "sender.emails")
        arrived(server, "second@example.com")
        assert [mail.recipients[0] for mail in server.mails] == ["first@example.com", "second@example.com"]
        assert Metrics(bridge)("mails_total", result="refused") == 0
        bridge.stop()
    finally:
        server.close()


def test_mail_of_a_deleted_account_is_not_sent(make_world):
    server = MailServer()
    world = make_world()
    bridge = world.run(mail=settings(server))
    try:
        account = world.account()
        account.register(world.receiver.url("/any"), "module.completed")
        server.close()
        put(world, record("waiting@example.com", accountId=account.id))
        until(lambda: Metrics(bridge)("mails_total", result="retried") >= 1, 20, lambda: f"a try\n{bridge.log}")
        assert bridge.command("accounts", "delete", arguments=["--account", account.id]).returncode == 0
        put(world, record("last@example.com"))
        server.open()
        arrived(server, "last@example.com", 30)
        assert server.to("waiting@example.com") == [] and Metrics(bridge)("mails_total", result="dropped") == 1
    finally:
        server.close()


def test_a_server_that_hangs_holds_up_neither_the_group_nor_the_end(letters):
    import socket
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.listen(8)
        bridge = mailer(letters, "hangs", {
            "smtp": f"smtp://127.0.0.1:{silent.getsockname()[1]}", "from": FROM, "timeoutMilliseconds": 600_000})
        put(letters, record("hung@example.com"), "hangs.emails")
        connection, _ = silent.accept()
        with connection:
            turns = lambda: Metrics(bridge)("assigned_partitions", role="mail")
            assert steady(turns) == 1 and bridge.is_ready()
            begun = time.monotonic()
            bridge.stop()
            assert time.monotonic() - begun < 8, "it does not wait for a server that has taken nothing"


@pytest.mark.parametrize("step, tries", [("recipient", 3), ("message", 1)])
def test_a_mail_at_which_the_server_breaks_off_holds_nobody_up(letters, step, tries):
    server = MailServer()
    server.script(step, "poison@example.com", *["drop"] * 1000)
    name = f"breaks-{step}"
    bridge = mailer(letters, name, settings(server))
    try:
        put(letters, record("poison@example.com"), f"{name}.emails")
        for number in range(3):
            put(letters, record(f"behind{number}@example.com"), f"{name}.emails")
        for number in range(3):
            arrived(server, f"behind{number}@example.com", 40)
        recipients = [address for kind, address in server.asked if kind == step]
        first_other = next(place for place, address in enumerate(recipients) if address != "poison@example.com")
        assert first_other == tries, recipients
        # And it is taken as soon as the server does.
        server.script(step, "poison@example.com")
        arrived(server, "poison@example.com", 60)
        assert Metrics(bridge)("mails_total", result="refused") == 0
        bridge.stop()
    finally:
        server.close()


def test_the_answer_to_a_message_has_a_time_of_its_own(letters):
    """One that is left early would have been taken, and come again and again."""
    server = MailServer()
    server.script("message", "checked@example.com", 4)
    bridge = mailer(letters, "checked", settings(server, timeoutMilliseconds=1000))
    try:
        put(letters, record("checked@example.com"), "checked.emails")
        arrived(server, "checked@example.com")
        until(lambda: Metrics(bridge)("mails_total", result="sent") == 1, 20, lambda: f"it is known\n{bridge.log}")
        assert len([asked for asked in server.asked if asked[0] == "message"]) == 1
        # Before the message there is no such patience.
        server.script("recipient", "slow@example.com", 8)
        put(letters, record("slow@example.com"), "checked.emails")
        until(lambda: Metrics(bridge)("mails_total", result="retried") == 1, 7, lambda: f"a try given up\n{bridge.log}")
        arrived(server, "slow@example.com", 30)
        # The end does not wait for it.
        server.script("message", "last@example.com", 600)
        put(letters, record("last@example.com"), "checked.emails")
        until(lambda: ("message", "last@example.com") in server.asked, 20, "the last on its way")
        begun = time.monotonic()
        bridge.stop()
        assert time.monotonic() - begun < 14, "more than the time a stop has"
    finally:
        server.close()


def test_a_server_that_does_not_say_goodbye_holds_up_neither_mails_nor_the_end(letters):
    server = MailServer()
    server.quit_seconds = 600
    bridge = mailer(letters, "goodbye", settings(server))
    try:
        for number in range(2):
            put(letters, record(f"{number}@example.com"), "goodbye.emails")
        arrived(server, "1@example.com", 20)
        until(lambda: Metrics(bridge)("mails_total", result="sent") == 2, 20, lambda: f"both known\n{bridge.log}")
        assert len(server.mails) == 2 and Metrics(bridge)("mails_total", result="retried") == 0
        bridge.stop()
    finally:
        server.close()


def test_the_role_without_a_server_is_a_fault(letters):
    result = letters.bridge("none").command("run", arguments=["--roles", "mail"])
    assert result.returncode == 2 and "mail.smtp" in result.stderr
