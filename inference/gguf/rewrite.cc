#include "inference/gguf/rewrite.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string_view>

#include "inference/gguf/keys.h"
#include "inference/gguf/types.h"

namespace allod::inference::gguf {
namespace {

constexpr std::uint64_t kPieceBytes = 1 << 20;
constexpr std::uint32_t kVersion = 3;

std::unexpected<Error> WriteFailed(const std::string& what) {
  if (errno == ENOSPC || errno == EDQUOT) {
    return Fail(Code::kResourceExhausted, "DISK_FULL",
                fmt::format("{}: there is no room for it; free space and try again", what));
  }
  return Fail(Code::kInternal, "WRITE_FAILED", fmt::format("{}: {}", what, std::strerror(errno)));
}

template <typename T>
void Put(std::string& out, T value) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out.append(bytes, sizeof(T));
}

void PutString(std::string& out, std::string_view text) {
  Put<std::uint64_t>(out, text.size());
  out.append(text);
}

std::uint64_t Padding(std::uint64_t bytes) {
  return (kCanonicalAlignment - bytes % kCanonicalAlignment) % kCanonicalAlignment;
}

// Digits compare as numbers, so that layer 2 comes before layer 10. Zeros in front decide last.
bool ComesBefore(std::string_view a, std::string_view b) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < a.size() && j < b.size()) {
    if (!is_digit(a[i]) || !is_digit(b[j])) {
      if (a[i] != b[j]) return a[i] < b[j];
      ++i, ++j;
      continue;
    }
    const auto number = [&](std::string_view text, std::size_t& at) {
      const std::size_t begin = at;
      while (at < text.size() && is_digit(text[at])) ++at;
      std::string_view digits = text.substr(begin, at - begin);
      while (digits.size() > 1 && digits.front() == '0') digits.remove_prefix(1);
      return digits;
    };
    const std::string_view x = number(a, i);
    const std::string_view y = number(b, j);
    if (x.size() != y.size()) return x.size() < y.size();
    if (x != y) return x < y;
  }
  if (i < a.size() || j < b.size()) return i == a.size();
  return a < b;
}

bool IsKept(const KeyRule& rule, const Value& value, const ModelShape& shape) {
  if (rule.kind == KeyKind::kLabel) return value.text_bytes > 0 && value.text_bytes <= kLabelBytesMax;
  if (rule.kind == KeyKind::kTokenId) return static_cast<std::uint64_t>(value.integer) < shape.vocabulary;
  return true;
}

Status WriteAll(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return WriteFailed("the canonical model cannot be written");
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

std::unexpected<Error> Unreadable(std::uint64_t at) {
  return InvalidArgument("GGUF_UNREADABLE", fmt::format("the file cannot be read at byte {}", at));
}

// A file that has no name yet, beside the one it will become.
class PartialFile {
 public:
  explicit PartialFile(const std::filesystem::path& target) : path_(target.string() + ".XXXXXX") {
    file_ = OwnedFd(mkostemp(path_.data(), O_CLOEXEC));
  }
  ~PartialFile() {
    if (file_ && !published_) unlink(path_.c_str());
  }
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;

  int fd() const { return file_.get(); }
  Status Publish(const std::filesystem::path& target) {
    constexpr mode_t kMode = 0644;
    if (fchmod(fd(), kMode) != 0 || fsync(fd()) != 0 || rename(path_.c_str(), target.c_str()) != 0) {
      return WriteFailed(target.string());
    }
    published_ = true;
    return {};
  }

 private:
  std::string path_;
  OwnedFd file_;
  bool published_ = false;
};

// The source may have changed while it was read, so what was written is checked itself.
Result<CheckedHeader> CheckWritten(int fd) {
  ALLOD_TRY(const auto written, OpenSource(fd));
  ALLOD_TRY(CanonicalPlan plan, CanonicalPlan::Make(*written));
  ALLOD_TRY(const bool matches, plan.Matches(*written));
  if (!matches) return InvalidArgument("GGUF_UNREADABLE", "the file changed while it was read");
  return plan.model();
}

Result<CanonicalFile> OpenOrCopy(int fd, const std::function<OwnedFd()>& make_file) {
  ALLOD_TRY(const auto source, OpenSource(fd));
  ALLOD_TRY(const CanonicalPlan plan, CanonicalPlan::Make(*source));
  ALLOD_TRY(const bool matches, plan.Matches(*source));
  OwnedFd own = matches ? OwnedFd(fcntl(fd, F_DUPFD_CLOEXEC, 0)) : make_file();
  if (!own) return WriteFailed("a file for the canonical model");
  CanonicalFile file(std::move(own), plan.model(), !matches);
  if (matches) return file;
  ALLOD_CHECK_OK(plan.Write(*source, file.fd()));
  ALLOD_CHECK_OK(CheckWritten(file.fd()));
  return file;
}

}  // namespace

