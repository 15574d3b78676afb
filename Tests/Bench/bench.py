"""What the whole line costs, beside the raw loop of `librdkafka poll → libcurl POST`.

On noida-db, with one receiver for both: in each round the raw loop and then the bridge take the same records off the
same topic. Rates count from the first tenth of a round to its end; a figure to compare is the ratio of two medians.
Then both carry a steady 1,000 events a second, timed from the produce call to the receipt.

`isolation`, `limit`, `dead` and `replay` (scenarios.py) and `parked` (parked.py) are other scenarios; each judges itself
and exits 1 when a figure is missed.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "System"))

from harness.bridge import Account, Bridge  # noqa: E402
from harness.brokers import NoidaBroker  # noqa: E402
from harness.events import domain_record  # noqa: E402
from harness.kafka import Backend, committed  # noqa: E402
from harness.paths import BINARY  # noqa: E402
from harness.processes import Process  # noqa: E402
from harness.waiting import until  # noqa: E402

TOPIC = "learnault.modules"
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def say(text):
    print(text, file=sys.stderr, flush=True)


def compile_c(directory):
    programs = {"receiver": ["-lm"], "rawloop": ["-lrdkafka", "-lcurl"], "fetchcost": ["-lrdkafka"]}
    for name, libraries in programs.items():
        subprocess.run(["cc", "-O2", "-o", directory / name, HERE / f"{name}.c", *libraries], check=True)


class FastReceiver:
    def __init__(self, directory):
        self.process = subprocess.Popen(
            [directory / "receiver"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.port = self.next("listening")["port"]

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def next(self, event):
        while True:
            line = self.process.stdout.readline()
            assert line, "the receiver ended"
            answer = json.loads(line)
            if answer["event"] == event:
                return answer

    def ask(self, text, event):
        self.process.stdin.write(text + "\n")
        return self.next(event)

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def peak_megabytes(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0


class Bench:
    def __init__(self, options, directory):
        self.options, self.directory = options, Path(directory)
        compile_c(self.directory)
        self.broker = NoidaBroker(directory)
        self.receiver = FastReceiver(self.directory)
        self.bridge = Bridge(directory, self.broker.bootstrap, **{
            "topics": {"partitions": options.partitions}, "deliver": {"threads": options.threads},
            "limits": {"eventsPerSecond": 0, "requestsPerMinute": 0},
            **getattr(options, "settings", {})})
        self.backend = Backend(self.broker.bootstrap)
        self.accounts = []

    def prepare(self):
        self.bridge.make_topics()
        self.bridge.run()
        for number in range(self.options.accounts):
            account = Account(self.bridge, f"bench{number}@example.com")
            account.register(self.receiver.url(f"/hook/{number}"), "module.completed")
            self.accounts.append(account.id)
        self.bridge.stop()

    def records(self, count):
        """Values of `count` records, made before they are needed; AT stands where the produce time goes."""
        templates = []
        for account in self.accounts:
            record = domain_record("module.completed", account, "EVENT")
            record["payload"]["user"]["id"] = "AT"
            templates.append(json.dumps(record, separators=(",", ":")))
        prefix = uuid.uuid4().hex[:12]
        for number in range(count):
            yield templates[number % len(templates)].replace("EVENT", f"{prefix}-{number}")

    def preload(self, count):
        for number, value in enumerate(self.records(count)):
            value = value.replace('"AT"', '"usr_123"').encode()
            self.backend.send(TOPIC, value, key=str(number).encode(), tag="preload")
        self.backend.flush(60)

    def start_raw(self, count):
        return Process("rawloop", [self.directory / "rawloop", self.broker.bootstrap, TOPIC, "rawloop",
                                   self.receiver.url("/raw"), count, self.options.handles], self.directory)

    def measured(self, start, stop, count):
        """Rate and processor time per event of what `start` starts, from the first tenth to the end."""
        self.receiver.ask(f"reset {count}", "reset")
        pid = start()
        self.receiver.next("warm")
        before = cpu_seconds(pid)
        done = self.receiver.next("done")
        used = cpu_seconds(pid) - before
        peak = peak_megabytes(pid)
        stop()
        after = self.receiver.ask("report", "report")
        return {"perSecond": done["perSecond"], "cpuMicroseconds": used / (count - count // 10) * 1e6,
                "peakMegabytes": peak, "repeated": after["received"] - count}

    def rate_raw(self, count):
        holder = {}

        def start():
            holder["process"] = self.start_raw(count)
            return holder["process"].pid

        def stop():
            # The last answers are on their way and the process mostly ends by itself. libcurl has now and then sent a POST
            # twice, so that the receiver had its number before the loop had: then it waits for a record that does not come.
            try:
                holder["process"].wait(5)
            except subprocess.TimeoutExpired:
                pass
            holder["process"].stop()

        return self.measured(start, stop, count)

    def rate_bridge(self, count):
        def stop():
            def settled():
                places = committed(self.broker.bootstrap, "webhook-bridge.deliver", "webhooks.deliveries")
                return all(offset == end or end == 0 for offset, end in places.values())

            until(settled, 60, "the deliveries committed")
            self.bridge.stop()

        def start():
            self.bridge.start()
            return self.bridge.pid

        return self.measured(start, stop, count)

    def send_steadily(self, values, rate, at={}):
        """Produces at a steady rate, each record marked with its time; `at` holds calls by the number they precede."""
        started = time.monotonic() + 0.5
        for number, value in enumerate(values):
            due = started + number / rate
            while (left := due - time.monotonic()) > 0:
                self.backend.poll(0)
                time.sleep(min(left, 0.0005))
            if number in at:
                at[number]()
            mark = f'"at-{time.monotonic_ns()}"'
            self.backend.send(TOPIC, value.replace('"AT"', mark).encode(), key=str(number).encode(), tag="steady")
        self.backend.flush()

    def latency(self, path):
        """Percentiles at a steady rate, in milliseconds, once `path` is up."""
        rate, seconds, warm_up = self.options.rate, self.options.seconds, 3
        total, warm = rate * seconds, rate * warm_up
        values = list(self.records(warm + total))
        self.send_steadily(values, rate, {warm: lambda: self.receiver.ask(f"reset {total}", "reset")})
        answer = self.receiver.ask("report", "report")
        deadline = time.monotonic() + 20
        while answer["received"] < total and time.monotonic() < deadline:
            time.sleep(0.1)
            answer = self.receiver.ask("report", "report")
        assert answer["received"] >= total, f"{path}: {answer['received']} of {total} received"
        assert answer["timed"] >= total * 0.95, f"{path}: {answer['timed']} of {total} carried their time"
        return {name: answer[name] for name in ("p50", "p90", "p99", "max", "received")}

    def run(self):
        options, rounds, latency = self.options, [], {}
        self.prepare()
        # First, while the broker holds little: noida-db answers the slower the more it has.
        warm_and_timed = options.rate * (options.seconds + 3)
        raw = self.start_raw(warm_and_timed)
        latency["raw"] = self.latency("raw loop")
        raw.stop()
        # The bridge first delivers what the raw loop's run left on the topic.
        self.receiver.ask(f"reset {warm_and_timed}", "reset")
        self.bridge.run()
        self.receiver.next("done")
        latency["bridge"] = self.latency("bridge")
        self.bridge.stop()
        for number in range(options.rounds + 1):  # the first one warms caches and is not counted
            count = options.events if number else options.events // 5
            self.preload(count)
            figures = {"raw": self.rate_raw(count), "bridge": self.rate_bridge(count)}
            say(f"round {number}{' (warm-up)' if number == 0 else ''}: " + ", ".join(
                f"{name} {each['perSecond']:,.0f}/s {each['cpuMicroseconds']:.1f} µs"
                for name, each in figures.items()))
            if number:
                rounds.append(figures)
        result = {"events": options.events, "rounds": rounds, "median": {}, "latency": latency}
        for name in ("raw", "bridge"):
            result["median"][name] = {
                key: statistics.median(each[name][key] for each in rounds)
                for key in ("perSecond", "cpuMicroseconds", "peakMegabytes", "repeated")}
        median = result["median"]
        # Round by round: what else the machine does changes more slowly than that.
        result["ratio"] = {
            key: statistics.median(each["bridge"][key] / each["raw"][key] for each in rounds)
            for key in ("perSecond", "cpuMicroseconds")}

        return result

    def close(self):
        self.receiver.close()
        self.broker.stop()


def verdicts(result):
    """What the design wants to be reached, and whether it was."""
    ratio, latency = result["ratio"], result["latency"]["bridge"]
    return [
        (ratio["perSecond"] >= 0.8, f"{ratio['perSecond']:.2f} of the raw loop's rate; 0.8 are wanted"),
        (ratio["cpuMicroseconds"] <= 1.0, f"{ratio['cpuMicroseconds']:.2f} × its processor time; 1.0 are wanted"),
        (latency["p50"] <= 5 and latency["p99"] <= 25,
         f"p50 {latency['p50']:.1f} and p99 {latency['p99']:.1f} ms; 5 and 25 are wanted"),
        (result["median"]["bridge"]["peakMegabytes"] <= 120,
         f"{result['median']['bridge']['peakMegabytes']:.0f} MB at full rate; 120 are wanted"),
    ]


def table(result, options):
    median, ratio, latency = result["median"], result["ratio"], result["latency"]
    lines = [
        f"{options.events:,} events a round, {options.rounds} rounds, {options.accounts} webhooks, "
        f"{os.cpu_count()} cores; medians",
        f"{'':34}{'raw loop':>12}{'bridge':>12}{'ratio':>8}",
        f"{'events per second':34}{median['raw']['perSecond']:>12,.0f}{median['bridge']['perSecond']:>12,.0f}"
        f"{ratio['perSecond']:>8.2f}",
        f"{'processor time per event, µs':34}{median['raw']['cpuMicroseconds']:>12.1f}"
        f"{median['bridge']['cpuMicroseconds']:>12.1f}{ratio['cpuMicroseconds']:>8.2f}",
        f"{'peak memory, MB':34}{median['raw']['peakMegabytes']:>12.0f}{median['bridge']['peakMegabytes']:>12.0f}",
        f"produce call to receipt at {options.rate:,}/s, ms",
    ]
    for name in ("p50", "p90", "p99", "max"):
        lines.append(f"{'  ' + name:34}{latency['raw'][name]:>12.2f}{latency['bridge'][name]:>12.2f}")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", nargs="?", default="rates",
                        choices=["rates", "isolation", "limit", "dead", "replay", "parked"])
    # noida-db answers a fetch with all there is, whatever was asked for: a round lies in memory at once, in both programs.
    parser.add_argument("--events", type=int, default=40_000, help="records a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--accounts", type=int, default=10, help="accounts with one webhook each")
    parser.add_argument("--partitions", type=int, default=4, help="topics.partitions")
    parser.add_argument("--threads", type=int, default=1, help="deliver.threads: sender threads of the bridge")
    parser.add_argument("--handles", type=int, default=64, help="concurrent posts of the raw loop")
    parser.add_argument("--rate", type=int, default=1000, help="events per second of the latency part")
    parser.add_argument("--seconds", type=int, default=20, help="length of the latency part; isolation: of a run; "
                        "limit: how long it is offered too much")
    parser.add_argument("--pairs", type=int, default=5, help="isolation, replay: pairs of runs")
    parser.add_argument("--offered", type=int, default=1000, help="limit: events per second for the one webhook")
    parser.add_argument("--missed", type=int, default=10_000, help="replay: events of the disabled period")
    parser.add_argument("--duration", type=int, default=600, help="dead: seconds the endpoint stays dead")
    parser.add_argument("--time-scale", type=float, default=0.02, help="dead: retry.timeScale")
    parser.add_argument("--parked", type=int, default=50_000, help="parked: how many retries wait")
    parser.add_argument("--due", type=int, default=40, help="parked: seconds until the first of them is due")
    parser.add_argument("--broker", choices=["embedded", "noida"], default="embedded", help="parked: where they wait")
    options = parser.parse_args()
    if options.events < 10_000 or options.rounds < 1:
        # Processor time comes in ticks of 10 ms: a shorter round would be measured in a handful of them.
        parser.error("at least one round of 10,000 events")
    if not BINARY.exists():
        sys.exit(f"no binary at {BINARY}: run ./dev build")
    if options.scenario != "rates":
        import scenarios
        sys.exit(scenarios.run(options))
    directory = tempfile.mkdtemp(prefix="webhook-bridge-bench-")
    bench = None
    try:
        bench = Bench(options, directory)
        result = bench.run()
        print(table(result, options))
        for is_reached, what in verdicts(result):
            print(("ok    " if is_reached else "FAULT ") + what)
        print(json.dumps(result))
        if not all(is_reached for is_reached, _ in verdicts(result)):
            sys.exit(1)
    finally:
        if bench is not None:
            bench.close()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
