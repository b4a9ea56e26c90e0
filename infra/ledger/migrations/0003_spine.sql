-- What a sender states beside a file, a second gate, accounts of deliveries, restores, and sessions to fence off.

ALTER TABLE delivery
    ADD COLUMN business_date   date,
    ADD COLUMN source_revision int     NOT NULL DEFAULT 0 CHECK (source_revision >= 0),
    ADD COLUMN simulated       boolean NOT NULL DEFAULT false;
CREATE INDEX delivery_name ON delivery (feed, file_name);

-- A content that was refused may be sent again once what stood in its way is mended (a header registered, a revision stated).
INSERT INTO allowed_step VALUES ('delivery', 'refused', 'arrived');

-- Silver is judged before gold is built from it.
ALTER TABLE run DROP CONSTRAINT run_state_check;
ALTER TABLE run ADD CONSTRAINT run_state_check CHECK (state IN ('open', 'refined', 'built', 'gated', 'released', 'abandoned'));
DELETE FROM allowed_step WHERE what = 'run' AND before = 'open' AND after = 'built';
INSERT INTO allowed_step VALUES ('run', 'open', 'refined'), ('run', 'refined', 'built'), ('run', 'refined', 'abandoned');
-- What the tables were built with: another code or contract means building them anew.
ALTER TABLE run ADD COLUMN silver_build text, ADD COLUMN gold_build text;

-- The account of a delivery as a run left it: an account that does not add up can't be stored.
CREATE TABLE run_delivery (
    run_id      text NOT NULL REFERENCES run,
    delivery_id text NOT NULL REFERENCES delivery,
    arrived     bigint NOT NULL,
    applied     bigint NOT NULL,
    superseded  bigint NOT NULL,
    duplicate   bigint NOT NULL,
    quarantined bigint NOT NULL,
    PRIMARY KEY (run_id, delivery_id),
    CHECK (arrived = applied + superseded + duplicate + quarantined)
);
CREATE TABLE run_finding (
    run_id      text NOT NULL REFERENCES run,
    delivery_id text NOT NULL REFERENCES delivery,
    rule        text NOT NULL,
    severity    text NOT NULL,
    description text NOT NULL,
    affected    bigint NOT NULL,
    first_row   bigint NOT NULL,
    PRIMARY KEY (run_id, delivery_id, rule)
);

ALTER TABLE candidate ADD COLUMN checksum text;
ALTER TABLE release_table ADD COLUMN checksum text;
ALTER TABLE release
    ALTER COLUMN run_id DROP NOT NULL,
    ADD COLUMN kind text NOT NULL DEFAULT 'publish' CHECK (kind IN ('publish', 'restore')),
    ADD COLUMN as_of date,
    ADD CHECK ((kind = 'publish') = (run_id IS NOT NULL));
CREATE UNIQUE INDEX one_release_for_a_run ON release (run_id);

-- Spark sessions of the programs that write: whoever writes next ends those that a killed program left.
CREATE TABLE writer_session (
    session_id text PRIMARY KEY,
    step       text NOT NULL,
    opened_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    closed_at  timestamptz
);

-- A release and, going back, all that it stands on; depth 0 is the release itself.
CREATE FUNCTION release_chain(identity text) RETURNS TABLE (release_id text, run_id text, depth int) LANGUAGE sql STABLE AS $$
    WITH RECURSIVE chain AS (
        SELECT r.release_id, r.run_id, r.parent_release_id, 0 AS depth FROM release r WHERE r.release_id = identity
        UNION ALL
        SELECT r.release_id, r.run_id, r.parent_release_id, c.depth + 1 FROM release r JOIN chain c ON r.release_id = c.parent_release_id
    )
    SELECT release_id, run_id, depth FROM chain
$$;
-- Accounts of all deliveries that a release contains, each as the newest run in its chain left it.
CREATE FUNCTION release_accounts(identity text) RETURNS SETOF run_delivery LANGUAGE sql STABLE AS $$
    SELECT DISTINCT ON (d.delivery_id) d.* FROM run_delivery d JOIN release_chain(identity) c USING (run_id) ORDER BY d.delivery_id, c.depth
$$;

-- Bronze is loaded, and tables are fenced off, outside of any run.
ALTER TABLE epoch ALTER COLUMN run_id DROP NOT NULL;
