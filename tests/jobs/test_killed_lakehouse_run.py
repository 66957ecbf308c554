import subprocess
import sys

import pytest


@pytest.mark.parametrize("table_format", ["delta", "iceberg"])
def test_a_run_killed_while_it_writes_leaves_the_old_scores_or_the_new(table_format, repository):
    line = [sys.executable, "scripts/kill_runs.py", "--format", table_format]
    done = subprocess.run(
        [*line, "--kills", "1", "--rows", "20000"],
        cwd=repository,
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    killed, left_alone = done.stdout.splitlines()
    assert killed.endswith(("the old scores", "the new scores"))
    assert left_alone.endswith("a run that was left alone: right")
