"""A server to be killed: starts workers, prints their process ids, and waits; with `leave` it exits without stopping them.

Run as `python -m tests.engine.server TASK [leave]`.
"""

import sys
import time

from engine import Engine, WorkerSpec

if __name__ == "__main__":
    engine = Engine({"one": WorkerSpec("tests.engine.tasks"), "two": WorkerSpec("tests.engine.tasks")})
    engine.start()
    jobs = [engine.submit(name, task, {"seconds": 600}) for name, task in (("one", sys.argv[1]), ("two", "echo"))]
    while not (jobs[0].note and jobs[1].finished):
        time.sleep(0.02)
    hellos = [engine.hello("one") or {}, engine.hello("two") or {}]
    print(*(hello["pid"] for hello in hellos), *(word for word in jobs[0].note.split() if word.isdigit()), flush=True)
    if sys.argv[2:] == ["leave"]:
        sys.exit(0)
    time.sleep(600)
