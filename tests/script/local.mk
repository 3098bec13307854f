# The whole broker in memory, driven by scripts of send and expect lines.

libleveret_tests_a_SOURCES += \
	%D%/runner.c \
	%D%/world.c \
	%D%/world.h

EXTRA_DIST += \
	%D%/exchange_declare.amqp \
	%D%/handshake.amqp \
	%D%/publish_consume.amqp
