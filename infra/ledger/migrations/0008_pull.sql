-- What was read from the exchange database or from pages: each reading that found rows became a delivery, known by its digest. How far a feed has been read
-- follows from the readings whose delivery was taken (docs/decisions/0026).
CREATE SEQUENCE pull_number;
CREATE TABLE pull (
    pull_id     bigint PRIMARY KEY,
    feed        text NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('changes', 'comparison', 'pages')),
    upper_bound text,              -- what was changed up to this time of the source's clock is in it, as the source writes it
    row_count   bigint NOT NULL DEFAULT 0,
    withdrawn   bigint NOT NULL DEFAULT 0,  -- of them records that are gone from the source
    file_name   text,
    sha256      text,
    problem     text,              -- why nothing was read
    pulled_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK ((row_count > 0) = (sha256 IS NOT NULL))
);
CREATE INDEX pull_feed ON pull (feed, pull_id);
CREATE TABLE comparison_asked (feed text PRIMARY KEY, asked_by text NOT NULL, asked_at timestamptz NOT NULL DEFAULT clock_timestamp());
