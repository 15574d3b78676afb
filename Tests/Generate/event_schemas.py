#!/usr/bin/env python3
"""Writes the schemas of config/schemas that belong to event types into the program's source, for `GET /v1/event-types`."""
import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "Sources/API/Reference/EventSchemas.swift"
HEAD = """\
// The schemas of config/schemas that belong to event types, each on one line, so that the program carries them. Made by
// `./dev generate`; a test compares the two.

enum EventSchemas {
    /// In the order of the documentation's table.
    static let all: [(type: String, schema: String)] = [
"""


def text():
    source = (ROOT / "Sources/Core/Routing/EventTypes.swift").read_text(encoding="utf-8")
    lines = []
    for name in re.findall(r'EventType\(name: "([a-z.]+)"', source):
        schema = json.loads((ROOT / f"config/schemas/{name}.json").read_text(encoding="utf-8"))
        compact = json.dumps(schema, ensure_ascii=False, separators=(",", ":"))
        assert '"##' not in compact
        lines.append(f'        (\n            "{name}",\n            ##"{compact}"##\n        ),\n')
    return HEAD + "".join(lines) + "    ]\n}\n"


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
