#include "inference/gguf/validate.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "inference/gguf/metadata.h"
#include "inference/gguf/source.h"
#include "inference/gguf/tensors.h"
#include "inference/gguf/types.h"
#include "services/common/text_check.h"

namespace allod::inference::gguf {
namespace {

constexpr std::uint32_t kMagic = 0x46554747;  // "GGUF"
constexpr std::uint64_t kAlignmentDefault = 32;
// llama.cpp sizes its per-layer arrays by this.
constexpr std::int64_t kLayersMax = 512;
constexpr std::size_t kLabelBytesMax = 512;

Result<std::uint64_t> CountUpTo(Cursor& cursor, std::uint64_t max, const char* what) {
  const std::uint64_t at = cursor.offset();
  ALLOD_TRY(const std::uint64_t count, cursor.U64(what));
  if (count > max) {
    return InvalidArgument("GGUF_LIMIT",
                           fmt::format("{} at byte {} is {}; at most {} are accepted", what, at, count, max));
  }
  return count;
}

Result<std::uint32_t> ReadVersion(Cursor& cursor) {
  ALLOD_TRY(const std::uint32_t magic, cursor.U32("the magic number"));
  if (magic != kMagic) {
    return InvalidArgument(
        "GGUF_BAD_MAGIC",
        fmt::format("the file starts with 0x{:08x}, not with \"GGUF\": this is no GGUF model", std::byteswap(magic)));
  }
  ALLOD_TRY(const std::uint32_t version, cursor.U32("the version"));
  if (version == 2 || version == 3) return version;
  const bool big_endian = std::byteswap(version) == 2 || std::byteswap(version) == 3;
  return InvalidArgument("GGUF_BAD_VERSION", fmt::format("version {} at byte 4; 2 and 3 are accepted{}", version,
                                                         big_endian ? "; the file is big-endian, convert it" : ""));
}

Result<std::uint64_t> ReadAlignment(const Metadata& metadata, const Limits& limits) {
  const Value* value = metadata.Find("general.alignment");
  if (value == nullptr) return kAlignmentDefault;
  const auto alignment = static_cast<std::uint64_t>(value->integer);
  if (value->type != ValueType::kUint32 || !std::has_single_bit(alignment) || alignment > limits.alignment_max) {
    return InvalidArgument("GGUF_BAD_ALIGNMENT",
                           fmt::format("general.alignment (byte {}) must be a uint32 power of two of at most {}",
                                       value->at, limits.alignment_max));
  }
  return alignment;
}

// Optional text for people: control characters and invalid UTF-8 are refused; what is too long for a label is left out.
Result<std::string> ReadLabel(const Metadata& metadata, const std::string& key) {
  ALLOD_TRY(const auto text, metadata.Text(key));
  if (!text || text->empty() || text->size() > kLabelBytesMax) return std::string();
  if (auto checked = CheckText(key, *text, 1, kLabelBytesMax, true); !checked) {
    return InvalidArgument("GGUF_BAD_VALUE",
                           fmt::format("key {} (byte {}): {}", key, metadata.Find(key)->at, checked.error().message));
  }
  return *text;
}

Status CheckRange(const Metadata& metadata, const std::string& key, std::int64_t max) {
  ALLOD_TRY(const auto value, metadata.Integer(key));
  if (!value || (*value >= 1 && *value <= max)) return {};
  return InvalidArgument("GGUF_BAD_VALUE", fmt::format("key {} (byte {}) is {}; 1 to {} are accepted", key,
                                                       metadata.Find(key)->at, *value, max));
}

// Scores and types are indexed by token, so they need one entry for each.
Result<std::uint64_t> CheckVocabulary(const Metadata& metadata) {
  ALLOD_TRY(const auto tokens, metadata.Array("tokenizer.ggml.tokens", ValueType::kString));
  if (!tokens) return 0;
  for (const auto& [key, type] : {std::pair("tokenizer.ggml.scores", ValueType::kFloat32),
                                  std::pair("tokenizer.ggml.token_type", ValueType::kInt32)}) {
    ALLOD_TRY(const auto count, metadata.Array(key, type));
    if (count && *count != *tokens) {
      return InvalidArgument("GGUF_BAD_VOCABULARY", fmt::format("key {} (byte {}) has {} entries for {} tokens", key,
                                                                metadata.Find(key)->at, *count, *tokens));
    }
  }
  return *tokens;
}

Status FillFromMetadata(const Metadata& metadata, GgufSummary& summary) {
  ALLOD_TRY(const auto architecture, metadata.Text("general.architecture"));
  if (!architecture || !IsPlainName(*architecture, 64)) {
    return InvalidArgument("GGUF_BAD_ARCHITECTURE",
                           "general.architecture is missing, or no name of 1 to 64 printable characters");
  }
  summary.architecture = *architecture;
  ALLOD_TRY(const auto splits, metadata.Integer("split.count"));
  if (splits.value_or(0) > 1) {
    return InvalidArgument("GGUF_SPLIT",
                           fmt::format("the model is split into {} files; merge them (llama-gguf-split --merge) "
                                       "and import the one file",
                                       *splits));
  }
  ALLOD_TRY(summary.name, ReadLabel(metadata, "general.name"));
  ALLOD_TRY(summary.license, ReadLabel(metadata, "general.license"));
  ALLOD_CHECK_OK(CheckRange(metadata, *architecture + ".block_count", kLayersMax));
  ALLOD_CHECK_OK(CheckRange(metadata, *architecture + ".embedding_length", 1 << 20));
  ALLOD_CHECK_OK(CheckRange(metadata, *architecture + ".context_length", 1 << 30));
  ALLOD_TRY(const auto context, metadata.Integer(*architecture + ".context_length"));
  summary.context_length = static_cast<std::uint64_t>(context.value_or(0));
  ALLOD_TRY(summary.vocabulary_size, CheckVocabulary(metadata));
  ALLOD_TRY(const auto chat_template, metadata.Text("tokenizer.chat_template"));
  summary.has_chat_template = chat_template && !chat_template->empty();
  return {};
}

Status FillFromTensors(const std::vector<TensorInfo>& tensors, GgufSummary& summary) {
  summary.tensor_count = tensors.size();
  for (const TensorInfo& tensor : tensors) {
    if (__builtin_add_overflow(summary.parameter_count, tensor.elements, &summary.parameter_count)) {
      return InvalidArgument("GGUF_BAD_SHAPE", "the parameter count is not representable");
    }
    ++summary.tensors_by_type[std::string(tensor.type->name)];
    const std::uint64_t end = tensor.offset + tensor.bytes;
    if (summary.data_offset > summary.file_bytes || end > summary.file_bytes - summary.data_offset) {
      return InvalidArgument("GGUF_TRUNCATED",
                             fmt::format("the file ends at byte {}, but the data of tensor {} reaches byte {}",
                                         summary.file_bytes, tensor.name, summary.data_offset + end));
    }
    summary.data_bytes = end;
  }
  return {};
}

}  // namespace

Result<GgufHeader> ReadHeader(Source& source, const Limits& limits) {
  GgufHeader header;
  GgufSummary& summary = header.summary;
  summary.file_bytes = source.size();
  if (summary.file_bytes > limits.file_bytes_max) {
    return InvalidArgument("GGUF_LIMIT", fmt::format("the file has {} bytes; at most {} are accepted",
                                                     summary.file_bytes, limits.file_bytes_max));
  }
  Cursor cursor(source, limits.header_bytes_max);
  ALLOD_TRY(summary.version, ReadVersion(cursor));
  ALLOD_TRY(const std::uint64_t tensor_count, CountUpTo(cursor, limits.tensors_max, "the tensor count"));
  ALLOD_TRY(const std::uint64_t key_count, CountUpTo(cursor, limits.keys_max, "the key count"));
  ALLOD_TRY(header.metadata, Metadata::Read(cursor, key_count, limits));
  ALLOD_TRY(const std::uint64_t alignment, ReadAlignment(header.metadata, limits));
  ALLOD_CHECK_OK(FillFromMetadata(header.metadata, summary));
  ALLOD_TRY(header.tensors, ReadTensors(cursor, tensor_count, alignment));
  summary.data_offset = (cursor.offset() + alignment - 1) / alignment * alignment;
  ALLOD_CHECK_OK(FillFromTensors(header.tensors, summary));
  return header;
}

Result<GgufSummary> ValidateGguf(Source& source, const Limits& limits) {
  ALLOD_TRY(GgufHeader header, ReadHeader(source, limits));
  return std::move(header.summary);
}

Result<GgufSummary> ValidateGguf(const std::filesystem::path& path, const Limits& limits) {
  ALLOD_TRY(const auto source, OpenSource(path));
  return ValidateGguf(*source, limits);
}

Result<GgufSummary> ValidateGguf(std::span<const std::byte> bytes, const Limits& limits) {
  const auto source = MemorySource(bytes);
  return ValidateGguf(*source, limits);
}

}  // namespace allod::inference::gguf
