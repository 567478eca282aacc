"""One noun a file, one public method a use case. Doors call these and nothing below."""
