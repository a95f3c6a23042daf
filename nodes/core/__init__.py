"""The pure core of a node: handle(now, event) -> effects."""
