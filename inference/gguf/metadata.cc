#include "inference/gguf/metadata.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <utility>

namespace allod::inference::gguf {
namespace {

std::unexpected<Error> BadValue(const std::string& key, const Value& value, const std::string& what) {
  return InvalidArgument("GGUF_BAD_VALUE", fmt::format("key {} (byte {}): {}", key, value.at, what));
}

template <typename T>
T As(std::uint64_t bits) {
  T value;
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

Status ReadScalar(Cursor& cursor, const std::string& key, Value& value) {
  const std::uint32_t bytes = *ValueBytes(std::to_underlying(value.type));
  std::uint64_t bits = 0;
  ALLOD_CHECK_OK(cursor.Bytes(std::as_writable_bytes(std::span(&bits, 1)).first(bytes), "a metadata value"));
  switch (value.type) {
    case ValueType::kUint8:
    case ValueType::kUint16:
    case ValueType::kUint32:
      value.integer = static_cast<std::int64_t>(bits);
      return {};
    case ValueType::kUint64:
      // A key that nobody reads may hold what it likes; who reads it is told.
      value.beyond = bits > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
      if (!value.beyond) value.integer = static_cast<std::int64_t>(bits);
      return {};
    case ValueType::kInt8:
      value.integer = As<std::int8_t>(bits);
      return {};
    case ValueType::kInt16:
      value.integer = As<std::int16_t>(bits);
      return {};
    case ValueType::kInt32:
      value.integer = As<std::int32_t>(bits);
      return {};
    case ValueType::kInt64:
      value.integer = As<std::int64_t>(bits);
      return {};
    case ValueType::kFloat32:
      value.real = As<float>(bits);
      return {};
    case ValueType::kFloat64:
      value.real = As<double>(bits);
      return {};
    case ValueType::kBool:
      if (bits > 1) return BadValue(key, value, fmt::format("a boolean is 0 or 1, not {}", bits));
      value.integer = static_cast<std::int64_t>(bits);
      return {};
    case ValueType::kString:
    case ValueType::kArray:
      break;
  }
  std::unreachable();
}

Result<std::uint64_t> ReadStringLength(Cursor& cursor, const std::string& key, const Limits& limits) {
  const std::uint64_t at = cursor.offset();
  ALLOD_TRY(const std::uint64_t bytes, cursor.U64("a string length"));
  if (bytes > limits.string_bytes_max) {
    return InvalidArgument("GGUF_LIMIT", fmt::format("key {} (byte {}): a string of {} bytes; at most {} are accepted",
                                                     key, at, bytes, limits.string_bytes_max));
  }
  return bytes;
}

Status ReadString(Cursor& cursor, const std::string& key, const Limits& limits, Value& value) {
  ALLOD_TRY(value.text_bytes, ReadStringLength(cursor, key, limits));
  const std::uint64_t kept = std::min(value.text_bytes, kStringBytesKept);
  ALLOD_TRY(value.text, cursor.Text(kept, "a metadata string"));
  return cursor.Skip(value.text_bytes - kept, "a metadata string");
}

Status ReadNumbers(Cursor& cursor, Value& value) {
  for (std::uint64_t i = 0; i < value.elements; ++i) {
    ALLOD_TRY(const std::uint32_t bits, cursor.U32("an array"));
    const std::int64_t number =
        value.element == ValueType::kInt32 ? std::int64_t{As<std::int32_t>(bits)} : std::int64_t{bits};
    value.uniform = i == 0 || (value.uniform && number == value.integer);
    if (i == 0) value.integer = number;
  }
  return {};
}

Status ReadArray(Cursor& cursor, const std::string& key, const Limits& limits, Value& value) {
  ALLOD_TRY(const std::uint32_t type, cursor.U32("an array's element type"));
  ALLOD_TRY(value.elements, cursor.U64("an array's count"));
  const auto bytes = ValueBytes(type);
  const auto bad = [&](const std::string& what) {
    return InvalidArgument("GGUF_BAD_ARRAY", fmt::format("key {} (byte {}): {}", key, value.at, what));
  };
  if (!bytes) return bad(fmt::format("unknown element type {}", type));
  if (type == std::to_underlying(ValueType::kArray)) return bad("an array of arrays; only one level is accepted");
  value.element = static_cast<ValueType>(type);
  if (value.elements > limits.array_elements_max) {
    return InvalidArgument(
        "GGUF_LIMIT", fmt::format("key {} (byte {}): an array of {} elements; at most {} are accepted", key, value.at,
                                  value.elements, limits.array_elements_max));
  }
  const bool is_number = value.element == ValueType::kUint32 || value.element == ValueType::kInt32;
  if (is_number && value.elements <= kUniformElementsMax) return ReadNumbers(cursor, value);
  if (value.element != ValueType::kString) return cursor.Skip(value.elements * *bytes, "an array");
  // Each string has at least its length field, so a count that the file cannot hold is refused before the loop.
  if (value.elements > cursor.remaining() / 8) return cursor.Skip(value.elements * 8, "an array of strings");
  for (std::uint64_t i = 0; i < value.elements; ++i) {
    ALLOD_TRY(const std::uint64_t length, ReadStringLength(cursor, key, limits));
    ALLOD_CHECK_OK(cursor.Skip(length, "an array's string"));
  }
  return {};
}

Result<std::string> ReadKey(Cursor& cursor, std::uint64_t index, const Limits& limits) {
  const std::uint64_t at = cursor.offset();
  ALLOD_TRY(const std::uint64_t bytes, cursor.U64("a key's length"));
  const auto bad = [&](const std::string& what) {
    return InvalidArgument("GGUF_BAD_KEY", fmt::format("key number {} (byte {}): {}", index, at, what));
  };
  if (bytes == 0 || bytes > limits.key_bytes_max) {
    return bad(fmt::format("its name has {} bytes; 1 to {} are accepted", bytes, limits.key_bytes_max));
  }
  ALLOD_TRY(std::string key, cursor.Text(bytes, "a key"));
  if (!IsPlainName(key, limits.key_bytes_max)) return bad("its name has characters other than printable ASCII");
  return key;
}

}  // namespace

bool IsPlainName(const std::string& name, std::uint64_t bytes_max) {
  return !name.empty() && name.size() <= bytes_max &&
         std::ranges::all_of(name, [](char c) { return c > ' ' && c < 0x7f; });
}

Result<Metadata> Metadata::Read(Cursor& cursor, std::uint64_t keys, const Limits& limits) {
  Metadata metadata;
  for (std::uint64_t i = 0; i < keys; ++i) {
    const std::uint64_t at = cursor.offset();
    ALLOD_TRY(const std::string key, ReadKey(cursor, i, limits));
    ALLOD_TRY(const std::uint32_t type, cursor.U32("a value's type"));
    Value value;
    value.at = cursor.offset();
    if (!ValueBytes(type)) return BadValue(key, value, fmt::format("unknown type {}", type));
    value.type = static_cast<ValueType>(type);
    if (value.type == ValueType::kString) {
      ALLOD_CHECK_OK(ReadString(cursor, key, limits, value));
    } else if (value.type == ValueType::kArray) {
      ALLOD_CHECK_OK(ReadArray(cursor, key, limits, value));
    } else {
      ALLOD_CHECK_OK(ReadScalar(cursor, key, value));
    }
    value.end = cursor.offset();
    if (!metadata.values_.emplace(key, std::move(value)).second) {
      return InvalidArgument("GGUF_DUPLICATE_KEY", fmt::format("key {} (byte {}) is there twice", key, at));
    }
  }
  return metadata;
}

const Value* Metadata::Find(const std::string& key) const {
  const auto it = values_.find(key);
  return it == values_.end() ? nullptr : &it->second;
}

Result<std::optional<std::int64_t>> Metadata::Integer(const std::string& key) const {
  const Value* value = Find(key);
  if (value == nullptr) return std::nullopt;
  switch (value->type) {
    case ValueType::kFloat32:
    case ValueType::kFloat64:
    case ValueType::kBool:
    case ValueType::kString:
    case ValueType::kArray:
      return BadValue(key, *value, "an integer is expected");
    default:
      if (value->beyond) return BadValue(key, *value, "an integer below 2^63 is expected");
      return value->integer;
  }
}

Result<std::optional<std::string>> Metadata::Text(const std::string& key) const {
  const Value* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (value->type != ValueType::kString) return BadValue(key, *value, "a string is expected");
  return value->text;
}

Result<std::optional<std::uint64_t>> Metadata::Array(const std::string& key, ValueType element) const {
  const Value* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (value->type != ValueType::kArray || value->element != element) {
    return BadValue(key, *value, fmt::format("an array of type {} is expected", std::to_underlying(element)));
  }
  return value->elements;
}

}  // namespace allod::inference::gguf
