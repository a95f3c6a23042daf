"""p2pmpc: a peer-to-peer network for secure joint statistics."""

__version__ = "0.1.0"
