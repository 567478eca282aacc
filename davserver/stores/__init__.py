"""Where sealed blobs lie. A store knows keys and bytes and nothing of what they mean."""
