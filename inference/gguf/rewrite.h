// Canonical model files: the only ones llama.cpp is given to read. Their header is written here, from a header that
// passed ReadModel; of the foreign file only values that were checked, and the tensors' data, are taken over.
//
// A canonical header is version 3 with alignment 32; its keys are those of FindKeyRule that the file has, in the order
// of their names; its tensors lie in the order of their layers and names, without gaps. What is not listed (other
// general keys, training notes, importance matrices, tokenisers of other programs) is gone. So equal models have equal
// headers, and rewriting a canonical file changes nothing.
//
// All errors of ReadModel. Memory is bounded by the vocabulary, whatever the file's size. Any thread may call these.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "inference/gguf/model.h"
#include "inference/gguf/source.h"
#include "services/common/owned_fd.h"
#include "services/common/result.h"

namespace allod::inference::gguf {

inline constexpr std::uint64_t kCanonicalAlignment = 32;

// The canonical form of one file, as a list of pieces: bytes of our own and ranges of the file.
class CanonicalPlan {
 public:
  // Reads the header only.
  static Result<CanonicalPlan> Make(Source& source, const Limits& limits = {});

  const CheckedHeader& model() const { return model_; }
  std::uint64_t bytes() const { return bytes_; }

  // Whether `source`, which the plan was made of, already is byte for byte what would be written; tensor data is not
  // read.
  Result<bool> Matches(Source& source) const;
  // Writes it to the descriptor from its position. RESOURCE_EXHAUSTED / DISK_FULL, INTERNAL / WRITE_FAILED,
  // INVALID_ARGUMENT / GGUF_UNREADABLE.
  Status Write(Source& source, int fd) const;

 private:
  struct Piece {
    std::string own;         // or, when empty,
    std::uint64_t from = 0;  // a range of the source
    std::uint64_t bytes = 0;
  };

  explicit CanonicalPlan(CheckedHeader model) : model_(std::move(model)) {}
  void Own(std::string bytes);
  void Range(std::uint64_t from, std::uint64_t bytes);
  void AddKeys();
  void AddTensors();

  CheckedHeader model_;
  std::vector<Piece> pieces_;
  std::uint64_t bytes_ = 0;
};

Result<bool> IsCanonical(const std::filesystem::path& path);
// Reads `from`, writes the canonical file beside `to` and renames it; whatever fails, `to` is what it was and nothing
// is left. They may be the same path.
Result<CheckedHeader> WriteCanonical(const std::filesystem::path& from, const std::filesystem::path& to);

Result<bool> IsCanonical(int fd);
// The same into an open file, whose content is replaced; whatever fails, it is empty.
Result<CheckedHeader> WriteCanonical(int from, int to);

// An open canonical file.
class CanonicalFile {
 public:
  CanonicalFile(OwnedFd file, CheckedHeader model, bool is_copy)
      : file_(std::move(file)), model_(std::move(model)), is_copy_(is_copy) {}

  int fd() const { return file_.get(); }
  // A name that this process can open it under, however often.
  std::filesystem::path path() const { return "/proc/self/fd/" + std::to_string(fd()); }
  const CheckedHeader& model() const { return model_; }
  bool is_copy() const { return is_copy_; }

 private:
  OwnedFd file_;
  CheckedHeader model_;
  bool is_copy_;
};

// A duplicate of `fd` when that is canonical; else a sealed, anonymous file in memory that holds the canonical form and
// was checked again after it was written. Works without a file system.
Result<CanonicalFile> OpenCanonical(int fd);
// The same, but a copy lies in a file without a name in `directory`, which vanishes when it is closed.
Result<CanonicalFile> OpenCanonical(const std::filesystem::path& path, const std::filesystem::path& directory);

}  // namespace allod::inference::gguf
