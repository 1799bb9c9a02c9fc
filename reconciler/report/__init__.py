"""One model of the findings, written as HTML, XLSX, CSV and JSON."""

from reconciler.report.model import ReportModel, build
from reconciler.report.writing import Format, write

__all__ = ["Format", "ReportModel", "build", "write"]
