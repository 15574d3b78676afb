"""What one webhook may do to the others: `isolation`, `limit`, `dead`, `replay`. On noida-db; the healthy subscribers are the C
receiver of the benches, the one under test is the scripted receiver of the system tests, which writes everything down.
"""
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from datetime import datetime, timezone

import bench
from harness.bridge import Account
from harness.events import domain_record
from harness.kafka import committed, dump
from harness.metrics import Metrics
from harness.receiver import Answer, Receiver
from harness.waiting import until
from parked import Parked


class Scenario:
    settings = {}

    def __init__(self, options, directory):
        self.options, self.faults, self.directory = options, [], Path(directory)
        self.directory.mkdir(exist_ok=True)
        options.settings = self.settings_for(options)
        self.bench = bench.Bench(options, directory)
        self.bridge, self.backend, self.fast = self.bench.bridge, self.bench.backend, self.bench.receiver
        self.scripted = Receiver()

    def settings_for(self, options):
        return {}

    def start(self, healthy):
        """Topics, the bridge, and `healthy` accounts whose webhooks the C receiver answers."""
        self.bridge.make_topics()
        self.bridge.run()
        self.healthy = []
        for number in range(healthy):
            account = Account(self.bridge, f"healthy{number}@example.com")
            self.healthy.append((account, account.register(self.fast.url(f"/{number}"), "module.completed")["id"]))
        self.bench.accounts = [account.id for account, _ in self.healthy]

    def records(self, account, count, prefix):
        record = domain_record("module.completed", account.id, "EVENT")
        record["payload"]["user"]["id"] = "AT"
        template = json.dumps(record, separators=(",", ":"))
        return [template.replace("EVENT", f"{prefix}-{number}") for number in range(count)]

    def dump(self, topic):
        return dump(self.backend_bootstrap, f"webhooks.{topic}", timeout=120)

    @property
    def backend_bootstrap(self):
        return self.bench.broker.bootstrap

    def drained(self):
        for topic in ("deliveries", "deferred"):
            places = committed(self.backend_bootstrap, "webhook-bridge.deliver", f"webhooks.{topic}")
            if not all(offset == end or (offset is None and end == 0) for offset, end in places.values()):
                return False
        return True

    def check(self, is_true, what):
        bench.say(("ok    " if is_true else "FAULT ") + what)
        if not is_true:
            self.faults.append(what)

    def close(self):
        # The bridge first: without a broker it cannot leave its groups.
        if self.bridge.process is not None and self.bridge.process.alive:
            self.bridge.stop()
        self.scripted.close()
        self.bench.close()


class Paired(Scenario):
    """Runs in pairs, one with a disturbance and one without. Each run has a broker and a bridge of its own: noida-db grows
    slower with what it holds, and the second run of two on one broker had twice the p99 of the first, whichever it was."""

    def __init__(self, options, directory, builds=False):
        if builds:
            super().__init__(options, directory)
        else:
            self.options, self.faults, self.directory, self.bench = options, [], Path(directory), None

    def close(self):
        if self.bench is not None:
            super().close()

    def single(self, name, disturbed):
        """One run on a young broker; its figures."""
        raise NotImplementedError

    def pairs(self, disturbance, extra=lambda run: ""):
        pairs, faults = [], []
        for number in range(self.options.pairs):
            # Which of the two comes first changes from pair to pair.
            runs = {}
            for disturbed in [False, True] if number % 2 == 0 else [True, False]:
                name = f"{number}{'d' if disturbed else 'a'}"
                scenario = type(self)(self.options, self.directory / name, builds=True)
                try:
                    runs[disturbed] = scenario.single(name, disturbed)
                finally:
                    faults += scenario.faults
                    scenario.close()
            bench.say(f"pair {number}: p99 {runs[False]['p99']:.2f} ms{extra(runs[False])}, "
                      f"with {disturbance} {runs[True]['p99']:.2f} ms{extra(runs[True])}")
            pairs.append(runs)
        self.faults += faults
        return pairs

    def judge(self, pairs, key, whose, disturbance):
        """How much more it is, pair by pair; what is allowed is 1.2 times as much or 5 ms more."""
        ratio = statistics.median(pair[True][key] / pair[False][key] for pair in pairs)
        more = statistics.median(pair[True][key] - pair[False][key] for pair in pairs)
        self.check(ratio <= 1.2 or more <= 5, f"p99 of {whose} with {disturbance}: {ratio:.2f} × the run without, "
                   f"{more:+.2f} ms; medians of {len(pairs)} pairs")
        return {"ratio": ratio, "milliseconds": more}


