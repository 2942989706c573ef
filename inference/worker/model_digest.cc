#include "inference/worker/model_digest.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "services/common/digest.h"
#include "services/common/ids.h"

namespace allod::inference::worker {

Status CheckDigest(int fd, const std::string& sha256) {
  ALLOD_CHECK_OK(CheckSha256("sha256", sha256));
  Sha256 digest;
  std::vector<char> buffer(1 << 20);
  off_t at = 0;
  while (true) {
    const ssize_t bytes = pread(fd, buffer.data(), buffer.size(), at);
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0) {
      return Fail(Code::kDataLoss, "READ_FAILED",
                  fmt::format("artifact {} cannot be read to its end: {}", sha256, std::strerror(errno)));
    }
    if (bytes == 0) break;
    digest.Update(buffer.data(), static_cast<std::size_t>(bytes));
    at += bytes;
  }
  const std::string found = digest.FinishHex();
  if (found == sha256) return {};
  return InvalidArgument("DIGEST_MISMATCH",
                         fmt::format("artifact {} has the digest {}: it was changed or damaged", sha256, found));
}

}  // namespace allod::inference::worker