void CanonicalPlan::Own(std::string bytes) {
  bytes_ += bytes.size();
  if (!pieces_.empty() && !pieces_.back().own.empty()) {
    pieces_.back().own += bytes;
  } else if (!bytes.empty()) {
    pieces_.push_back({std::move(bytes)});
  }
}

void CanonicalPlan::Range(std::uint64_t from, std::uint64_t bytes) {
  pieces_.push_back({{}, from, bytes});
  bytes_ += bytes;
}

void CanonicalPlan::AddKeys() {
  const GgufHeader& header = model_.header;
  struct Kept {
    const std::string* key;
    const Value* value;
    bool as_one;  // an array that says one count for every layer
  };
  std::vector<Kept> kept;
  for (const auto& [key, value] : header.metadata.values()) {
    const KeyRule* rule = FindKeyRule(header.summary.architecture, key);
    if (rule == nullptr || !IsKept(*rule, value, model_.shape)) continue;
    kept.push_back({&key, &value, rule->kind == KeyKind::kLayerCount && value.type == ValueType::kArray});
  }
  std::string start = "GGUF";
  Put(start, kVersion);
  Put<std::uint64_t>(start, header.tensors.size());
  Put<std::uint64_t>(start, kept.size());
  Own(std::move(start));
  for (const auto& [key, value, as_one] : kept) {
    std::string pair;
    PutString(pair, *key);
    Put(pair, std::to_underlying(as_one ? ValueType::kUint32 : value->type));
    if (as_one) {
      Put(pair, static_cast<std::uint32_t>(value->integer));
      Own(std::move(pair));
      continue;
    }
    Own(std::move(pair));
    Range(value->at, value->end - value->at);
  }
}

void CanonicalPlan::AddTensors() {
  std::vector<const TensorInfo*> tensors;
  for (const TensorInfo& tensor : model_.header.tensors) tensors.push_back(&tensor);
  std::ranges::sort(tensors, ComesBefore, &TensorInfo::name);
  std::string infos;
  std::uint64_t offset = 0;
  for (const TensorInfo* tensor : tensors) {
    PutString(infos, tensor->name);
    Put(infos, static_cast<std::uint32_t>(tensor->shape.size()));
    for (const std::uint64_t size : tensor->shape) Put(infos, size);
    Put(infos, tensor->type->id);
    Put(infos, offset);
    offset += tensor->bytes + Padding(tensor->bytes);
  }
  Own(std::move(infos));
  Own(std::string(Padding(bytes_), '\0'));
  for (const TensorInfo* tensor : tensors) {
    Range(model_.header.summary.data_offset + tensor->offset, tensor->bytes);
    Own(std::string(Padding(tensor->bytes), '\0'));
  }
}

Result<CanonicalPlan> CanonicalPlan::Make(Source& source, const Limits& limits) {
  ALLOD_TRY(CheckedHeader model, ReadModel(source, limits));
  CanonicalPlan plan(std::move(model));
  plan.AddKeys();
  plan.AddTensors();
  return plan;
}

