"""The small package that the chapters share; each module says what it holds."""
