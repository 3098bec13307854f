# One test program for each noun: test_<noun>.t is built from test_<noun>.c.
