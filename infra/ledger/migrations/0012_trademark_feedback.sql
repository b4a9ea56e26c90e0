-- What people answered to alerts about trademarks. An answer is never changed; the newest one counts.
CREATE TABLE trademark_feedback (
    feedback_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alert_id text NOT NULL,
    answer text NOT NULL CHECK (answer IN ('confirmed', 'rejected', 'more')),
    note text,
    who text NOT NULL,
    answered_at timestamptz NOT NULL DEFAULT now(),
    -- What the alert said then: it may say something else later.
    right_name text NOT NULL,
    trademark_name text NOT NULL,
    mark_number text NOT NULL,
    nice_class int NOT NULL,
    verdict text NOT NULL,
    score numeric(20, 6) NOT NULL,
    act_until date,
    release_id text NOT NULL
);
CREATE INDEX ON trademark_feedback (alert_id, feedback_id DESC);
