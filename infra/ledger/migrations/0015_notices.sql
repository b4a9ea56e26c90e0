-- What people are told of by mail (docs/decisions/0048): a row for each thing and each group that is to know it, from the first time that it was
-- noticed. What a notice says is worked out anew each time; here stands only whether the group has it.
CREATE TABLE notice (
    key        text NOT NULL,  -- what it is about and at which step; the same for ever, and without anybody's name
    recipient  text NOT NULL,  -- a department, operators or stewards
    noticed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    sent_at    timestamptz,    -- when the server had taken the mail
    tries      int NOT NULL DEFAULT 0 CHECK (tries >= 0),
    last_error text,           -- what the server said last, without addresses
    PRIMARY KEY (key, recipient),
    CHECK (sent_at IS NULL OR tries > 0)
);
-- What was sent stays sent: nobody is told twice because a program has forgotten.
CREATE FUNCTION refuse_unsending() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.sent_at IS NOT NULL AND NEW.sent_at IS DISTINCT FROM OLD.sent_at THEN
        RAISE EXCEPTION 'notice % to % was sent at %', OLD.key, OLD.recipient, OLD.sent_at;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER notice_stays_sent BEFORE UPDATE ON notice FOR EACH ROW EXECUTE FUNCTION refuse_unsending();
