-- How the newest run of each source ended, and which conditions of the gate it has met.
SELECT source, started_at, status, metric, class AS condition
FROM shop.label_metrics
WHERE started_at = (
    SELECT max(newer.started_at) FROM shop.label_metrics AS newer
    WHERE newer.source = label_metrics.source
)
AND (metric IN ('fail_if', 'warn_if') AND value = 1 OR metric IN ('rows', 'failed'))
ORDER BY source, metric;
