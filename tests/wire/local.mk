# The running daemon, byte by byte, over real sockets.

EXTRA_DIST += \
	%D%/amqp.py \
	%D%/badinput.py \
	%D%/errors.py \
	%D%/run \
	%D%/semantics.py \
	%D%/service.py \
	%D%/wire.py

# These start daemons of their own.
dist_check_SCRIPTS += \
	%D%/daemon.py \
	%D%/durable.py \
	%D%/tls.py
TESTS += \
	%D%/daemon.py \
	%D%/durable.py \
	%D%/tls.py
