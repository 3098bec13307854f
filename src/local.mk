# The programs.

sbin_PROGRAMS += leveretd

leveretd_SOURCES = \
	%D%/check.c \
	%D%/check.h \
	%D%/folder.c \
	%D%/folder.h \
	%D%/leveretd.c \
	%D%/machine.c \
	%D%/machine.h \
	%D%/options.c \
	%D%/options.h
leveretd_LDADD = $(LEVERET_LIBS)
