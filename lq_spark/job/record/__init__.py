"""What is recorded of each run: its metrics, what it was compared with, how it ended."""
