"""Domain records of the published examples, and what each must become."""
import hashlib
import json
import uuid
from functools import cache

from .paths import EXAMPLES

TOPICS = {"user": "learnault.users", "module": "learnault.modules", "milestone": "learnault.modules",
          "reward": "learnault.rewards", "credential": "learnault.credentials", "referral": "learnault.referrals",
          "employer": "learnault.employers"}
EXAMPLE_TYPES = ["module.completed", "reward.issued", "credential.issued", "reward.withdrawn", "user.created"]


def topic_of(event_type):
    return TOPICS[event_type.partition(".")[0]]


@cache
def _text(event_type, side):
    return (EXAMPLES / f"{event_type}.{side}.json").read_text(encoding="utf-8")


def domain_record(event_type, account, event_id=None):
    """The published domain record for an account of ours; `event_id` replaces its own id."""
    record = json.loads(_text(event_type, "domain"))
    record["accountId"] = account
    if event_id is not None:
        record["eventId"] = event_id
    return record


def event_id(topic, domain_id, event_type, source="", index=0):
    """The contract's formula for `evt_…`."""
    text = "\0".join([topic, source, domain_id, event_type, str(index)])
    return "evt_" + hashlib.sha256(text.encode()).hexdigest()[:24]


def expected_body(event_type, identifier):
    """The published webhook body, compact, in its key order, with this id."""
    body = json.loads(_text(event_type, "webhook"))
    body["id"] = identifier
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def completed_modules(account, count):
    """`count` records of module.completed: [(expected event id, record)]."""
    result = []
    for _ in range(count):
        domain_id = str(uuid.uuid4())
        result.append((event_id("learnault.modules", domain_id, "module.completed"),
                       domain_record("module.completed", account, domain_id)))
    return result


def delivery_id(event, webhook, run=""):
    """The contract's formula for `dlv_…`."""
    return "dlv_" + hashlib.sha256("\0".join([event, webhook, run]).encode()).hexdigest()[:24]


def send_modules(world, account, count=1):
    """Produces `count` completed modules at once, without waiting for what they cause; their ids."""
    records = completed_modules(account.id, count)
    for identifier, record in records:
        world.backend.send("learnault.modules", record, key=identifier, tag=identifier)
    world.backend.flush()
    return {identifier for identifier, _ in records}
