"""The documentation's own subscribers, taken word for word from its code blocks when a test runs.

Round each is only what the sample leaves out: the program's start, a port, and a line per answered request.
"""
import json
import os
import re
import shutil
import sys

from .paths import DOCUMENTATION
from .processes import Process
from .waiting import until

PATH = "/webhooks/learnault"

_EXPRESS_HEAD = """\
const express = require('express');
const app = express();
app.use(express.json());
app.use((req, res, next) => {
  res.on('finish', () => console.log(JSON.stringify({ status: res.statusCode, body: JSON.stringify(req.body) })));
  next();
});
"""
_EXPRESS_TAIL = """
const server = app.listen(0, '127.0.0.1', () => console.log('listening ' + server.address().port));
"""
_FLASK_HEAD = """\
import json, os, sys
from flask import Flask, request
from werkzeug.serving import make_server
app = Flask(__name__)

@app.after_request
def print_answer(response):
    print(json.dumps({"status": response.status_code, "body": request.get_data(as_text=True)}), flush=True)
    return response

"""
_FLASK_TAIL = """
server = make_server("127.0.0.1", 0, app, threaded=True)
print("listening", server.server_port, flush=True)
server.serve_forever()
"""


def sample(language, first_line):
    """The one code block of that language which begins with that line."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENTATION.read_text(encoding="utf-8"), re.M | re.S)
    found = [block for block in blocks if block.startswith(first_line)]
    assert len(found) == 1, f"{len(found)} {language} samples begin with {first_line!r}"
    return found[0]


class DocumentedSubscriber:
    """A process that runs a sample of the documentation under the given signing secret."""

    def __init__(self, kind, secret, directory):
        if kind == "express":
            source = _EXPRESS_HEAD + sample("javascript", "// Node.js verification example\n") + _EXPRESS_TAIL
            program = [shutil.which("node") or "node"]
        else:
            source = _FLASK_HEAD + sample("python", "# Python verification example\n") + _FLASK_TAIL
            program = [sys.executable]
        directory.mkdir(parents=True, exist_ok=True)
        script = directory / ("subscriber.js" if kind == "express" else "subscriber.py")
        script.write_text(source, encoding="utf-8")
        modules = os.pathsep.join(filter(None, [os.environ.get("NODE_PATH"), "/usr/share/nodejs"]))
        self.process = Process(f"{kind}-subscriber", [*program, script], directory,
                               {"LEARNAULT_WEBHOOK_SECRET": secret, "NODE_PATH": modules})
        self.port = int(self.process.first_line(20).split()[1])
        self.url = f"http://127.0.0.1:{self.port}{PATH}"

    @property
    def answers(self):
        """[{"status", "body"}]: the body as the sample's framework saw it."""
        return [json.loads(line) for line in self.process.stdout.splitlines(keepends=True)[1:] if line.endswith("\n")]

    def wait_for(self, status, body, timeout=30):
        wanted = {"status": status, "body": body.decode()}
        until(lambda: wanted in self.answers, timeout, lambda: f"{wanted}; there are {self.answers}")

    def stop(self):
        self.process.kill()
