// Which metadata keys a model file may carry to llama.cpp, and what each may hold. Whatever is not listed here is left
// out of the canonical header, so llama.cpp never reads it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "inference/gguf/metadata.h"
#include "services/common/result.h"

namespace allod::inference::gguf {

enum class KeyKind {
  kCount,         // uint32 from `min` to `max`
  kReal,          // finite float32 from `min` to `max`
  kFlag,          // bool
  kName,          // string of 1 to `max` printable characters without spaces
  kLabel,         // string for people; left out when it has more than `max` bytes
  kTemplate,      // string of at most `max` bytes of UTF-8 without NUL
  kTokenId,       // uint32; left out when it is no token of the vocabulary, as llama.cpp ignores it then
  kStrings,       // array of strings
  kReals,         // array of float32
  kIntegers,      // array of int32
  kCountOrFlags,  // kCount, or an array of bool with at most `max` elements
  kLayerCount     // kCount, or an array that says the same count for each layer: then written as one
};

struct KeyRule {
  std::string_view name;  // without the architecture's prefix
  KeyKind kind;
  double min = 0;
  double max = 0;
};

inline constexpr std::uint64_t kTemplateBytesMax = 256 << 10;
inline constexpr std::uint64_t kLabelBytesMax = 512;

// Null for a key that is left out.
const KeyRule* FindKeyRule(std::string_view architecture, std::string_view key);

// Type and range; GGUF_BAD_VALUE or GGUF_LIMIT. What a rule of the vocabulary or of the shape says is not checked here.
Status CheckValue(const std::string& key, const Value& value, const KeyRule& rule);

}  // namespace allod::inference::gguf
