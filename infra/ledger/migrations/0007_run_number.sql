-- A run's number stands in the rows that it writes, so that what it has changed is found without a look at the rest (docs/decisions/0024).
ALTER TABLE run ADD COLUMN number bigint NOT NULL DEFAULT nextval('epoch_number');
