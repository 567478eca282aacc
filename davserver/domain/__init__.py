"""Values and rules of the drive: standard library only, no input or output."""
