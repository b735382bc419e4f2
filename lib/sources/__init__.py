"""Where records come from. Each source gives the columns of ``lib.decode_spark.SOURCE_COLUMNS``."""
