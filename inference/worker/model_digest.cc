#include "inference/worker/model_digest.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>

#include "services/common/digest.h"
#include "services/common/ids.h"

namespace allod::inference::worker {

Status CheckDigest(int fd, const std::string& sha256) {
  ALLOD_CHECK_OK(CheckSha256("sha256", sha256));
  const auto found = Sha256HexOfFile(fd);
  if (!found) {
    return Fail(Code::kDataLoss, "READ_FAILED",
                fmt::format("artifact {} cannot be read to its end: {}", sha256, std::strerror(errno)));
  }
  if (*found == sha256) return {};
  return InvalidArgument("DIGEST_MISMATCH",
                         fmt::format("artifact {} has the digest {}: it was changed or damaged", sha256, *found));
}

}  // namespace allod::inference::worker
