"""What is written down about bodies and records: the documentation's table, schemas, samples, the topics' description."""
import json
import re
from datetime import datetime
from functools import cache

from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource

from .paths import DOCUMENTATION, ROOT

CONFIG = ROOT / "config"
BASE = "https://docs.learnault.io/webhooks/"
SCHEMAS = {path.name: json.loads(path.read_text(encoding="utf-8"))
           for path in sorted((CONFIG / "schemas").glob("*.json"))}
ASYNCAPI = json.loads((CONFIG / "asyncapi.json").read_text(encoding="utf-8"))
SAMPLES = CONFIG / "samples"
REGISTRY = Registry().with_resources(
    (schema["$id"], Resource.from_contents(schema)) for schema in SCHEMAS.values() if "$id" in schema)

# Event type → its description in the documentation's table.
DOCUMENTED = {name: text.strip() for name, text in re.findall(
    r"^\| `([a-z]+\.[a-z]+)` +\| ([^|]+?) +\| `\1` +\|$", DOCUMENTATION.read_text(encoding="utf-8"), re.M)}
# The types that records of the platform or the bridge become; a test event is made by the API alone.
MAPPED = [name for name in DOCUMENTED if name != "webhook.test"]

FORMATS = FormatChecker(formats=["email"])


@FORMATS.checks("date-time", raises=ValueError)
def _is_time(value):
    """RFC 3339; jsonschema itself checks it only with one more package."""
    if not isinstance(value, str):
        return True
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", value):
        return False
    return datetime.fromisoformat(value) is not None


@cache
def _validator(name):
    return Draft202012Validator(SCHEMAS[name], registry=REGISTRY, format_checker=FORMATS)


def faults(name, value):
    """What is wrong with a value by the schema file of that name (without .json); nothing is an empty list."""
    return _described(_validator(name + ".json"), value)


def _described(validator, value):
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]


def sample_text(event_type):
    return (SAMPLES / f"{event_type}.json").read_text(encoding="utf-8")


def sample(event_type, account=None, event_id=None):
    """The domain record of a type, for an account of ours and under an id of its own where they are given."""
    record = json.loads(sample_text(event_type))
    if account is not None:
        record["accountId"] = account
    if event_id is not None:
        record["eventId"] = event_id
    return record


def fields(record):
    """The path of each field of the entities in a domain record: /payload/user/id, not /payload/user."""
    def within(value, path):
        for name, inner in value.items():
            is_entity = isinstance(inner, dict) and len(path) < 2
            yield from within(inner, (*path, name)) if is_entity else [(*path, name)]

    return [path for path in within(record, ()) if path[0] not in ("eventId", "eventType", "occurredAt", "accountId")]


# MARK: The description of the topics

def pointed(reference):
    """What `#/…` names in asyncapi.json."""
    value = ASYNCAPI
    for part in reference.removeprefix("#/").split("/"):
        value = value[part.replace("~1", "/").replace("~0", "~")]
    return value


def address(channel):
    """A channel's topic under the default prefix."""
    text = channel["address"]
    for name, parameter in channel.get("parameters", {}).items():
        text = text.replace("{%s}" % name, pointed(parameter["$ref"])["default"])
    return text


CHANNELS = {address(channel): channel for channel in ASYNCAPI["channels"].values()}


@cache
def _messages(topic):
    """Name → (validator of headers or None, of the key, of the value or None where it need not be JSON)."""
    result = {}
    for name, reference in CHANNELS[topic]["messages"].items():
        message = pointed(reference["$ref"])
        for trait in message.get("traits", []):
            message = {**pointed(trait["$ref"]), **message}
        parts = [message.get("headers"), message["bindings"]["kafka"]["key"], message["payload"]]
        validators = [schema and Draft202012Validator(
            {"$id": BASE + "asyncapi.json", **schema}, registry=REGISTRY, format_checker=FORMATS) for schema in parts]
        if message["contentType"] != "application/json":
            validators[2] = None
        result[name] = validators
    return result


def judged(record):
    """Each message of the record's channel with what speaks against it; empty lists are those it fits."""
    result = {}
    for name, (headers, key, value) in _messages(record.topic).items():
        against = _described(key, record.key and record.key.decode())
        against += _described(headers, record.headers) if headers else [f"has headers {sorted(record.headers)}"] * (
            bool(record.headers) and record.topic.startswith("webhooks."))
        if value is not None:
            try:
                against += _described(value, None if record.value is None else record.json)
            except ValueError as error:
                against.append(f"not JSON: {error}")
        result[name] = against
    return result
