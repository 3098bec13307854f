# The store under a disk that fails.

libleveret_tests_a_SOURCES += \
	%D%/campaign.c \
	%D%/campaign.h \
	%D%/store_campaign.c
