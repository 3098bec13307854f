# The running daemon, byte by byte, over real sockets.

EXTRA_DIST += \
	%D%/amqp.py \
	%D%/badinput.py \
	%D%/errors.py \
	%D%/run \
	%D%/semantics.py \
	%D%/wire.py

# Starts its own daemons, and needs no other.
dist_check_SCRIPTS += %D%/daemon.py
TESTS += %D%/daemon.py
