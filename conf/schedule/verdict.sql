-- Fails unless the newest run of the night has succeeded; says which conditions of the gate were met.
SELECT CASE
    WHEN max(started_at) < current_timestamp() - INTERVAL 12 HOURS OR count(*) = 0
        THEN raise_error('label quality: no run in the last 12 hours')
    WHEN max_by(status, started_at) <> 'succeeded'
        THEN raise_error(concat(
            'label quality: ', max_by(status, started_at), ' ',
            array_join(array_sort(collect_set(
                CASE WHEN metric = 'fail_if' AND value = 1 THEN class END)), '; ')))
    ELSE 'succeeded'
END AS verdict
FROM shop.label_metrics
WHERE run_id = (SELECT max_by(run_id, started_at) FROM shop.label_metrics);