class Isolation(Paired):
    """Ten endpoints share the load; in every second run the tenth hangs on each POST."""

    def run(self):
        pairs = self.pairs("one hanging")
        return {"scenario": "isolation", **self.judge(pairs, "p99", "the nine", "one hanging"),
                "pairs": [{"without": pair[False], "with": pair[True]} for pair in pairs]}

    def single(self, name, disturbed):
        self.start(9)
        self.tenth = Account(self.bridge, "tenth@example.com")
        figures = self.one(name, disturbed)
        nine = {identifier for _, identifier in self.healthy}
        deferred = Counter(record.key.decode() for record in self.dump("deferred"))
        self.check(not nine & set(deferred), f"none of theirs deferred; of the tenth's {sum(deferred.values())}")
        return figures

    def one(self, name, hangs):
        rate, seconds, warm_up = self.options.rate, self.options.seconds, 3
        path = f"/tenth/{name}"
        self.scripted.script(path, lambda _: Answer(200, delay=30 if hangs else 0))
        webhook = self.tenth.register(self.scripted.url(path), "module.completed")["id"]
        count = rate * (seconds + warm_up)
        streams = [self.records(account, count // 10, name) for account, _ in self.healthy]
        streams.append(self.records(self.tenth, count // 10, name))
        values = [value for each in zip(*streams) for value in each]
        warm = rate * warm_up
        timed = (count - warm) * 9 // 10
        self.bench.send_steadily(values, rate, {warm: lambda: self.fast.ask(f"reset {timed}", "reset")})
        answer = until(lambda: (answer := self.fast.ask("report", "report"))["received"] >= timed and answer, 30,
                       lambda: f"{timed} at the nine: {self.fast.ask('report', 'report')}")
        self.tenth.call("DELETE", f"/v1/webhooks/{webhook}")
        until(self.drained, 60, "what the tenth left behind dropped")
        return {key: answer[key] for key in ("p50", "p90", "p99", "max", "received")}


class Replay(Paired):
    """Nine endpoints carry the load; in every second run the tenth has a disabled period replayed to it meanwhile."""
    LIVE = 20  # events per second of the tenth itself

    def run(self):
        pairs = self.pairs("a replay", lambda run: f" (of the tenth's own {run['own']:.2f})")
        return {"scenario": "replay", "events": self.options.missed,
                **{key: self.judge(pairs, key, whose, "a replay")
                   for key, whose in [("p99", "the nine"), ("own", "the tenth's own events")]},
                "pairs": [{"without": pair[False], "with": pair[True]} for pair in pairs]}

    def single(self, name, disturbed):
        options = self.options
        self.start(9)
        self.tenth = Account(self.bridge, "tenth@example.com")
        self.scripted.script("/tenth", lambda _: 200)
        self.webhook = self.tenth.register(self.scripted.url("/tenth"), "module.completed")["id"]
        self.path = f"/v1/webhooks/{self.webhook}"
        self.switch(False)
        self.since = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        for value in self.records(self.tenth, options.missed, "missed"):
            self.backend.send(bench.TOPIC, value.replace('"AT"', '"usr_123"'), key=b"missed", tag="missed")
        self.backend.flush(60)
        until(self.translated, 120, "all translated while it is off")
        self.until = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self.switch(True)
        preview = self.ended(self.ask(dryRun=True))["counts"]["events"]
        self.check(preview == options.missed, f"the preview counts {preview} of {options.missed} events")
        return self.one(name, disturbed)

    def switch(self, is_active):
        assert self.tenth.call("PATCH", self.path, {"isActive": is_active}).status_code == 200

    def translated(self):
        places = committed(self.backend_bootstrap, "webhook-bridge.translate", bench.TOPIC)
        return all(offset == end or (offset is None and end == 0) for offset, end in places.values())

    def ask(self, **more):
        answer = self.tenth.call("POST", self.path + "/replay", {"since": self.since, "until": self.until, **more})
        assert answer.status_code == 202, answer.text
        return answer.json()["data"]["id"]

    def ended(self, replay):
        def end():
            data = self.tenth.call("GET", f"{self.path}/replays/{replay}").json()["data"]
            return data if data["status"] != "running" else None

        data = until(end, self.options.missed / 40 + 60, f"the end of {replay}")
        self.check(data["status"] == "finished", f"{replay} {data['status']}: {data['counts']}")
        return data

    def one(self, name, replays):
        rate, seconds, warm_up = self.options.rate, self.options.seconds, 3
        count = rate * (seconds + warm_up)
        own = self.LIVE * (seconds + warm_up)
        nine = [value for each in zip(*(self.records(account, count // 9 + 1, name) for account, _ in self.healthy))
                for value in each][:count]
        step = count // own
        mine = iter(self.records(self.tenth, own, f"{name}-own"))
        values = []
        for number, value in enumerate(nine):
            values.append(value)
            if number % step == step - 1:
                values += [each for each in [next(mine, None)] if each is not None]
        warm = len(values) * warm_up // (seconds + warm_up)
        # The C receiver hears of the nine; from the warm-up's last moment some may come after it.
        timed = sum("-own-" not in value for value in values[warm:])
        before = len(self.scripted.at("/tenth"))
        runs = []

        def begin():
            self.fast.ask(f"reset {timed}", "reset")
            if replays:
                threading.Thread(target=lambda: runs.append(self.ask())).start()

        self.bench.send_steadily(values, rate + self.LIVE, {warm: begin})
        answer = until(lambda: (answer := self.fast.ask("report", "report"))["received"] >= timed and answer, 60,
                       lambda: f"{timed} at the nine: {self.fast.ask('report', 'report')}")
        if replays:
            until(lambda: runs, 10, "the replay asked for")
            self.ended(runs[0])
        until(self.drained, 120, "all committed")
        got = self.scripted.at("/tenth")[before:]
        users = [(json.loads(each.body)["data"]["userId"], each) for each in got]
        again = {each.event_id for user, each in users if user == "usr_123"}
        self.check(len(again) == (self.options.missed if replays else 0), f"{len(again)} events again")
        # Marked by `send_steadily` with the moment of its produce call.
        late = sorted(each.arrived * 1000 - int(user.removeprefix("at-")) / 1e6 for user, each in users
                      if user.startswith("at-"))
        return {**{key: answer[key] for key in ("p50", "p90", "p99", "max", "received")},
                "own": late[len(late) * 99 // 100], "ownEvents": len(late)}


class Limit(Scenario):
    """One webhook among others is offered far more than its rate."""
    RATE = 100

    def settings_for(self, options):
        return {"limits": {"eventsPerSecond": self.RATE, "requestsPerMinute": 0}}

    def run(self):
        options, neighbours, each = self.options, 20, 5
        self.start(neighbours)
        greedy = Account(self.bridge, "greedy@example.com")
        # The C receiver as well: in this process a receipt is timed when the interpreter gets to it, tens of milliseconds late.
        self.watch = bench.FastReceiver(self.bench.directory)
        webhook = greedy.register(self.watch.url("/greedy"), "module.completed")["id"]
        offered = options.offered * options.seconds
        per_second = options.offered + neighbours * each
        mine = iter(self.records(greedy, offered, "greedy"))
        others = iter(self.bench.records(neighbours * each * options.seconds))
        values, owed = [], 0.0
        for _ in range(per_second * options.seconds):
            owed += neighbours * each / per_second
            source = others if owed >= 1 else mine
            owed -= owed >= 1
            value = next(source, None)
            if value is not None:
                values.append(value)
        expected = sum(1 for value in values if '"greedy-' not in value)
        offered = len(values) - expected
        self.fast.ask(f"reset {expected}", "reset")
        self.watch.ask(f"reset {offered}", "reset")
        self.bench.send_steadily(values, per_second)
        bench.say(f"{offered} offered in {options.seconds} s; at {self.RATE}/s they take {offered // self.RATE} s")
        until(lambda: self.fast.ask("report", "report")["received"] >= expected, 30, "all of the neighbours'")
        neighbours_p99 = self.fast.ask("report", "report")["p99"]
        until(lambda: self.watch.ask("report", "report")["received"] >= offered, offered / self.RATE * 1.2 + 30,
              lambda: f"{self.watch.ask('report', 'report')} of {offered}")
        until(self.drained, 30, "all committed")
        answer = self.watch.ask("report", "report")
        attempts = [record for record in self.dump("attempts") if record.key.decode() == webhook]
        events = {json.loads(record.value)["eventId"] for record in attempts}
        self.check(len(events) == offered == len(attempts) == answer["received"],
                   f"all {offered} arrived, each once ({answer['received']} received, {len(attempts)} attempts)")
        # Timed from the first tenth to the end.
        rate, busiest = answer["perSecond"], answer["busiest"]
        self.check(0.95 * self.RATE <= rate <= 1.05 * self.RATE, f"{rate:.1f} a second")
        self.check(busiest <= 1.1 * self.RATE, f"never more than {busiest} in a second")
        self.check(neighbours_p99 <= 100, f"p99 of the neighbours {neighbours_p99:.1f} ms")
        deferred = self.dump("deferred")
        strangers = sum(record.key.decode() != webhook for record in deferred)
        twice = [count for count in Counter(record.headers["event-id"] for record in deferred).values() if count > 1]
        self.check(strangers == 0, f"none of the neighbours' deferred ({strangers})")
        self.check(not twice, f"of {len(deferred)} deferred none twice ({len(twice)})")
        self.watch.close()
        return {"scenario": "limit", "offered": offered, "perSecond": rate, "busiestSecond": busiest,
                "neighboursP99": neighbours_p99, "deferred": len(deferred)}


class Dead(Scenario):
    """A dead endpoint at 100 events a second, and how it comes back."""
    RATE = 100

    def settings_for(self, options):
        return {"retry": {"timeScale": options.time_scale}, "limits": {"requestsPerMinute": 0}}

    def run(self):
        options = self.options
        self.start(1)
        account = Account(self.bridge, "dead@example.com")
        webhook = account.register(self.scripted.url("/dead"), "module.completed")["id"]
        # Every POST is a connection of its own, so that counting one counts the other.
        self.scripted.script("/dead", lambda _: Answer(500, {"Connection": "close"}))
        memory, stop = [], threading.Event()

        def sample():
            while not stop.wait(1):
                memory.append((time.monotonic(), megabytes(self.bridge.pid), self.fetched_records()))

        sampler = threading.Thread(target=sample, daemon=True)
        sampler.start()
        began = time.monotonic()
        count = self.RATE * options.duration
        self.bench.send_steadily(self.records(account, count, "dead"), self.RATE)
        ended = time.monotonic()
        posts = [delivery.arrived for delivery in self.scripted.at("/dead")]
        # What was under way when it opened may still end; from then on the gaps are those of the probes.
        opened = next((at for at, after in zip(posts, posts[1:]) if after - at >= 4), None)
        self.check(opened is not None, f"the circuit opened after {(opened or ended) - began:.1f} s, {len(posts)} POSTs")
        probes = [at for at in posts if opened is not None and at > opened]
        gaps = [after - at for at, after in zip(probes, probes[1:])]
        self.check(bool(gaps) and min(gaps) >= 4.9, f"{len(probes)} probes, the closest {min(gaps, default=0):.2f} s apart")
        # What lies in the bridge's Kafka clients unread is the broker's doing: it answers a fetch with all it has, and an answer
        # stays in memory until its last record is read, so half as much again is allowed. `parked` shows the rest flat.
        each = self.bytes_per_fetched_record()
        start = next(total for at, total, _ in memory if at > (opened or ended))
        peak, ahead = max(total for _, total, _ in memory), max(fetched or 0 for _, _, fetched in memory)
        allowed = start + 1.5 * ahead * each / 1e6 + 5
        self.check(peak <= allowed, f"memory {start:.0f} → {peak:.0f} MB at most, {allowed:.0f} MB are allowed: the broker sent "
                   f"{ahead:,.0f} records ahead, {each:.0f} bytes each")

        self.scripted.script("/dead", lambda _: 200)
        revived = time.monotonic()
        longest = 86_400 * options.time_scale + count / self.RATE + 120
        until(lambda: len(self.scripted.accepted_ids("/dead")) >= count, longest,
              lambda: f"{len(self.scripted.accepted_ids('/dead'))} of {count}")
        stop.set()
        self.check(len(self.scripted.accepted_ids("/dead")) == count,
                   f"all {count} arrived, {time.monotonic() - revived:.0f} s after it came back")
        until(self.drained, 60, "all committed")
        attempts = [record for record in self.dump("attempts") if record.key.decode() == webhook]
        made = len(self.scripted.at("/dead"))
        self.check(len(attempts) == made, f"{len(attempts)} attempts recorded, {made} POSTs made")
        return {"scenario": "dead", "seconds": options.duration, "posts": len(posts), "probes": len(probes),
                "closestProbes": min(gaps, default=0), "megabytes": [start, peak]}

    def fetched_records(self):
        """How many records lie in the bridge's Kafka clients unread; None when it does not say."""
        try:
            return Metrics(self.bridge)("fetched_records")
        except Exception:
            return None

    def bytes_per_fetched_record(self):
        """What such a record costs the same client library in a program that does nothing else."""
        ran = subprocess.run([self.bench.directory / "fetchcost", self.backend_bootstrap, "webhooks.retries", "20000"],
                             capture_output=True, text=True, check=True, timeout=60)
        return json.loads(ran.stdout)["bytesPerRecord"]


def megabytes(pid):
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * 4096 / 1e6


def run(options):
    """Runs one scenario; prints its figures as JSON; 1 when one of them is missed."""
    directory = tempfile.mkdtemp(prefix=f"webhook-bridge-{options.scenario}-")
    scenario = None
    try:
        if options.scenario == "parked":
            scenario = Parked(options, directory, bench.say)
        else:
            kinds = {"isolation": Isolation, "limit": Limit, "dead": Dead, "replay": Replay}
            scenario = kinds[options.scenario](options, directory)
        print(json.dumps(scenario.run()))
        return 1 if scenario.faults else 0
    finally:
        if scenario is not None:
            scenario.close()
        shutil.rmtree(directory, ignore_errors=True)
