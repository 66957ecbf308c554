"""Run one job after another in one process, each with a session of its own.

A JVM takes longer to start than a job on a small table. Requests are files ``N.json`` in the folder
of the first argument: a job's file, its arguments, and where its output goes; the answer is a file
``N.code``. A file ``stop`` ends it.
"""

import json
import os
import runpy
import sys
import time
import traceback
from pathlib import Path


def run(script, arguments, printed):
    """Run a file as the process's own; return its exit code. Its output goes to a file."""
    sys.argv = [script, *arguments]
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(number) for number in (1, 2)]
    with Path(printed).open("wb") as file:
        for number in (1, 2):
            os.dup2(file.fileno(), number)
        try:
            runpy.run_path(script, run_name="__main__")
            code = 0
        except SystemExit as end:
            code = end.code or 0
        except Exception:  # noqa: BLE001 - as Python itself ends
            traceback.print_exc()
            code = 1
        sys.stdout.flush()
        sys.stderr.flush()
        for number, before in zip((1, 2), kept, strict=True):
            os.dup2(before, number)
            os.close(before)
    return code


def main(folder):
    number = 0
    while not (folder / "stop").exists():
        request = folder / f"{number}.json"
        if not request.exists():
            time.sleep(0.02)
            continue
        code = run(**json.loads(request.read_text()))
        (folder / "code").write_text(str(code))
        (folder / "code").rename(folder / f"{number}.code")
        number += 1


if __name__ == "__main__":
    main(Path(sys.argv[1]))
