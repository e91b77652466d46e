#!/usr/bin/python3
"""results.py RUN...: the figures of an experiment as Markdown, from the folders of its seeds.

Each RUN is a folder of `make experiment`, pipelines/run.sh or pipelines/slurm/experiment.sh:
report.h5, steps/*.json, and report-*.h5 of benchmarks/tolerances.sh, whose latencies of the run's own
plan stand for those of report.h5. Several seeds: mean and, behind it, the range."""
import glob
import json
import os
import re
import statistics
import sys

import h5py


def text(value):
    return value.decode() if isinstance(value, bytes) else value


def spread(values, digits=1, unit=" %", scale=100):
    """Mean, and the range where the values differ; empty where there is none."""
    values = [value * scale for value in values]
    if not values:
        return ""

    def rounded(value):
        return f"{round(value, digits) + 0.0:.{digits}f}"  # no minus before zero

    mean, least, most = (rounded(of(values)) for of in (statistics.mean, min, max))
    return mean + unit + (f" ({least} to {most})" if least != most else "")


def table(head, rows):
    print("| " + " | ".join(head) + " |")
    print("|" + " --- |" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print()


def groups(file, path):
    return [file[path][name] for name in sorted(file[path])] if path in file else []


def exit_row(exit):
    """The paper's table 2: of all samples, of those that reach the exit, agreement, truth, effect."""
    cells = [f"{100 * exit['share']:.1f} %", f"{100 * exit['hit_rate']:.1f} %",
             f"{100 * exit['cache_accuracy'][0]:.2f} %", f"{100 * exit['gt_accuracy'][0]:.2f} %",
             f"{100 * exit['effect']:.2f}"]
    if not exit["architecture"]:
        cells[1:3] = "", ""
    return [text(exit["layer"])] + cells


class Plan:
    """What one report says of one plan."""

    def __init__(self, file, group):
        attributes = group.attrs
        self.batch = int(attributes["batch"])
        self.saved = 1 - attributes["flops_cached"] / attributes["flops_plain"]
        self.flops = attributes["flops_plain"], attributes["flops_cached"]
        self.predicted = attributes["predicted_saving"]
        self.plain = attributes["accuracy_plain"][0]
        self.cached = attributes["accuracy_cached"][0]
        self.effect = attributes["effect"][0]
        self.agreement = attributes["agreement"][0]
        self.cache_bytes = int(attributes["cache_bytes"])
        self.backbone_bytes = int(file.attrs["backbone_bytes"])
        self.exits = [exit_row(exit.attrs) for exit in groups(group, "exits")]
        self.certificate = None
        if attributes["has_certificate"]:
            given = group["certificate"].attrs
            self.certificate = (given["epsilon"], given["delta"], bool(given["holds"]),
                                given["risk"][0])


def latencies(file):
    """By batch size."""
    return {int(group.attrs["batch"]): {key: group.attrs[key] for key in ("plain", "cached", "saved", "flops_saved")}
            for group in groups(file, "latency")}


def behind(file, *roles):
    """What is recorded of the file that a report was made from, over those of these roles."""
    record = json.loads(text(file["provenance"][0]))
    for role in roles:
        record = record.get("inputs", {}).get(role, record)
    return record


def plan_of(file):
    return behind(file, "plan")


def caches_of(file):
    """The trained cache models, behind the calibrated ones."""
    return behind(file, "plan", "caches", "caches")


def timings(timed, plans=()):
    """Rows of a latency table: a batch size's timings, of each seed; plans that were predicted."""
    row = [spread([one["plain"][0] for one in timed], 2, "", 1),
           spread([one["cached"][0] for one in timed], 2, "", 1),
           spread([one["saved"][0] for one in timed])]
    if len(timed) == 1:
        row[-1] += f" [{100 * timed[0]['saved'][1]:.1f}, {100 * timed[0]['saved'][2]:.1f}]"
    row += [spread([one["flops_saved"] for one in timed]),
            spread([one["saved"][0] / one["flops_saved"] for one in timed if one["flops_saved"] > 0], 2, "", 1)]
    if plans:
        left = [(1 - one["saved"][0]) / (1 - plan.predicted) for one, plan in zip(timed, plans)]
        row += [spread([plan.predicted for plan in plans]), spread(left, 2, "", 1),
                spread([-plan.effect for plan in plans], 2, " points")]
    return row


def union(dictionaries):
    """The keys of all, in the order of their first appearance."""
    return list(dict.fromkeys(key for dictionary in dictionaries for key in dictionary))


def plan_order(name):
    """Of "tolerance-1.5": by word, then number."""
    word, _, number = name.rpartition("-")
    return word, float(number) if re.fullmatch(r"[0-9.]+", number) else 0.0, name


def certified(certificates):
    """Of how many seeds there is a certificate, and of how many the test part keeps to its epsilon."""
    if not certificates:
        return ""
    given = [one for one in certificates if one[2]]
    within = sum(risk <= epsilon for epsilon, _, _, risk in given)
    return f"given for {len(given)} of {len(certificates)}, {within} within it on test"


def everybody(head):
    """The share of all samples on which a cache model alone agrees with the backbone."""
    return float(head["cache_accuracy"][-1]) if head["hit_rate"][-1] == 1 else None


def costs(folder):
    """Architecture and multiply-accumulates of the cache models, by layer."""
    path = os.path.join(folder, "calibrated.h5")
    if not os.path.exists(path):
        return {}
    with h5py.File(path) as file:
        return {text(cache.attrs["layer"]): (text(cache.attrs["architecture"]), cache.attrs["flops"] / 2)
                for cache in groups(file, "caches")}


def steps_of(folder):
    """Seconds and peak memory by step; those of a batch job's parts, and of their merger, as one. A
    batch job begins without such notes, so a step in one piece beside its parts is the later one."""
    steps = {}
    for path in glob.glob(os.path.join(folder, "steps", "*.json")):
        name, _, part = os.path.basename(path)[:-len(".json")].partition("-")
        if part and os.path.exists(os.path.join(folder, "steps", name + ".json")):
            continue
        with open(path, encoding="utf-8") as file:
            step = json.load(file)
        known = steps.get(name, {"seconds": 0, "peak_bytes": 0})
        steps[name] = {"seconds": known["seconds"] + step["seconds"],
                       "peak_bytes": max(known["peak_bytes"], step["peak_bytes"])}
    return steps


class Run:
    def __init__(self, folder):
        self.folder = folder
        with h5py.File(os.path.join(folder, "report.h5")) as file:
            self.title = text(file.attrs["title"])
            plan, caches = plan_of(file), caches_of(file)
            self.seed = int(caches["seed"])
            self.depth = {text(layer.attrs["name"]): depth
                          for depth, layer in enumerate(groups(file, "layers"))}
            self.samples = int(file.attrs["samples"])
            self.where = (f"{text(file.attrs['processor'])}, {int(file.attrs['threads'])} threads, "
                          f"{text(file.attrs['library'])}")
            self.plans = [Plan(file, group) for group in groups(file, "plans")]
            self.latency = latencies(file)
            memory = file["memory"]
            self.memory = dict(zip(memory["batch"][:].tolist(),
                                   zip(memory["plain_bytes"][:].tolist(),
                                       memory["cached_bytes"][:].tolist())))
        self.swept = {}
        self.by_latency, self.by_latency_plans = {}, {}
        self.heads = {}
        for path in sorted(glob.glob(os.path.join(folder, "report-*.h5"))):
            with h5py.File(path) as file:
                if caches_of(file)["content_hash"] != caches["content_hash"]:
                    print(f"results.py: {path} is of other cache models: left out", file=sys.stderr)
                    continue
                name = os.path.basename(path)[len("report-"):-len(".h5")]
                if name == "own" and plan_of(file)["content_hash"] != plan["content_hash"]:
                    print(f"results.py: {path} is of an earlier plan: left out", file=sys.stderr)
                    continue
                plans = [Plan(file, group) for group in groups(file, "plans")]
                if name == "own":
                    self.latency = latencies(file)
                elif name == "latency":
                    self.by_latency = latencies(file)
                    self.by_latency_plans = {plan.batch: plan for plan in plans}
                elif name == "heads":
                    self.heads = {text(head.attrs["layer"]): everybody(head) for head in groups(file, "alone")}
                else:
                    self.swept[name] = plans[0]
        self.steps = steps_of(folder)


def of_all(some, runs):
    return f" ({len(some)} of {len(runs)})" if len(some) < len(runs) else ""


def count_of(runs):
    """"3 seeds" where nothing but the seed tells the runs apart."""
    titles, seeds = {run.title for run in runs}, [run.seed for run in runs]
    if len(titles) == 1 and len(set(seeds)) == len(runs):
        return f"{len(runs)} seed{'s' if len(runs) > 1 else ''}"
    if len(titles) > 1:
        return f"{len(runs)} runs, not of one experiment ({'; '.join(sorted(titles))})"
    return f"{len(runs)} runs, not all of their own seed ({', '.join(map(str, seeds))})"


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    for folder in sys.argv[1:]:
        if not os.path.exists(os.path.join(folder, "report.h5")):
            sys.exit(f"results.py: {folder} holds no report.h5: not the folder of a finished run")
    runs = [Run(folder) for folder in sys.argv[1:]]
    first = runs[0]
    plans = [run.plans[0] for run in runs]
    print(f"{count_of(runs)}, {first.samples} test samples; {first.where}.\n")
    if len(first.plans) > 1:
        print(f"Of several plans, all but the latency are of the one for batch {plans[0].batch}.\n")

    table(["", "plain", "cached", ""], [
        ["accuracy", spread([p.plain for p in plans], 2), spread([p.cached for p in plans], 2),
         spread([p.effect for p in plans], 2, " points")],
        ["same class as the backbone", "", spread([p.agreement for p in plans], 2), ""],
        ["FLOPs per sample", spread([p.flops[0] for p in plans], 1, " M", 1e-6),
         spread([p.flops[1] for p in plans], 1, " M", 1e-6),
         spread([p.saved for p in plans]) + " saved"],
        ["weights", spread([p.backbone_bytes for p in plans[:1]], 2, " MiB", 2**-20),
         spread([p.backbone_bytes + p.cache_bytes for p in plans], 2, " MiB", 2**-20), ""],
    ] + [[f"tensor memory, batch {batch}", spread([first.memory[batch][0]], 2, " MiB", 2**-20),
          spread([run.memory[batch][1] for run in runs if batch in run.memory], 2, " MiB", 2**-20), ""]
         for batch in sorted(first.memory)])

    rows = []
    for batch in sorted(union(run.latency for run in runs)):
        rows.append([str(batch)] + timings([run.latency[batch] for run in runs if batch in run.latency]))
    if rows:
        table(["batch", "plain ms", "cached ms", "saved", "of FLOPs saved", "ratio"], rows)

    rows = []
    for batch in sorted(union(run.by_latency for run in runs)):
        with_it = [run for run in runs if batch in run.by_latency]
        rows.append([str(batch)] + timings([run.by_latency[batch] for run in with_it],
                                           [run.by_latency_plans[batch] for run in with_it]))
    if rows:
        print("Plans chosen by latency:\n")
        table(["batch", "plain ms", "cached ms", "saved", "of FLOPs saved", "ratio", "predicted",
               "time over predicted", "accuracy lost"], rows)

    for run in runs:
        print(f"Exits of `{os.path.basename(run.folder.rstrip('/'))}`:\n")
        table(["exit", "of all samples", "hit rate", "cache accuracy", "right by the truth",
               "effect on accuracy, points"], run.plans[0].exits)

    costs_of = {run.folder: costs(run.folder) for run in runs}
    depth = {layer: place for run in runs for layer, place in run.depth.items()}
    rows = []
    for layer in sorted(union(run.heads for run in runs), key=lambda name: depth.get(name, len(depth))):
        with_it = [run for run in runs if layer in run.heads]
        found = [costs_of[run.folder][layer] for run in with_it if layer in costs_of[run.folder]]
        agreed = [run.heads[layer] for run in with_it if run.heads[layer] is not None]
        rows.append([layer + of_all(with_it, runs),
                     "; ".join(f"`{name}`" for name in dict.fromkeys(name for name, _ in found)),
                     spread([macs for _, macs in found], 2, " M", 1e-6), spread(agreed)])
    if rows:
        table(["layer", "architecture", "multiply-accumulates", "agrees with the backbone on test"], rows)

    rows = []
    for name in sorted(union(run.swept for run in runs), key=plan_order):
        swept = [run.swept[name] for run in runs if name in run.swept]
        certificates = [p.certificate for p in swept if p.certificate]
        rows.append([name.replace("-", " ") + " %" + of_all(swept, runs), spread([p.saved for p in swept]),
                     spread([-p.effect for p in swept], 2, " points"),
                     spread([1 - p.agreement for p in swept], 2),
                     certified(certificates)])
    if rows:
        table(["plan", "FLOPs saved", "accuracy lost", "answered otherwise than by the backbone",
               "certificates"], rows)

    order = ["backbone", "profile", "collect", "search", "train", "calibrate", "select", "eval"]
    known = union(run.steps for run in runs)
    steps = [name for name in order if name in known]
    if steps:
        def taken(step, key):
            return [run.steps[step][key] for run in runs if step in run.steps]

        whole = [sum(run.steps[step]["seconds"] for step in steps) for run in runs
                 if all(step in run.steps for step in steps)]
        table(["stage"] + steps + ["all"],
              [["minutes"] + [spread(taken(step, "seconds"), 1, "", 1 / 60) for step in steps]
               + [spread(whole, 1, "", 1 / 60)],
               ["peak memory"] + [spread([max(taken(step, "peak_bytes"))], 2, " GiB", 2**-30) for step in steps]
               + [""]])


main()
