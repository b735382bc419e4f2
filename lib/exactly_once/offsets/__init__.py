"""Pure decisions on the group's offsets: whose they are, and where a start goes on."""
