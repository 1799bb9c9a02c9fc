"""One model of the findings, written as HTML, XLSX, CSV and JSON."""
