"""Where records come from; each gives ``lib.decode.engines.spark.SOURCE_COLUMNS``."""
