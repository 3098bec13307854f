# The daemon: its main file, and beside it a library of what only the main file uses, which tests can
# use as well.

noinst_LIBRARIES += libleveret_main.a

libleveret_main_a_SOURCES = \
	%D%/backup.c \
	%D%/backup.h \
	%D%/bind.c \
	%D%/bind.h \
	%D%/check_config.c \
	%D%/check_config.h \
	%D%/check_store.c \
	%D%/check_store.h \
	%D%/control.c \
	%D%/copy.c \
	%D%/copy.h \
	%D%/daemon.h \
	%D%/default_kinds.c \
	%D%/definitions_file.c \
	%D%/definitions_file.h \
	%D%/dump_store.c \
	%D%/dump_store.h \
	%D%/folder.c \
	%D%/folder.h \
	%D%/image_folder.c \
	%D%/image_folder.h \
	%D%/instead.c \
	%D%/instead.h \
	%D%/listen_kinds.c \
	%D%/log_exchange.c \
	%D%/log_exchange.h \
	%D%/log_kinds.c \
	%D%/login_kinds.c \
	%D%/machine.c \
	%D%/machine.h \
	%D%/manager.c \
	%D%/manager.h \
	%D%/membership.h \
	%D%/option_kinds.c \
	%D%/option_kinds.h \
	%D%/options.c \
	%D%/options.h \
	%D%/options_rabbitmq.c \
	%D%/options_rabbitmq.h \
	%D%/options_table.c \
	%D%/reload.c \
	%D%/reload.h \
	%D%/remarks.c \
	%D%/remarks.h \
	%D%/restore.c \
	%D%/restore.h \
	%D%/salvage.c \
	%D%/salvage.h \
	%D%/size_kinds.c \
	%D%/surroundings.c \
	%D%/surroundings.h \
	%D%/tls_settings.c \
	%D%/tls_settings.h

if HAVE_RAFT
libleveret_main_a_SOURCES += %D%/image.c %D%/image.h %D%/members.c %D%/members.h %D%/membership.c %D%/seats.c %D%/seats.h
else
libleveret_main_a_SOURCES += %D%/membership_none.c
endif

sbin_PROGRAMS += leveretd

leveretd_SOURCES = %D%/leveretd.c
leveretd_LDADD = $(LEVERET_LIBS)
