"""The page of an error code, shipped with the package: what it means, why, what to do."""

from __future__ import annotations

from importlib import resources

from p2pmpc.errors import NotFound, error_tree

__all__ = ["codes", "page"]


def codes() -> tuple[int, ...]:
    """Every error code, rising."""
    return tuple(error_tree())


def page(code: int | str) -> str:
    """The page of an error code, as Markdown. Raises NotFound for a code that does not exist."""
    text = str(code).strip()
    if text not in {str(known) for known in codes()}:
        raise NotFound(
            f"there is no error code {text[:20]!r}",
            next=f"Codes: {', '.join(map(str, codes()))}.",
        )
    return resources.files("p2pmpc").joinpath("pages", f"{text}.md").read_text(encoding="utf-8")
