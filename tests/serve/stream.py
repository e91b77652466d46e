"""stream.py ADDRESS HTTP-ANSWER [busy]: Python's websockets client against what HTTP answered.

busy: the server has other work too, so a query may be spread over batches.
"""
import asyncio
import json
import sys

import websockets

from v2 import MODEL, binary_frame, head, images, read_tensors

address = sys.argv[1].replace("http://", "ws://") + f"/v2/models/{MODEL}/stream"
_, expected = read_tensors(open(sys.argv[2], "rb").read(), 0)


async def ask(socket, frame, **ids):
    """One query's messages, in the order they came."""
    await socket.send(frame)
    messages = []
    while True:
        messages.append(json.loads(await socket.recv()))
        if "summary" in messages[-1] or "status" in messages[-1]:
            return messages


def check(messages, items, probabilities=False):
    *answers, last = messages
    summary = last["summary"]
    assert summary["items"] == summary["answered"] == items == len(answers), summary
    assert sorted(one["index"] for one in answers) == list(range(items))
    for one in answers:
        at = one["index"]
        assert one["label"] == expected["label"][at] and one["exit"] == expected["exit"][at], one
        assert abs(one["confidence"] - expected["confidence"][at]) < 1e-5
        assert ("probabilities" in one) == probabilities
    assert sum(summary["exits"].values()) == items
    return [one["exit"] for one in answers]


async def main():
    batch = images()[:40]
    async with websockets.connect(address, max_size=None) as socket:
        exits = check(await ask(socket, binary_frame(batch)), 40)
        # Early exits answer first: the exits come in order of depth within a batch.
        depths = [["relu@1", "layer1", "layer2", "backbone"].index(one) for one in exits]
        assert "busy" in sys.argv or depths == sorted(depths), exits
        check(await ask(socket, head(batch, False).decode()), 40)
        check(await ask(socket, binary_frame(batch, parameters={"probabilities": True})), 40, True)

        # A mistake costs the query, not the connection.
        for bad in ("{", "[]", b"", b"\x00", b"\xff\xff\xff\xff{}", head(batch[:, :2], False).decode()):
            (said,) = await ask(socket, bad)
            assert said["status"] == 400 and said["error"], said

        (said,) = await ask(socket, binary_frame(batch[:, :2], id="mine"))
        assert said["id"] == "mine" and said["status"] == 400, said

        # Several queries at once; the ids tell them apart.
        for number in range(6):
            await socket.send(binary_frame(batch[number:number + 1], id=f"q{number}"))
        done = {}
        while len(done) < 6:
            message = json.loads(await socket.recv())
            if "summary" in message:
                done[message["id"]] = message["summary"]["answered"]
        assert done == {f"q{number}": 1 for number in range(6)}

    for headers in ({"Origin": "http://elsewhere.example"},):
        try:
            await websockets.connect(address, extra_headers=headers)
            raise AssertionError("a page of another origin was let in")
        except websockets.InvalidStatusCode as refused:
            assert refused.status_code == 403


asyncio.run(main())
