"""The sources of records, which give the columns ``lib.messages.columns.SOURCE_COLUMNS``."""
