-- Where a delivery's records lie, below the landing folder: an instance may be restored to another place.
UPDATE delivery SET landed_path = regexp_replace(landed_path, '^/.*/landing/(records/)', '\1') WHERE landed_path LIKE '/%';
