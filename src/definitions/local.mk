# src/definitions: all objects of a broker as a file of JSON.

noinst_LIBRARIES += libleveret_definitions.a

libleveret_definitions_a_SOURCES = \
	%D%/definitions.h \
	%D%/export.c \
	%D%/import.c \
	%D%/import.h \
	%D%/import_access.c \
	%D%/import_policy.c \
	%D%/import_text.c \
	%D%/import_topology.c \
	%D%/json.c \
	%D%/json.h \
	%D%/json_scan.c \
	%D%/json_scan.h \
	%D%/json_table.c \
	%D%/json_table.h \
	%D%/json_writer.c \
	%D%/json_writer.h

EXTRA_DIST += \
	%D%/README.md
