import subprocess
import sys


def test_a_run_killed_while_it_writes_leaves_the_old_scores_or_the_new(repository):
    # One kill; the script does ten on each format, Iceberg's the same way.
    line = [sys.executable, "scripts/kill_runs.py", "--format", "delta"]
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
