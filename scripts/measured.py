#!/usr/bin/env python3
"""measured.py FILE COMMAND...: runs the command and, when it succeeds, writes its
seconds and peak memory to FILE as JSON."""
import json
import resource
import signal
import subprocess
import sys
import time


def main():
    file, command = sys.argv[1], sys.argv[2:]
    begin = time.monotonic()
    child = subprocess.Popen(command)
    # Signals are the child's to answer: it ends at a safe point. SIGINT from a terminal
    # reaches it without our help.
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    status = child.wait()
    if status == 0:
        seconds = round(time.monotonic() - begin, 3)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
        with open(file, "w", encoding="utf-8") as out:
            json.dump({"command": command[0].rsplit("/", 1)[-1], "seconds": seconds,
                       "peak_bytes": peak}, out)
            out.write("\n")
    sys.exit(status if status >= 0 else 128 - status)


main()
