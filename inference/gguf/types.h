// The numbers of the GGUF format: what a metadata value may be, and the shape of every tensor type that ggml v0.5.0
// reads.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace allod::inference::gguf {

enum class ValueType : std::uint32_t {
  kUint8 = 0,
  kInt8 = 1,
  kUint16 = 2,
  kInt16 = 3,
  kUint32 = 4,
  kInt32 = 5,
  kFloat32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kUint64 = 10,
  kInt64 = 11,
  kFloat64 = 12,
};

// Bytes of one value in the file; 0 for strings and arrays, whose length varies; nothing for a number that is no type.
std::optional<std::uint32_t> ValueBytes(std::uint32_t type);

// Elements are stored in blocks: `elements` of them take `bytes`.
struct TensorType {
  std::uint32_t id;
  std::string_view name;  // ggml's, e.g. "q4_K"
  std::uint32_t elements;
  std::uint32_t bytes;
};

std::span<const TensorType> TensorTypes();
// Null for an unknown or removed type.
const TensorType* FindTensorType(std::uint32_t id);

}  // namespace allod::inference::gguf
