"""From files to bronze: land (bytes, identity, strict decoding), then load (one Spark pass for all that waits)."""
