"""Who is who: the key of each record, and one ``subject_id`` for each market subject (docs/decisions/0009)."""
