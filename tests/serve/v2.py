"""Requests of the Open Inference Protocol v2 by the standard library alone, and images.npy of the
small model. Run as a program: writes infer.json and infer.bin (with its header length in
infer.length) for the first N items."""
import json
import sys

import numpy

MODEL = "backbone"


def images(path="images.npy"):
    return numpy.load(path)


def head(inputs, binary, **more):
    one = {"name": "input", "datatype": "FP32", "shape": list(inputs.shape)}
    if binary:
        one["parameters"] = {"binary_data_size": inputs.nbytes}
    else:
        one["data"] = [float(value) for value in inputs.ravel()]
    return json.dumps({**more, "inputs": [one]}).encode()


def binary_frame(inputs, **more):
    """Of a stream: the JSON's length, the JSON, the tensor."""
    text = head(inputs, True, **more)
    return len(text).to_bytes(4, "little") + text + inputs.tobytes()


def read_tensors(body, json_bytes):
    """Outputs by name, from JSON and from the raw tensors behind it."""
    said = json.loads(body[:json_bytes] if json_bytes else body)
    at, outputs = json_bytes or len(body), {}
    types = {"FP32": numpy.float32, "INT64": numpy.int64}
    for output in said["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size")
        if size is None:
            outputs[output["name"]] = numpy.array(output["data"]).reshape(output["shape"])
            continue
        raw, at = body[at:at + size], at + size
        if output["datatype"] == "BYTES":
            texts = []
            while raw:
                length = int.from_bytes(raw[:4], "little")
                texts.append(raw[4:4 + length].decode())
                raw = raw[4 + length:]
            outputs[output["name"]] = numpy.array(texts).reshape(output["shape"])
        else:
            outputs[output["name"]] = numpy.frombuffer(raw, types[output["datatype"]]).reshape(output["shape"])
    assert at == len(body), "bytes behind the last tensor"
    return said, outputs


if __name__ == "__main__":
    batch = images()[:int(sys.argv[1])]
    open("infer.json", "wb").write(head(batch, False, id="from curl"))
    text = head(batch, True, parameters={"binary_data_output": True})
    open("infer.bin", "wb").write(text + batch.tobytes())
    open("infer.length", "w").write(str(len(text)))
    open("frame.bin", "wb").write(binary_frame(batch))
