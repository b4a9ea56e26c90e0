-- The truth about deliveries, runs, write epochs and releases (docs/decisions/0007).

CREATE TABLE delivery (
    delivery_id text PRIMARY KEY,
    feed        text NOT NULL,
    sha256      text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    bytes       bigint NOT NULL,
    file_name   text NOT NULL,
    department  text NOT NULL,
    state       text NOT NULL DEFAULT 'arrived' CHECK (state IN ('arrived', 'landed', 'refused', 'loaded')),
    reason      text,
    landed_path text,
    row_count   bigint,
    arrived_at  timestamptz NOT NULL DEFAULT date_trunc('milliseconds', clock_timestamp()),
    loaded_at   timestamptz,
    UNIQUE (feed, sha256)
);

-- Each time a content was sent: the same bytes are one delivery, however often and under whatever name they come.
CREATE TABLE sighting (
    delivery_id text NOT NULL REFERENCES delivery,
    file_name   text NOT NULL,
    seen_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    outcome     text NOT NULL CHECK (outcome IN ('first', 'duplicate'))
);

CREATE TABLE run (
    run_id            text PRIMARY KEY,
    state             text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'built', 'gated', 'released', 'abandoned')),
    parent_release_id text,
    opened_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    closed_at         timestamptz,
    reason            text
);

-- At most one run is under way.
CREATE UNIQUE INDEX one_live_run ON run ((true)) WHERE state NOT IN ('released', 'abandoned');

CREATE TABLE candidate (
    run_id     text NOT NULL REFERENCES run,
    table_name text NOT NULL,
    version    bigint NOT NULL,
    row_count  bigint NOT NULL,
    PRIMARY KEY (run_id, table_name)
);

CREATE SEQUENCE epoch_number;
CREATE TABLE epoch (
    epoch      bigint PRIMARY KEY DEFAULT nextval('epoch_number'),
    run_id     text NOT NULL REFERENCES run,
    table_name text NOT NULL,
    step       text NOT NULL,
    taken_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE SEQUENCE release_number;
CREATE TABLE release (
    release_id        text PRIMARY KEY DEFAULT 'R' || lpad(nextval('release_number')::text, 8, '0'),
    run_id            text NOT NULL REFERENCES run,
    parent_release_id text REFERENCES release,
    published_at      timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE release_table (
    release_id text NOT NULL REFERENCES release,
    table_name text NOT NULL,
    version    bigint NOT NULL,
    row_count  bigint NOT NULL,
    PRIMARY KEY (release_id, table_name)
);

-- The state machines, enforced here so that no program can take a step that does not exist.
CREATE TABLE allowed_step (what text, before text, after text, PRIMARY KEY (what, before, after));
INSERT INTO allowed_step VALUES
    ('delivery', 'arrived', 'landed'), ('delivery', 'arrived', 'refused'), ('delivery', 'landed', 'refused'), ('delivery', 'landed', 'loaded'),
    ('run', 'open', 'built'), ('run', 'built', 'gated'), ('run', 'gated', 'released'),
    ('run', 'open', 'abandoned'), ('run', 'built', 'abandoned'), ('run', 'gated', 'abandoned');

CREATE FUNCTION check_step() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state <> OLD.state AND NOT EXISTS (
        SELECT FROM allowed_step WHERE what = TG_TABLE_NAME AND before = OLD.state AND after = NEW.state
    ) THEN
        RAISE EXCEPTION '% can''t go from % to %', TG_TABLE_NAME, OLD.state, NEW.state;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER delivery_step BEFORE UPDATE ON delivery FOR EACH ROW EXECUTE FUNCTION check_step();
CREATE TRIGGER run_step BEFORE UPDATE ON run FOR EACH ROW EXECUTE FUNCTION check_step();
