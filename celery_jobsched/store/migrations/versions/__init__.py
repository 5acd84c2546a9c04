"""One file a revision, and the SQL that it runs beside it."""
