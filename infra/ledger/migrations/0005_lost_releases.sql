-- Releases whose tables can't be read any more: nobody is led back to them, and nothing is built on them.
CREATE TABLE lost_release (
    release_id text PRIMARY KEY REFERENCES release,
    reason     text NOT NULL,
    lost_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
