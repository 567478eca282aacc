"""Background work: a job is a row; the bell says look."""
