// The key-value section of a GGUF header, checked while it is read. Keeps scalars and the beginnings of strings; of
// arrays only their type and count, so memory stays small whatever the file claims.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "inference/gguf/limits.h"
#include "inference/gguf/source.h"
#include "inference/gguf/types.h"
#include "services/common/result.h"

namespace allod::inference::gguf {

struct Value {
  ValueType type = ValueType::kUint8;
  std::uint64_t at = 0;          // byte offset of the value in the file
  std::uint64_t end = 0;         // where the next key starts
  std::int64_t integer = 0;      // integers and booleans; of an uint64 from 2^63 on, nothing: see `beyond`
  bool beyond = false;           // an uint64 from 2^63 on
  double real = 0;               // floats
  std::string text;              // strings, at most kStringBytesKept
  std::uint64_t text_bytes = 0;  // their whole length
  ValueType element = ValueType::kUint8;
  std::uint64_t elements = 0;  // arrays
  bool uniform = false;        // an array of 1 to kUniformElementsMax uint32 or int32 that are all `integer`
};

// One value per layer of a model, and more.
inline constexpr std::uint64_t kUniformElementsMax = 1024;

class Metadata {
 public:
  // Reads `keys` pairs. GGUF_BAD_KEY, GGUF_DUPLICATE_KEY, GGUF_BAD_VALUE, GGUF_BAD_ARRAY, GGUF_LIMIT and what Cursor
  // says.
  static Result<Metadata> Read(Cursor& cursor, std::uint64_t keys, const Limits& limits);

  const Value* Find(const std::string& key) const;
  // In the order of their names.
  const std::map<std::string, Value>& values() const { return values_; }
  // Nothing when the key is absent; GGUF_BAD_VALUE when it has another type.
  Result<std::optional<std::int64_t>> Integer(const std::string& key) const;
  Result<std::optional<std::string>> Text(const std::string& key) const;
  // The number of elements.
  Result<std::optional<std::uint64_t>> Array(const std::string& key, ValueType element) const;

 private:
  std::map<std::string, Value> values_;
};

// 1 to `bytes_max` printable ASCII characters without spaces, so that a name reads the same in every program and log.
bool IsPlainName(const std::string& name, std::uint64_t bytes_max);

}  // namespace allod::inference::gguf
