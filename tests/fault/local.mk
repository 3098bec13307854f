# The store under a disk that fails, and against a model. Campaigns are programs that "make check" builds
# and a test, or a person with more time, runs.

check_LIBRARIES += libleveret_fault.a
libleveret_fault_a_SOURCES = \
	%D%/campaign.c \
	%D%/campaign.h
libleveret_fault_a_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/lib

check_PROGRAMS += \
	%D%/store_campaign
%C%_store_campaign_LDADD = libleveret_fault.a $(LDADD)
