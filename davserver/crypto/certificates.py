"""What a TLS certificate says of itself."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509


@dataclass(frozen=True, slots=True)
class Certificate:
    """The first certificate of a PEM file: the server's own."""

    begins: datetime
    """Aware, as is `ends`."""
    ends: datetime
    names: tuple[str, ...]
    """Host names and addresses that it is for."""


def read_certificate(path: Path) -> Certificate:
    """Raises OSError, or ValueError when the file holds no certificate."""
    found = x509.load_pem_x509_certificate(path.read_bytes())
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        names = x509.SubjectAlternativeName([])
    dns = names.get_values_for_type(x509.DNSName)
    addresses = map(str, names.get_values_for_type(x509.IPAddress))
    return Certificate(found.not_valid_before_utc, found.not_valid_after_utc, (*dns, *addresses))
