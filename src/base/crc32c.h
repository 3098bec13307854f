/* CRC-32C (Castagnoli), as iSCSI and ext4 use it. */
#ifndef LEVERET_BASE_CRC32C_H
#define LEVERET_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continues `crc` (0 to begin with) over `size` bytes. crc32c(crc32c(0, a), b) is the checksum of
 * a followed by b. */
uint32_t crc32c(uint32_t crc, const void *data, size_t size);
/* The portable version, whatever the machine can do; for tests. */
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t size);

#endif
