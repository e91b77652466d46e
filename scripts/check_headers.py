#!/usr/bin/env python3
"""Compiles every header of lib/ and apps/ alone, with the flags of a source of its folder.

A header that compiles alone includes all that it uses; and since the include roots are
its library's own, an include against the order of the layers is found as well.
"""
import concurrent.futures
import json
import pathlib
import shlex
import subprocess
import sys


def flags_by_folder(build):
    """The compile command of one source per folder, without its input and output."""
    flags = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        source = pathlib.Path(entry["file"]).resolve()
        words = shlex.split(entry["command"])
        start = next(i for i, word in enumerate(words) if word.endswith("++"))
        kept, skip = [], False
        for word in words[start:]:
            if skip:
                skip = False
            elif word in ("-o", "-c"):
                skip = True
            else:
                kept.append(word)
        flags[source.parent] = (kept, entry["directory"])
    return flags


def check(header, command, directory):
    run = subprocess.run(
        [*command, "-fsyntax-only", "-O0", "-x", "c++", "-include", str(header), "/dev/null"],
        cwd=directory, capture_output=True, text=True, check=False)
    return header, run.returncode, run.stderr


def main():
    build, jobs = pathlib.Path(sys.argv[1]).resolve(), int(sys.argv[2])
    root = pathlib.Path.cwd()
    flags = flags_by_folder(build)
    headers = sorted([*root.glob("lib/**/*.h"), *root.glob("apps/**/*.h")])
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        tasks = []
        for header in headers:
            if header.parent not in flags:
                print(f"{header}: its folder has no source that is built")
                bad += 1
                continue
            tasks.append(pool.submit(check, header, *flags[header.parent]))
        for task in tasks:
            header, status, errors = task.result()
            if status != 0:
                bad += 1
                print(f"{header}: does not compile alone\n{errors}")
    print(f"{len(headers)} headers, {bad} bad")
    sys.exit(1 if bad else 0)


main()
