"""The door of download links: ``/s/TOKEN``, for anybody who has the token."""
