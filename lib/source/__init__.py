"""The sources of records, which give the columns ``lib.decode.engines.spark.SOURCE_COLUMNS``."""
