#!/usr/bin/env python3
"""What translating costs: parse + map + write for the five documented examples, beside JSONDecoder + JSONEncoder.

usage: mapping.py PROGRAM [--rounds N]
PROGRAM is the built mapping-bench. Times are medians; allocations are counted by a preloaded library in a run of their own.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]


def run(program, rounds, preload=None):
    environment = dict(os.environ)
    if preload:
        environment |= {"LD_PRELOAD": preload, "MALLOCS_THREAD": "mapping-bench"}
    output = subprocess.run([program, str(ROOT), str(rounds)], env=environment, check=True, stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL if preload else None).stdout
    return [json.loads(line) for line in output.splitlines()]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    timed = run(arguments.program, arguments.rounds)
    with tempfile.TemporaryDirectory() as folder:
        library = str(pathlib.Path(folder) / "allocations.so")
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, str(ROOT / "Tests/Bench/mallocs.c")], check=True)
        counted = run(arguments.program, 1, library)
    print("parse + map + write of one domain record, medians of", arguments.rounds, "rounds")
    print(f"{'':20}{'bytes':>8}{'ns':>8}{'allocations':>14}{'Foundation, ns':>17}{'ratio':>8}")
    for line, count in zip(timed, counted):
        ratio = line["nanoseconds"] / line["foundationNanoseconds"]
        print(f"{line['example']:20}{line['bytes']:>8}{line['nanoseconds']:>8}{count['allocations']:>14.2f}"
              f"{line['foundationNanoseconds']:>17}{ratio:>8.3f}")


if __name__ == "__main__":
    sys.exit(main())
