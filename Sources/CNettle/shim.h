// Nettle's SHA-256. In Swift its functions go by their full names: `nettle_sha256_update`.
#include <nettle/sha2.h>
