"""The job; it waits before it puts its first Delta table in place, until a test opens the gate."""

import os
import sys
import time
from pathlib import Path

from lq_spark.job.cli import main
from lq_spark.tables.transactions import TransactionalOutput

GATE = Path(os.environ["GATE"])

commit = TransactionalOutput.commit


def held_commit(self, properties):
    (GATE / "held-0").touch()
    while not (GATE / "open").exists():
        time.sleep(0.02)
    commit(self, properties)


if __name__ == "__main__":
    TransactionalOutput.commit = held_commit
    sys.exit(main())
