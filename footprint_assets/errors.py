"""The base of every error this project raises about its data: what is wrong, where, and what mends it.

Rooms define their own subclasses beside the code that raises them. No message carries a secret or file content.
"""

from __future__ import annotations


class FootprintError(Exception):
    """An error a person can act on.

    Args:
        message: What is wrong, in one sentence.
        where: Facts that locate it, such as ``file``, ``offset``, ``row``, ``rule``, ``table``, ``dt``, ``symbol``.
        remedy: The command or change that mends it.
    """

    def __init__(
        self, message: str, *, where: dict[str, object] | None = None, remedy: str | None = None
    ) -> None:
        self.message = message
        self.where = dict(where or {})
        self.remedy = remedy
        super().__init__(message)

    def __str__(self) -> str:
        facts = ", ".join(f"{name}={value}" for name, value in self.where.items() if value is not None)
        text = f"{self.message} [{facts}]" if facts else self.message
        return f"{text} Remedy: {self.remedy}" if self.remedy else text


class ExtraMissing(FootprintError):  # noqa: N818 - names the fact a reader meets
    """Something needs a package that is not installed; it comes with an extra."""
