"""Pure decisions on the group's offsets: who has committed them, and where a start resumes."""
