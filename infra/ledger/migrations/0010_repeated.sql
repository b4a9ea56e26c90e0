-- Rows that repeat another one of the same delivery: a record that stands in a file twice is one record of the source.
ALTER TABLE run_delivery ADD COLUMN repeated bigint NOT NULL DEFAULT 0;
