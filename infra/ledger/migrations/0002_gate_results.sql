-- What the gate found on each candidate: counts and meanings, never values of rows.
CREATE TABLE gate_result (
    run_id      text NOT NULL REFERENCES run,
    table_name  text NOT NULL,
    version     bigint NOT NULL,
    rule        text NOT NULL,
    description text NOT NULL,
    dimension   text NOT NULL,
    passed      boolean NOT NULL,
    observed    text NOT NULL,
    judged_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_id, table_name, rule)
);
