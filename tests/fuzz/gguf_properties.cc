#include "tests/fuzz/gguf_properties.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "inference/gguf/rewrite.h"

namespace allod::test {
namespace {

namespace gguf = inference::gguf;

// Small enough that a fuzzer's inputs reach them.
constexpr gguf::Limits kLimits{.header_bytes_max = 1 << 20, .keys_max = 64, .tensors_max = 64};

class MemoryFile {
 public:
  MemoryFile() : fd_(memfd_create("fuzz", MFD_CLOEXEC)) {}
  ~MemoryFile() { close(fd_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  int fd() const { return fd_; }
  std::string Read() const {
    std::string bytes(static_cast<std::size_t>(lseek(fd_, 0, SEEK_END)), '\0');
    if (pread(fd_, bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) bytes.clear();
    return bytes;
  }

 private:
  int fd_;
};

bool IsRefusal(const Error& error) { return error.reason.starts_with("GGUF_") && !error.message.empty(); }

}  // namespace

std::string CheckGgufProperties(std::span<const std::byte> bytes) {
  const auto summary = gguf::ValidateGguf(bytes, kLimits);
  if (!summary && !IsRefusal(summary.error())) return "the validator refuses without a reason of its own";
  if (summary && summary->tensor_count > 0 && summary->data_offset + summary->data_bytes > bytes.size()) {
    return "tensors lie outside of the file";
  }
  const auto source = gguf::MemorySource(bytes);
  const auto plan = gguf::CanonicalPlan::Make(*source, kLimits);
  if (!plan) return IsRefusal(plan.error()) ? "" : "the rewriter refuses without a reason of its own";
  if (!summary) return "the rewriter accepts what the validator refuses";

  const MemoryFile file;
  if (!plan->Write(*source, file.fd())) return "the canonical form cannot be written";
  const std::string canonical = file.Read();
  if (canonical.size() != plan->bytes()) return "the canonical form has another size than planned";
  const auto again_source = gguf::MemorySource(std::as_bytes(std::span(canonical)));
  const auto again = gguf::CanonicalPlan::Make(*again_source, kLimits);
  if (!again) return "the canonical form is refused: " + again.error().message;
  if (again->Matches(*again_source) != true) return "the canonical form is not canonical";
  const bool same = std::ranges::equal(bytes, std::as_bytes(std::span(canonical)));
  const auto matches = plan->Matches(*source);
  if (!matches) return "matching fails";
  if (same && !*matches) return "a canonical file is not recognised";
  // Tensor data is not compared, so equality is implied only for the header and the sizes.
  if (*matches && canonical.size() != bytes.size()) return "a file that is not canonical is taken for one";
  return "";
}

}  // namespace allod::test