Result<bool> CanonicalPlan::Matches(Source& source) const {
  if (source.size() != bytes_) return false;
  std::uint64_t at = 0;
  std::vector<std::byte> there;
  for (const Piece& piece : pieces_) {
    if (piece.own.empty()) {
      if (piece.from != at) return false;
      at += piece.bytes;
      continue;
    }
    there.resize(piece.own.size());
    if (!source.ReadAt(at, there)) return Unreadable(at);
    if (std::memcmp(there.data(), piece.own.data(), there.size()) != 0) return false;
    at += there.size();
  }
  return true;
}

Status CanonicalPlan::Write(Source& source, int fd) const {
  std::vector<std::byte> buffer;
  for (const Piece& piece : pieces_) {
    if (!piece.own.empty()) {
      ALLOD_CHECK_OK(WriteAll(fd, std::as_bytes(std::span(piece.own))));
      continue;
    }
    for (std::uint64_t done = 0; done < piece.bytes; done += buffer.size()) {
      buffer.resize(static_cast<std::size_t>(std::min(kPieceBytes, piece.bytes - done)));
      if (!source.ReadAt(piece.from + done, buffer)) return Unreadable(piece.from + done);
      ALLOD_CHECK_OK(WriteAll(fd, buffer));
    }
  }
  return {};
}

Result<bool> IsCanonical(const std::filesystem::path& path) {
  ALLOD_TRY(const auto source, OpenSource(path));
  ALLOD_TRY(const CanonicalPlan plan, CanonicalPlan::Make(*source));
  return plan.Matches(*source);
}

Result<CheckedHeader> WriteCanonical(const std::filesystem::path& from, const std::filesystem::path& to) {
  ALLOD_TRY(const auto source, OpenSource(from));
  ALLOD_TRY(const CanonicalPlan plan, CanonicalPlan::Make(*source));
  PartialFile file(to);
  if (file.fd() < 0) return WriteFailed(to.string());
  ALLOD_CHECK_OK(plan.Write(*source, file.fd()));
  ALLOD_TRY(CheckedHeader written, CheckWritten(file.fd()));
  ALLOD_CHECK_OK(file.Publish(to));
  return written;
}

Result<bool> IsCanonical(int fd) {
  ALLOD_TRY(const auto source, OpenSource(fd));
  ALLOD_TRY(const CanonicalPlan plan, CanonicalPlan::Make(*source));
  return plan.Matches(*source);
}

Result<CheckedHeader> WriteCanonical(int from, int to) {
  ALLOD_TRY(const auto source, OpenSource(from));
  ALLOD_TRY(const CanonicalPlan plan, CanonicalPlan::Make(*source));
  if (ftruncate(to, 0) != 0 || lseek(to, 0, SEEK_SET) != 0) return WriteFailed("the canonical model");
  const auto write = [&]() -> Result<CheckedHeader> {
    ALLOD_CHECK_OK(plan.Write(*source, to));
    if (fsync(to) != 0) return WriteFailed("the canonical model cannot be written");
    return CheckWritten(to);
  };
  auto written = write();
  if (!written) (void)!ftruncate(to, 0);
  return written;
}

Result<CanonicalFile> OpenCanonical(int fd) {
  ALLOD_TRY(CanonicalFile file,
            OpenOrCopy(fd, [] { return OwnedFd(memfd_create("model", MFD_CLOEXEC | MFD_ALLOW_SEALING)); }));
  // Not F_SEAL_WRITE: before Linux 6.7 it forbids shared mappings for reading, too.
  constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;
  if (file.is_copy() && fcntl(file.fd(), F_ADD_SEALS, kSeals) != 0) {
    return WriteFailed("the canonical model cannot be sealed");
  }
  return file;
}

Result<CanonicalFile> OpenCanonical(const std::filesystem::path& path, const std::filesystem::path& directory) {
  const OwnedFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) return NotFound(fmt::format("{}: {}", path.string(), std::strerror(errno)));
  return OpenOrCopy(file.get(), [&] {
    std::string name = (directory / "model.XXXXXX").string();
    OwnedFd copy(mkostemp(name.data(), O_CLOEXEC));
    if (copy) unlink(name.c_str());
    return copy;
  });
}

}  // namespace allod::inference::gguf
