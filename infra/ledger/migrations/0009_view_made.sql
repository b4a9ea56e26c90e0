-- Readers' views that stand, comments and all, and a digest of what each was made of: what has not changed is not made again.
CREATE TABLE view_made (view_name text PRIMARY KEY, definition text NOT NULL);
