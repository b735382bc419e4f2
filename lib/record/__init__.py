"""What a record is: the language of contracts, their files, and the rules of a field."""
