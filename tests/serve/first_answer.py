"""first_answer.py ADDRESS: medians over 200 batches, as the client sees them."""
import asyncio
import json
import statistics
import sys
import time

import websockets

from v2 import MODEL, binary_frame, images

address = sys.argv[1].replace("http://", "ws://") + f"/v2/models/{MODEL}/stream"


async def main():
    frame = binary_frame(images()[:64])
    firsts, lasts = [], []
    async with websockets.connect(address, max_size=None) as socket:
        for _ in range(205):
            sent = time.perf_counter()
            await socket.send(frame)
            first = None
            while True:
                message = json.loads(await socket.recv())
                first = first or time.perf_counter() - sent
                if "summary" in message:
                    break
            firsts.append(first)
            lasts.append(time.perf_counter() - sent)
    first, last = statistics.median(firsts[5:]), statistics.median(lasts[5:])
    share = statistics.median(one / all_ for one, all_ in zip(firsts[5:], lasts[5:]))
    print(f"first answer after {1000 * first:.2f} ms, the batch after {1000 * last:.2f} ms: {share:.2f} of it")
    assert share < 0.7


asyncio.run(main())
