"""Where records come from. Each gives the columns of ``lib.codec.decode_spark.SOURCE_COLUMNS``."""
