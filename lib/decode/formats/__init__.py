"""The formats of a record: how its bytes become a row of values."""
