"""Small pictures of pictures and documents, decoded in a process of their own that holds no secret and cannot take much."""
