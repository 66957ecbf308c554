"""Score the labels of a table: python or spark-submit jobs/score_dataset.py --help."""

import sys

from lq_spark.job.cli import main

if __name__ == "__main__":
    sys.exit(main())
