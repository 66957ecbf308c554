"""Score the labels every night; stop what trains on them if the gate fails.

Needs apache-airflow-providers-apache-spark and a connection ``spark_default``. SparkSubmitOperator
fails the task for every exit code but 0; in cluster mode spark-submit itself only tells good from
bad. Which of the two it was, a broken job or bad labels, the metrics table says: status ``failed``
or ``gate_failed`` of the newest run. A broken job is tried again; to repeat a run that failed the
gate is harmless where it merges, and gives the same verdict.
"""

from __future__ import annotations

import datetime

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import DAG

HOME = "/opt/lq_spark"

with DAG(
    dag_id="label_quality",
    schedule="15 2 * * *",
    start_date=datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 1, "retry_delay": datetime.timedelta(minutes=10)},
) as dag:
    SparkSubmitOperator(
        task_id="score_labels",
        conn_id="spark_default",
        application=f"{HOME}/jobs/score_dataset.py",
        properties_file=f"{HOME}/conf/lakehouse.conf",
        # The logical date makes a repeated run read what the first one read.
        application_args=[
            "--config",
            f"{HOME}/conf/lakehouse.yaml",
            "--input-timestamp",
            "{{ data_interval_end | ts }}",
        ],
    )
