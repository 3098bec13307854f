# src/broker: what is brokered, as plain data.

noinst_LIBRARIES += libleveret_broker.a

libleveret_broker_a_SOURCES = \
	%D%/broker.h \
	%D%/catalogue.c \
	%D%/catalogue.h \
	%D%/error.c \
	%D%/error.h \
	%D%/exchange.h \
	%D%/model.h \
	%D%/publish.h \
	%D%/queue.h \
	%D%/user.h \
	%D%/vhost.h
