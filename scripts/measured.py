#!/usr/bin/env python3
"""measured.py FILE COMMAND...: runs the command and, when it succeeds, writes its seconds and
peak memory to FILE as JSON. What a run that did not succeed took is kept in FILE.part, and counted
with that of the one that goes on from it: with --resume, from the partial file beside --out, for the
settings that FILE's .asked notes."""
import glob
import json
import os
import resource
import signal
import subprocess
import sys
import time


def goes_on(part, file, command):
    """Whether the command goes on from where the run behind the file `part` came to its end."""
    if "--resume" not in command or "--out" not in command[:-1]:
        return False
    out = command[command.index("--out") + 1]
    if not glob.glob(glob.escape(out) + ".partial*"):
        return False
    asked = os.path.splitext(file)[0] + ".asked"  # written when the settings change
    return not os.path.exists(asked) or os.path.getmtime(asked) <= os.path.getmtime(part)


def earlier(part, file, command):
    """Seconds and peak of the runs that this one goes on from."""
    try:
        if goes_on(part, file, command):
            with open(part, encoding="utf-8") as taken:
                taken = json.load(taken)
                return taken["seconds"], taken["peak_bytes"]
    except (OSError, ValueError, KeyError):
        pass
    return 0, 0


def main():
    file, command = sys.argv[1], sys.argv[2:]
    part = file + ".part"
    seconds, peak = earlier(part, file, command)
    begin = time.monotonic()
    child = subprocess.Popen(command)
    # Signals are the child's to answer: it ends at a safe point. SIGINT from a terminal
    # reaches it without our help.
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    status = child.wait()
    seconds = round(seconds + time.monotonic() - begin, 3)
    peak = max(peak, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
    with open(file if status == 0 else part, "w", encoding="utf-8") as out:
        json.dump({"command": command[0].rsplit("/", 1)[-1], "seconds": seconds,
                   "peak_bytes": peak}, out)
        out.write("\n")
    if status == 0 and os.path.exists(part):
        os.remove(part)
    sys.exit(status if status >= 0 else 128 - status)


main()
