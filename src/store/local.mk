# src/store: bytes that survive.

noinst_LIBRARIES += libleveret_store.a

libleveret_store_a_SOURCES = \
	%D%/disk.h \
	%D%/index.h \
	%D%/kv.h \
	%D%/message.h \
	%D%/store.h \
	%D%/worker.h
