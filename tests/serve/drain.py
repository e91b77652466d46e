"""drain.py ADDRESS BODY JSON-BYTES PID: clients that ask without a pause until the server, told to
end by SIGTERM, takes no more connections. What was sent in full on an open connection must be
answered in full."""
import http.client
import os
import signal
import sys
import threading
import time

address = sys.argv[1].removeprefix("http://")
body = open(sys.argv[2], "rb").read()
headers = {"Inference-Header-Content-Length": sys.argv[3]}
answered, lost = [], []
stop = time.monotonic() + 20


def ask():
    while time.monotonic() < stop:
        connection = http.client.HTTPConnection(address, timeout=20)
        try:
            connection.connect()
        except OSError:
            return  # the server is gone
        try:
            while True:
                connection.request("POST", "/v2/models/backbone/infer", body, headers)
                response = connection.getresponse()
                response.read()
                (answered if response.status == 200 else lost).append(response.status)
                if response.getheader("Connection") == "close":
                    break
        except Exception as error:
            lost.append(repr(error))
        connection.close()


threads = [threading.Thread(target=ask) for _ in range(8)]
for thread in threads:
    thread.start()
time.sleep(2)
before = len(answered)
os.kill(int(sys.argv[4]), signal.SIGTERM)
for thread in threads:
    thread.join()
assert before > 8, before
assert not lost, lost
assert len(answered) > before, "nothing was on its way when the end came"
print(f"{len(answered)} answered, {len(answered) - before} of them after SIGTERM")
