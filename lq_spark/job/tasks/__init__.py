"""The tasks of the job, a file each; :mod:`lq_spark.job.tasks.registry` lists them."""
