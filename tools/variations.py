"""Run the quick test suite as on other machines: other processors, other numbers of threads. `make variations`

    python -m tools.variations            every test but those that want a browser, under every variation
    python -m tools.variations --numbers  only the tests that compute something (marked `numbers`)

What is behind -- goes to pytest. Ends with a table, and with exit status 1 where a variation fails.
"""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COUNTS = ("passed", "failed", "skipped")

# What each variation sets. ATEN_CPU_CAPABILITY limits the vector instructions of torch's own kernels, DNNL_MAX_CPU_ISA
# those of oneDNN, which computes the convolutions. Threads are varied by themselves.
VARIATIONS = {
    "one thread": {"OMP_NUM_THREADS": "1"},
    "two threads": {"OMP_NUM_THREADS": "2"},
    "four threads": {"OMP_NUM_THREADS": "4"},
    "torch without vectors": {"ATEN_CPU_CAPABILITY": "default", "OMP_NUM_THREADS": "1"},
    "torch with AVX2": {"ATEN_CPU_CAPABILITY": "avx2", "OMP_NUM_THREADS": "1"},
    "oneDNN with SSE4.1": {"DNNL_MAX_CPU_ISA": "SSE41", "OMP_NUM_THREADS": "1"},
    "the oldest of both": {"ATEN_CPU_CAPABILITY": "default", "DNNL_MAX_CPU_ISA": "SSE41", "OMP_NUM_THREADS": "1"},
}


def run_suite(settings, arguments):
    """Run pytest with the environment variables `settings`; return its exit status and its closing line."""
    names = {name for variation in VARIATIONS.values() for name in variation}
    environment = {name: value for name, value in os.environ.items() if name not in names} | settings
    command = [sys.executable, "-m", "pytest", "-q", *arguments]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        last = ""
        for line in process.stdout:
            print(line, end="", flush=True)
            last = line.strip() or last
    return process.returncode, last


def counts_of(line):
    """Return how many tests passed, failed (errors among them) and were skipped, by pytest's closing `line`."""
    found = {name.rstrip("s"): int(count) for count, name in re.findall(r"(\d+) (\w+)", line)}
    return {
        "passed": found.get("passed", 0),
        "failed": found.get("failed", 0) + found.get("error", 0),
        "skipped": found.get("skipped", 0),
    }


def main():
    parser = argparse.ArgumentParser(description="Run the quick test suite as on other machines.")
    parser.add_argument("--numbers", action="store_true", help="only the tests that compute something")
    parser.add_argument("--only", nargs="+", choices=VARIATIONS, default=list(VARIATIONS), metavar="VARIATION")
    parser.add_argument("pytest", nargs="*", help="arguments for pytest, behind --")
    options = parser.parse_args()
    wanted = "numbers and not browser" if options.numbers else "not browser"
    table, failed = [], False
    for name in options.only:
        settings = VARIATIONS[name]
        setting = " ".join(f"{key}={value}" for key, value in settings.items())
        print(f"\n=== {name}: {setting}", flush=True)
        status, closing = run_suite(settings, ["-m", wanted, *options.pytest])
        counts = counts_of(closing)
        failed |= status != 0 or counts["passed"] == 0
        table.append((name, *counts.values()))
    layout = "{:<32}" + "{:>9}" * len(COUNTS)
    print("\n" + "\n".join(layout.format(*row) for row in [("variation", *COUNTS), *table]))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
