// Whether a model's file is the one that was meant.
#pragma once

#include <string>

#include "services/common/result.h"

namespace allod::inference::worker {

// Reads the whole file once, from its beginning; the descriptor's position does not count and is not moved.
// INVALID_ARGUMENT / INVALID_DIGEST, DIGEST_MISMATCH; DATA_LOSS / READ_FAILED.
Status CheckDigest(int fd, const std::string& sha256);

}  // namespace allod::inference::worker
