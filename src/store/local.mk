# src/store: bytes that survive.

noinst_LIBRARIES += libleveret_store.a

libleveret_store_a_SOURCES = \
	%D%/anchor.c \
	%D%/apply.c \
	%D%/backup.c \
	%D%/batch.c \
	%D%/check.c \
	%D%/checkpoint.c \
	%D%/chunk.c \
	%D%/chunk.h \
	%D%/compact.c \
	%D%/copy.c \
	%D%/counts.c \
	%D%/counts.h \
	%D%/disk.h \
	%D%/files.c \
	%D%/files.h \
	%D%/sift.c \
	%D%/space.c \
	%D%/disk_posix.c \
	%D%/group_log.c \
	%D%/group_log.h \
	%D%/identity.c \
	%D%/image.c \
	%D%/index.c \
	%D%/index.h \
	%D%/index_internal.h \
	%D%/index_look.c \
	%D%/index_purge.c \
	%D%/index_replay.c \
	%D%/internal.h \
	%D%/journal.c \
	%D%/journal.h \
	%D%/kv.c \
	%D%/kv.h \
	%D%/kv_leveldb.c \
	%D%/mend.c \
	%D%/memory.c \
	%D%/message.c \
	%D%/message.h \
	%D%/names.c \
	%D%/proposal.c \
	%D%/outage.c \
	%D%/outage.h \
	%D%/reader.c \
	%D%/record.c \
	%D%/record.h \
	%D%/release.c \
	%D%/returns.c \
	%D%/returns.h \
	%D%/replay.c \
	%D%/salvage.c \
	%D%/segment.c \
	%D%/spill.c \
	%D%/store.c \
	%D%/store.h \
	%D%/store_open.c \
	%D%/unwritten.c

EXTRA_DIST += %D%/README.md
