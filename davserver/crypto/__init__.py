"""Sealing of content: segments, envelopes and the key ring. Bytes in, bytes out; randomness is injected."""
