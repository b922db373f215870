"""Text for terminals: paragraphs, tables, templates."""

from .layout import indent, table, wrap
from .templates import TemplateError, fill

__all__ = ["TemplateError", "fill", "indent", "table", "wrap"]
