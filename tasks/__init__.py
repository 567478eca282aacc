"""The background door: the only importer of celery."""
