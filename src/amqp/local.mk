# src/amqp: bytes to values and back, without state.

noinst_LIBRARIES += libleveret_amqp.a

libleveret_amqp_a_SOURCES = \
	%D%/frame.h \
	%D%/method.h \
	%D%/methods.def \
	%D%/properties.def \
	%D%/properties.h \
	%D%/reply.def \
	%D%/reply.h \
	%D%/table.h \
	%D%/text.h \
	%D%/wire.h
