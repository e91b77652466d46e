#!/usr/bin/python3
"""measuring.py RUN...: profile and eval against their bound, the time of the runs that they were asked to time.

Each RUN is a folder of `make experiment` or pipelines/run.sh: profile.h5, report.h5 and steps/*.json.
What is beyond the bound is loading, the pass over the test part, statistics and the page. One JSON
object a line."""
import json
import os
import sys

import h5py


def settings(file):
    lines = file.attrs["config"].decode().splitlines()
    return dict(line.split(": ", 1) for line in lines if ": " in line)


def seconds(run, step):
    with open(os.path.join(run, "steps", step + ".json")) as file:
        return json.load(file)["seconds"]


def profile_bound(file):
    """Every repeat is a plain run and one segment after the other, at each batch size."""
    asked = settings(file)
    repeats = int(asked["profile.warm_up"]) + int(asked["profile.repeats"])
    medians = [file[side][0, :, 0].sum() for side in ("plain_ms", "chain_ms")]
    return repeats * sum(medians) / 1e3


def eval_bound(file):
    """Pairs of runs by batch size, warmed up by five; then those of the curves' points."""
    asked = settings(file)
    rows = [file["latency"][name] for name in file["latency"]]
    total = sum((len(row["plain_ms"]) + 5) * (row.attrs["plain"][0] + row.attrs["cached"][0]) for row in rows)
    plain = {int(row.attrs["batch"]): row.attrs["plain"][0] for row in rows}
    for curve in file["trade"].values():
        batch = int(curve.attrs["batch"])
        for share in curve["points/latency"][:] if batch in plain else []:
            total += (int(asked["eval.curve_repeats"]) + 1) * plain[batch] * (1 + share)
    return total / 1e3


if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
    sys.exit(__doc__)
for run in sys.argv[1:]:
    for step, name, bound in (("profile", "profile.h5", profile_bound), ("eval", "report.h5", eval_bound)):
        with h5py.File(os.path.join(run, name)) as file:
            spent, least = seconds(run, step), bound(file)
        print(json.dumps({"run": run, "stage": step, "seconds": round(spent, 2), "bound": round(float(least), 2),
                          "share": round(float(least) / spent, 3)}))
