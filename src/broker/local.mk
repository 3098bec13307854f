# src/broker: what is brokered, as plain data.

noinst_LIBRARIES += libleveret_broker.a

libleveret_broker_a_SOURCES = \
	%D%/broker.h \
	%D%/error.h \
	%D%/exchange.h \
	%D%/publish.h \
	%D%/queue.h \
	%D%/user.h \
	%D%/vhost.h
