"""What a scheduled run needs around a task: config, run, metrics, summary, exit codes."""
