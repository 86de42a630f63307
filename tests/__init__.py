"""The tests; a package, so that none of that name elsewhere, such as IPython 7 brings, is taken for it."""
