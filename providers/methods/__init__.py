"""What each method does: a `DavRequest` in, an `Answer` out, or an error of `davserver.domain.errors` raised."""
