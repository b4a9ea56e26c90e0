-- What people do about problems of quality (docs/decisions/0041): events, each said once and never changed. What state an item is in
-- follows from them, from the problems themselves and from the day.
CREATE TABLE rectification_event (
    event_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- The item: a kind of problem of a feed, of one department.
    feed         text NOT NULL,
    department   text NOT NULL,
    scope        text NOT NULL CHECK (scope IN ('rule', 'refused', 'held', 'missing', 'unsent')),
    rule         text NOT NULL,
    kind         text NOT NULL CHECK (kind IN ('assigned', 'exported', 'exempted', 'lifted', 'disputed', 'upheld', 'dismissed', 'noted')),
    who          text NOT NULL,
    happened_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    owner        text,    -- assigned: to whom
    until        date,    -- assigned: the deadline; exempted: the last day
    record       text,    -- disputed, upheld, dismissed: which record
    note         text,    -- reason, evidence
    records      bigint,  -- exported: how many
    place        text,    -- exported: the workbook's name
    sha256       text,    -- exported: of the workbook
    CHECK (kind <> 'assigned' OR (owner IS NOT NULL AND until IS NOT NULL)),
    CHECK (kind <> 'exempted' OR (until IS NOT NULL AND note IS NOT NULL)),
    CHECK (kind NOT IN ('disputed', 'upheld', 'dismissed') OR (record IS NOT NULL AND note IS NOT NULL)),
    CHECK (kind <> 'exported' OR (records IS NOT NULL AND place IS NOT NULL AND sha256 IS NOT NULL)),
    CHECK (kind NOT IN ('lifted', 'noted') OR note IS NOT NULL)
);
CREATE INDEX ON rectification_event (feed, department, scope, rule);
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is only added to', TG_TABLE_NAME;
END $$;
CREATE TRIGGER rectification_event_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON rectification_event
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What a projection that is kept by parts holds of each: only parts that have changed are written.
CREATE TABLE projected_part (
    table_name text NOT NULL,
    part       text NOT NULL,
    digest     text NOT NULL,
    PRIMARY KEY (table_name, part)
);
