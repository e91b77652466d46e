"""collect_torch.py MEDIAL BACKBONE INPUTS.npy: recomputes MD_L with torch and compares."""
import hashlib
import sys

import h5py
import numpy
import torch

medial, backbone, inputs = sys.argv[1:]
model = torch.jit.load(backbone).eval()
data = torch.from_numpy(numpy.load(inputs))
ROUNDING = {"float32": 1e-6, "float16": 2**-11, "bfloat16": 2**-8, "int8": 1 / 250}

def text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def stored_type(data_set):
    return text(data_set.attrs.get("encoding", data_set.dtype))


checked = 0
with h5py.File(medial, "r") as file:
    assert text(file.attrs["kind"]) == "medial", file.attrs["kind"]
    rows = {name: file["rows"][name][:] for name in file["rows"]}
    assert sorted(rows) == ["generation", "id", "part", "partner", "view", "weight"], sorted(rows)
    count = len(rows["id"])
    assert count == len(data) and len(set(rows["id"])) == count
    assert sorted(numpy.bincount(rows["part"], minlength=4)) == sorted([30, 6, 6, 18])
    # An id is made of the content; the order of rows is by part, then that of the file.
    answers = torch.softmax(model(data), 1)
    pd = torch.from_numpy(file["pd"][:])
    nearest = torch.cdist(pd.double(), answers.double()).argmin(1)
    assert sorted(nearest.tolist()) == list(range(count)), "PDs don't lead to one sample each"
    assert torch.allclose(pd, answers[nearest], rtol=1e-4, atol=1e-6)

    for name, data_set in file["layers"].items():
        # The stem ends in an unnamed relu; behind it the stages, each of one block.
        stages = 0 if name.startswith("relu@") else int(name.split(".")[0].removeprefix("layer"))
        values = torch.relu(model.bn1(model.conv1(data)))
        for i in range(1, stages + 1):
            values = getattr(model, f"layer{i}")(values)
        kind = stored_type(data_set)
        found = data_set[:]
        if kind == "bfloat16":
            found = (found.astype("u4") << 16).view("f4")
        elif kind == "int8":
            shape = [1] * found.ndim
            shape[1 + data_set.attrs["channel_axis"]] = -1
            found = found * file["scales"][name][:].reshape(shape)
            found = found + file["offsets"][name][:].reshape(shape)
        found = torch.from_numpy(found.astype("f4"))
        expected = values[nearest].detach()
        error = (found - expected).abs()
        if kind == "int8":  # what lies beyond the range of the training samples is clipped
            error[torch.from_numpy(abs(data_set[:].astype("i4")) == 127)] = 0
        error = error.max() / expected.abs().max()
        assert error < ROUNDING[kind] + 1e-4, (name, kind, float(error))
        print(f"{name} {kind}: largest error {float(error):.2e} of the greatest value")

        # The digest, as the page of the header says.
        whole, first = hashlib.sha256(), 0
        raw = data_set[:]
        for rows_of_block, recorded in zip(file["blocks"][:], file["digests/layers/" + name][:]):
            block = hashlib.sha256(raw[first : first + rows_of_block].tobytes()).hexdigest()
            assert block == recorded.decode(), (name, first)
            whole.update(block.encode())
            first += rows_of_block
        assert whole.hexdigest() == text(data_set.attrs["digest"])
        checked += 1
assert checked == 3, checked
