-- What projections that are kept by day hold of each day: a run writes the days that have changed.
CREATE TABLE projected_day (
    table_name text NOT NULL,
    day        date NOT NULL,
    digest     text NOT NULL,
    PRIMARY KEY (table_name, day)
);
