"""Records as lines of a file that grows, of a pipe, or of standard input."""
