"""The background door: Celery workers, when Redis is there. The only importer of celery."""
