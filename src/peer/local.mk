# src/peer: a conversation with anybody, in any protocol.

noinst_LIBRARIES += libleveret_peer.a

libleveret_peer_a_SOURCES = \
	%D%/conversation.h \
	%D%/outcall.h \
	%D%/output.c \
	%D%/output.h \
	%D%/relayed.h \
	%D%/service.h

EXTRA_DIST += \
	%D%/README.md
