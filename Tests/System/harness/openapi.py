"""The API's OpenAPI document as it is committed, and answers held against it."""
import json
from functools import cache

from jsonschema import Draft202012Validator

from .paths import ROOT
from .schemas import FORMATS

OPENAPI = json.loads((ROOT / "config/openapi.json").read_text(encoding="utf-8"))


def operation(method, path):
    """The operation a request means, by its template."""
    parts = path.partition("?")[0].split("/")
    for template, item in OPENAPI["paths"].items():
        names = template.split("/")
        if len(names) == len(parts) and all(name == part or name.startswith("{") for name, part in zip(names, parts)):
            if method.lower() in item:
                return item[method.lower()]
    raise AssertionError(f"{method} {path} is no operation of the document")


@cache
def _validator(text):
    schema = {**json.loads(text), "components": OPENAPI["components"]}
    return Draft202012Validator(schema, format_checker=FORMATS)


def faults(method, path, status, body):
    """What is wrong with an answer; nothing is an empty list. `body`: bytes."""
    responses = operation(method, path)["responses"]
    if str(status) not in responses:
        return [f"{status} is no documented status of {method} {path}"]
    response = responses[str(status)]
    if "$ref" in response:
        response = OPENAPI["components"]["responses"][response["$ref"].rpartition("/")[2]]
    content = response.get("content")
    if content is None:
        return [f"a body where none is documented: {body!r}"] if body else []
    validator = _validator(json.dumps(content["application/json"]["schema"]))
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(json.loads(body))]
