"""Score the labels of tokens and sentences: python or spark-submit jobs/score_tokens.py --help."""

import sys

from lq_spark.job.cli import main

if __name__ == "__main__":
    sys.exit(main(task="tokens"))
