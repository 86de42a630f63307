"""What holds the book together: profile and seed, bands, records, the doctor. Nothing here is taught."""
