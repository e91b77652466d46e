"""protocol.py ADDRESS: answers over HTTP, JSON and binary, one by one and in batches, must be
the same, and be the answers that a stream gives."""
import http.client
import json
import sys

import numpy

from v2 import MODEL, head, images, read_tensors

connection = http.client.HTTPConnection(sys.argv[1].removeprefix("http://"))


def infer(inputs, binary_in, outputs=None, **parameters):
    more = {"parameters": parameters}
    if outputs is not None:
        more["outputs"] = outputs
    text = head(inputs, binary_in, **more)
    headers = {"Inference-Header-Content-Length": str(len(text))} if binary_in else {}
    connection.request("POST", f"/v2/models/{MODEL}/infer", text + (inputs.tobytes() if binary_in else b""), headers)
    response = connection.getresponse()
    body = response.read()
    assert response.status == 200, body
    return read_tensors(body, int(response.getheader("Inference-Header-Content-Length", 0)))


batch = images()[:40]
said, plain = infer(batch, False)
assert set(plain) == {"label", "confidence", "exit", "probabilities"}
assert said["parameters"]["exits"].split(",") == list(plain["exit"])
assert numpy.allclose([float(one) for one in said["parameters"]["confidences"].split(",")], plain["confidence"])
assert len(set(plain["exit"])) > 1, "the test says little where all leave at one exit"
assert numpy.allclose(plain["probabilities"].sum(axis=1), 1, atol=1e-5)
assert (plain["probabilities"].argmax(axis=1) == plain["label"]).all()
assert numpy.allclose(plain["probabilities"].max(axis=1), plain["confidence"], atol=1e-6)

_, raw = infer(batch, True, binary_data_output=True)
for name, values in plain.items():
    same = (raw[name] == values).all() if values.dtype.kind in "UO" else numpy.allclose(raw[name], values, atol=1e-6)
    assert same, name

said, some = infer(batch, True, outputs=[{"name": "exit", "parameters": {"binary_data": True}}, {"name": "label"}])
assert [one["name"] for one in said["outputs"]] == ["exit", "label"]
assert (some["exit"] == plain["exit"]).all() and (some["label"] == plain["label"]).all()

for i in range(8):
    _, single = infer(batch[i:i + 1], True)
    assert single["label"][0] == plain["label"][i] and single["exit"][0] == plain["exit"][i], i
    assert numpy.allclose(single["probabilities"][0], plain["probabilities"][i], atol=1e-5)

# Nested data says the same as flat data.
nested = json.loads(head(batch[:2], False))
nested["inputs"][0]["data"] = batch[:2].tolist()
connection.request("POST", f"/v2/models/{MODEL}/infer", json.dumps(nested))
_, answer = read_tensors(connection.getresponse().read(), 0)
assert (answer["label"] == plain["label"][:2]).all()
