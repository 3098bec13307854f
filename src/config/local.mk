# src/config: the settings of a program, from files, the environment and the command line.

noinst_LIBRARIES += libleveret_config.a

libleveret_config_a_SOURCES = \
	%D%/config.c \
	%D%/config.h \
	%D%/files.c \
	%D%/grammar.c \
	%D%/grammar.h

EXTRA_DIST += \
	%D%/README.md
