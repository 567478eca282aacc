"""davserver: a multi-user, encrypted WebDAV file server."""
