"""The demonstration: everything the project is for, once, with a real broker and the real job."""
