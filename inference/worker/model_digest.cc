#include "inference/worker/model_file.h"

#include <fmt/format.h>

#include <chrono>
#include <fstream>
#include <vector>

#include "inference/gguf/validate.h"
#include "services/common/digest.h"
#include "services/common/ids.h"
#include "services/common/log.h"

namespace allod::inference::worker {
namespace {

std::string SecondsSince(std::chrono::steady_clock::time_point start) {
  return fmt::format("{:.3f}", std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
}

}  // namespace

Status CheckDigest(const std::filesystem::path& path, const std::string& sha256) {
  ALLOD_CHECK_OK(CheckSha256("sha256", sha256));
  const auto start = std::chrono::steady_clock::now();
  std::ifstream file(path, std::ios::binary);
  if (!file) return NotFound(fmt::format("{} cannot be opened", path.string()));
  Sha256 digest;
  std::vector<char> buffer(1 << 20);
  while (file) {
    file.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    digest.Update(buffer.data(), static_cast<std::size_t>(file.gcount()));
  }
  if (file.bad())
    return Fail(Code::kDataLoss, "READ_FAILED", fmt::format("{} cannot be read to its end", path.string()));
  const std::string found = digest.FinishHex();
  if (found != sha256) {
    return InvalidArgument("DIGEST_MISMATCH", fmt::format("{} has the digest {}, not {}: it was changed or damaged",
                                                          path.string(), found, sha256));
  }
  Log(LogLevel::kInfo, "digest checked", {{"seconds", SecondsSince(start)}});
  return {};
}

Result<LlamaModelPtr> LoadChecked(const std::filesystem::path& path) {
  ALLOD_TRY(const gguf::GgufSummary summary, gguf::ValidateGguf(path));
  const auto start = std::chrono::steady_clock::now();
  ALLOD_TRY(LlamaModelPtr model, LoadModel(path));
  Log(LogLevel::kInfo, "model loaded",
      {{"architecture", summary.architecture},
       {"parameters", std::to_string(summary.parameter_count)},
       {"file_bytes", std::to_string(summary.file_bytes)},
       {"seconds", SecondsSince(start)}});
  return model;
}

}  // namespace allod::inference::worker
