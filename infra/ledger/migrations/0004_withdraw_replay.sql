-- Deliveries that shall not count any more, those whose kept bytes are read again (docs/decisions/0018), and those with too many bad rows.

ALTER TABLE delivery DROP CONSTRAINT delivery_state_check;
ALTER TABLE delivery ADD CONSTRAINT delivery_state_check CHECK (state IN ('arrived', 'landed', 'refused', 'loaded', 'held', 'withdrawn'));
-- A withdrawn delivery may come back by the same door as a new one: bronze still holds its rows. A replay lands anew what was loaded.
INSERT INTO allowed_step VALUES
    ('delivery', 'landed', 'withdrawn'), ('delivery', 'loaded', 'withdrawn'), ('delivery', 'withdrawn', 'landed'), ('delivery', 'loaded', 'landed'),
    ('delivery', 'loaded', 'held'), ('delivery', 'held', 'withdrawn'), ('delivery', 'held', 'landed');

-- How often its bytes were read, and how often they shall have been.
ALTER TABLE delivery
    ADD COLUMN reading        int NOT NULL DEFAULT 1,
    ADD COLUMN reading_wanted int NOT NULL DEFAULT 1,
    ADD COLUMN budget_waived  boolean NOT NULL DEFAULT false,  -- somebody has looked at its bad rows and takes the rest
    ADD CHECK (reading_wanted >= reading);

-- What people decided about a delivery. Never shortened.
CREATE TABLE delivery_event (
    delivery_id text NOT NULL REFERENCES delivery,
    event       text NOT NULL CHECK (event IN ('withdrawn', 'reinstated', 'replay_asked', 'replayed', 'replay_refused', 'held', 'accepted')),
    reason      text NOT NULL,
    decided_by  text NOT NULL,
    happened_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Which reading of a delivery a run has taken; that it has taken the delivery out; that its findings are the run's own.
ALTER TABLE run_delivery
    ADD COLUMN reading   int     NOT NULL DEFAULT 1,
    ADD COLUMN withdrawn boolean NOT NULL DEFAULT false,
    ADD COLUMN refined   boolean NOT NULL DEFAULT true;
UPDATE run_delivery d SET refined = false
    WHERE NOT EXISTS (SELECT FROM run_finding f WHERE f.run_id = d.run_id AND f.delivery_id = d.delivery_id)
    AND EXISTS (SELECT FROM run_finding f WHERE f.run_id <> d.run_id AND f.delivery_id = d.delivery_id);

CREATE OR REPLACE FUNCTION release_accounts(identity text) RETURNS SETOF run_delivery LANGUAGE sql STABLE AS $$
    SELECT newest.* FROM (
        SELECT DISTINCT ON (d.delivery_id) d.* FROM run_delivery d JOIN release_chain(identity) c USING (run_id) ORDER BY d.delivery_id, c.depth
    ) newest WHERE NOT newest.withdrawn
$$;
-- What the rules found in each delivery that a release contains: the findings of the run that refined it last, also if there are none.
CREATE FUNCTION release_findings(identity text) RETURNS SETOF run_finding LANGUAGE sql STABLE AS $$
    SELECT f.* FROM run_finding f JOIN (
        SELECT DISTINCT ON (d.delivery_id) d.delivery_id, d.run_id, d.withdrawn FROM run_delivery d JOIN release_chain(identity) c USING (run_id)
        WHERE d.refined OR d.withdrawn ORDER BY d.delivery_id, c.depth
    ) newest ON f.run_id = newest.run_id AND f.delivery_id = newest.delivery_id WHERE NOT newest.withdrawn
$$;
