# The store under a disk that fails.
