"""Errors of the S3 client, in the words of the domain."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from xml.etree.ElementTree import ParseError

from minio.error import MinioException, S3Error, ServerError
from urllib3.exceptions import HTTPError

from davserver.domain.errors import BlobMissing, ContentDamaged, DavserverError, StoreFull, StoreUnavailable

_MISSING = {"NoSuchKey", "NoSuchObject"}
_FULL = {"XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "InsufficientStorage", "QuotaExceeded", "StorageFull"}


@contextmanager
def translated() -> Iterator[None]:
    """Never put around code that is not the client's: whatever it raises would be blamed on the store."""
    try:
        yield
    except S3Error as error:
        raise _meaning(error) from error
    except ServerError as error:
        full = error.status_code == HTTPStatus.INSUFFICIENT_STORAGE
        raise (StoreFull if full else StoreUnavailable) from error
    except (MinioException, HTTPError, ParseError, OSError) as error:
        raise StoreUnavailable from error


@contextmanager
def already_gone() -> Iterator[None]:
    """Passes over the answer that a multipart upload does not exist. Stands inside of `translated`."""
    try:
        yield
    except S3Error as error:
        if error.code != "NoSuchUpload":
            raise


def _meaning(error: S3Error) -> type[DavserverError]:
    if error.code in _MISSING:
        return BlobMissing
    if error.code == "InvalidRange":
        return ContentDamaged
    if error.code in _FULL or error.response.status == HTTPStatus.INSUFFICIENT_STORAGE:
        return StoreFull
    return StoreUnavailable
