"""Parts of the daemon's side of the database, one for each table or concern; each method runs within the caller's transaction."""
