-- What people want changed in the declarations, and what somebody else has decided (docs/decisions/0044). Neither is ever changed.
CREATE TABLE amendment_proposal (
    proposal_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind        text NOT NULL CHECK (kind IN ('field', 'table', 'rule', 'value')),
    target      text NOT NULL,
    edits       jsonb NOT NULL CHECK (jsonb_typeof(edits) = 'array' AND jsonb_array_length(edits) > 0),  -- attribute, old, new
    reason      text NOT NULL CHECK (reason <> ''),
    who         text NOT NULL,
    proposed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE amendment_decision (
    decision_number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,  -- amendments are put upon each other in this order
    proposal_id     bigint NOT NULL UNIQUE REFERENCES amendment_proposal,
    decision        text NOT NULL CHECK (decision IN ('approved', 'rejected', 'withdrawn')),
    note            text CHECK (decision <> 'rejected' OR note <> ''),
    who             text NOT NULL,
    decided_at      timestamptz NOT NULL DEFAULT clock_timestamp()
);
-- The second person is asked for here, whatever program writes.
CREATE FUNCTION refuse_own_decision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.who = (SELECT who FROM amendment_proposal WHERE proposal_id = NEW.proposal_id)) <> (NEW.decision = 'withdrawn') THEN
        RAISE EXCEPTION 'proposal %: somebody else approves or rejects it, and only who made it withdraws it', NEW.proposal_id;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER amendment_second_person BEFORE INSERT ON amendment_decision FOR EACH ROW EXECUTE FUNCTION refuse_own_decision();
CREATE TRIGGER amendment_proposal_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON amendment_proposal
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER amendment_decision_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON amendment_decision
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
