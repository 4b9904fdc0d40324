"""How OpenVZ is spoken to: words (argv), meaning (exit codes and texts), one dialect a file."""
