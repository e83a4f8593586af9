"""The report: one HTML file that explains a comparison to a reader without Python."""
