"""Keys of Google's `tink` package with a data key and a segment size of our choice."""

import io
from typing import Any

import tink
from tink import secret_key_access, streaming_aead
from tink.proto import aes_gcm_hkdf_streaming_pb2 as _streaming_pb2
from tink.proto import common_pb2 as _common_pb2
from tink.proto import tink_pb2 as _tink_pb2

# These modules make their classes when they are loaded: a type checker cannot see them.
aes_gcm_hkdf_streaming_pb2: Any = _streaming_pb2
common_pb2: Any = _common_pb2
tink_pb2: Any = _tink_pb2

streaming_aead.register()


class _KeptOpen(io.BytesIO):
    def close(self) -> None:
        """Tink closes what it wrote to; the bytes are wanted afterwards."""


class TinkStream:
    """AES256-GCM-HKDF streaming AEAD (SHA-256, output prefix RAW) as Tink itself implements it."""

    def __init__(self, data_key: bytes, segment_size: int) -> None:
        key = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingKey(
            version=0,
            key_value=data_key,
            params=aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingParams(
                ciphertext_segment_size=segment_size, derived_key_size=32, hkdf_hash_type=common_pb2.SHA256
            ),
        )
        keyset = tink_pb2.Keyset(primary_key_id=1)
        keyset.key.add(
            key_data=tink_pb2.KeyData(
                type_url="type.googleapis.com/google.crypto.tink.AesGcmHkdfStreamingKey",
                value=key.SerializeToString(),
                key_material_type=tink_pb2.KeyData.SYMMETRIC,
            ),
            status=tink_pb2.ENABLED,
            key_id=1,
            output_prefix_type=tink_pb2.RAW,
        )
        handle: Any = tink.proto_keyset_format.parse(keyset.SerializeToString(), secret_key_access.TOKEN)
        self._primitive = handle.primitive(streaming_aead.StreamingAead)

    def seal(self, plain: bytes, associated_data: bytes) -> bytes:
        """The whole sealed stream."""
        out = _KeptOpen()
        with self._primitive.new_encrypting_stream(out, associated_data) as stream:
            stream.write(plain)
        return out.getvalue()

    def open(self, sealed: bytes, associated_data: bytes) -> bytes:
        """The whole plaintext. Raises tink.TinkError."""
        with self._primitive.new_decrypting_stream(io.BytesIO(sealed), associated_data) as stream:
            plain: bytes = stream.read()
        return plain
