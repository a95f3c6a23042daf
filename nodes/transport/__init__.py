"""Links to the other members: TLS, frames, reliable mail. The specification is `wire.md`."""
