"""Strangers' text, such as file names and labels, made harmless before it is shown."""

from collections.abc import Mapping

from engine.class_names import JOINERS


def inert(text: str, longest: int = 60) -> str:
    """A stranger's text on one line, without control characters or marks that turn the writing direction, shortened."""
    plain = "".join(c if c.isprintable() or c in JOINERS else " " for c in text).strip() or "(no name)"
    return plain if len(plain) <= longest else f"{plain[: longest // 2]} … {plain[-longest // 2 :]}"


def capitalised(text: str) -> str:
    """With a capital first letter, the others as they are."""
    return text[:1].upper() + text[1:]


def literal(text: str) -> str:
    """Text as Markdown that shows just that text."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>()#+-.!|~$:&" else c for c in text)


def listed(options: Mapping[str, str]) -> str:
    """Names and what each means, as a list in Markdown."""
    return "\n".join(f"- **{name}**: {text}" for name, text in options.items())
