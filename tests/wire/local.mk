# The running daemon, byte by byte, over real sockets.

EXTRA_DIST += \
	%D%/amqp.py \
	%D%/badinput.py \
	%D%/daemon.py \
	%D%/errors.py \
	%D%/run \
	%D%/semantics.py \
	%D%/wire.py
