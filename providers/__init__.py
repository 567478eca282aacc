"""The WebDAV door: the only importer of wsgidav."""
