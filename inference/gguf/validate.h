// A strict check of GGUF files (ggml docs/gguf.md, versions 2 and 3) before any other parser sees them.
//
// GGUF files come from strangers, and the parsers of this field have a record of memory-safety bugs in it. Every count,
// length, type, shape and offset is bounded here first; what passes is what llama.cpp's loader expects. Only the header
// is read: memory is bounded by Limits, whatever the file claims. Pure C++, no llama.cpp; may be called from any
// thread.
//
// All refusals are INVALID_ARGUMENT with a reason that starts with GGUF_ and a message that names the byte offset and
// the key or tensor, safe to show (it repeats no unchecked bytes of the file).
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "inference/gguf/limits.h"
#include "inference/gguf/metadata.h"
#include "inference/gguf/source.h"
#include "inference/gguf/tensors.h"
#include "services/common/result.h"

namespace allod::inference::gguf {

struct GgufSummary {
  std::uint32_t version = 0;
  std::string architecture;  // "llama"
  std::string name;          // may be empty; valid UTF-8
  std::string license;       // may be empty; valid UTF-8
  std::uint64_t tensor_count = 0;
  std::uint64_t parameter_count = 0;
  std::map<std::string, std::uint64_t> tensors_by_type;  // "q4_K" -> 96
  std::uint64_t file_bytes = 0;
  std::uint64_t data_offset = 0;  // where tensor data starts
  std::uint64_t data_bytes = 0;
  std::uint64_t context_length = 0;  // tokens; 0 when not stated
  std::uint64_t vocabulary_size = 0;
  bool has_chat_template = false;
};

// The same check, keeping what was read.
struct GgufHeader {
  GgufSummary summary;
  Metadata metadata;
  std::vector<TensorInfo> tensors;
};
Result<GgufHeader> ReadHeader(Source& source, const Limits& limits = {});

Result<GgufSummary> ValidateGguf(const std::filesystem::path& path, const Limits& limits = {});
Result<GgufSummary> ValidateGguf(Source& source, const Limits& limits = {});
// A whole file in memory; for tests and fuzzers.
Result<GgufSummary> ValidateGguf(std::span<const std::byte> bytes, const Limits& limits = {});

}  // namespace allod::inference::gguf
