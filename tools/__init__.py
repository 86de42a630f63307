"""What the targets of the Makefile run: executing chapters, measuring bands, setting the repository address."""
