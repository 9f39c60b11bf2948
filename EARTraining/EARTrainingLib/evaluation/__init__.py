"""How good are models? Rows per vertebra, tables with intervals over patients, and figures, on a prepared data set."""
