"""One organisation's peer: core, sessions, transport, store, data, engine, people."""
