#include "inference/gguf/tensors.h"

#include <fmt/format.h>

#include <limits>
#include <set>

#include "inference/gguf/metadata.h"
#include "inference/gguf/types.h"

namespace allod::inference::gguf {
namespace {

// What fits a signed 64-bit offset, with room to add an alignment.
constexpr std::uint64_t kBytesMax = 1ULL << 62;

std::unexpected<Error> Bad(const char* reason, const std::string& tensor, std::uint64_t at, const std::string& what) {
  return InvalidArgument(reason, fmt::format("tensor {} (byte {}): {}", tensor, at, what));
}

Result<std::string> ReadName(Cursor& cursor, std::uint64_t index) {
  const std::uint64_t at = cursor.offset();
  ALLOD_TRY(const std::uint64_t bytes, cursor.U64("a tensor name's length"));
  const auto bad = [&](const std::string& what) {
    return InvalidArgument("GGUF_BAD_TENSOR_NAME", fmt::format("tensor number {} (byte {}): {}", index, at, what));
  };
  if (bytes == 0 || bytes > kTensorNameBytesMax) {
    return bad(fmt::format("its name has {} bytes; 1 to {} are accepted", bytes, kTensorNameBytesMax));
  }
  ALLOD_TRY(std::string name, cursor.Text(bytes, "a tensor name"));
  if (!IsPlainName(name, kTensorNameBytesMax)) return bad("its name has characters other than printable ASCII");
  return name;
}

// Fills elements, row_bytes and bytes.
Status ReadShape(Cursor& cursor, std::uint64_t at, TensorInfo& tensor) {
  ALLOD_TRY(const std::uint32_t dimensions, cursor.U32("a tensor's dimension count"));
  if (dimensions == 0 || dimensions > kTensorDimensionsMax) {
    return Bad("GGUF_BAD_SHAPE", tensor.name, at,
               fmt::format("{} dimensions; 1 to {} are accepted", dimensions, kTensorDimensionsMax));
  }
  tensor.elements = 1;
  std::uint64_t row = 0;
  for (std::uint32_t i = 0; i < dimensions; ++i) {
    ALLOD_TRY(const std::uint64_t size, cursor.U64("a tensor's dimension"));
    if (size == 0 || size > kBytesMax || __builtin_mul_overflow(tensor.elements, size, &tensor.elements) ||
        tensor.elements > kBytesMax) {
      return Bad("GGUF_BAD_SHAPE", tensor.name, at,
                 fmt::format("dimension {} is {}: empty, or too many elements", i, size));
    }
    if (i == 0) row = size;
    tensor.shape.push_back(size);
  }
  ALLOD_TRY(const std::uint32_t type, cursor.U32("a tensor's type"));
  tensor.type = FindTensorType(type);
  if (tensor.type == nullptr) {
    return Bad("GGUF_BAD_TENSOR_TYPE", tensor.name, at,
               fmt::format("type {} is unknown or was removed from GGUF", type));
  }
  if (row % tensor.type->elements != 0) {
    return Bad("GGUF_BAD_SHAPE", tensor.name, at,
               fmt::format("rows of {} elements are no multiple of the block of {} that type {} has", row,
                           tensor.type->elements, tensor.type->name));
  }
  tensor.row_bytes = row / tensor.type->elements * tensor.type->bytes;
  if (__builtin_mul_overflow(tensor.elements / tensor.type->elements, std::uint64_t{tensor.type->bytes},
                             &tensor.bytes) ||
      tensor.bytes > kBytesMax) {
    return Bad("GGUF_BAD_SHAPE", tensor.name, at, "its size in bytes is not representable");
  }
  return {};
}

}  // namespace

Result<std::vector<TensorInfo>> ReadTensors(Cursor& cursor, std::uint64_t count, std::uint64_t alignment) {
  std::vector<TensorInfo> tensors;
  std::set<std::string> names;
  std::uint64_t expected = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t at = cursor.offset();
    TensorInfo tensor;
    ALLOD_TRY(tensor.name, ReadName(cursor, i));
    if (!names.insert(tensor.name).second) return Bad("GGUF_DUPLICATE_TENSOR", tensor.name, at, "is there twice");
    ALLOD_CHECK_OK(ReadShape(cursor, at, tensor));
    ALLOD_TRY(tensor.offset, cursor.U64("a tensor's offset"));
    if (tensor.offset != expected) {
      return Bad("GGUF_BAD_OFFSET", tensor.name, at,
                 fmt::format("its data is said to start at {} of the data section, but the tensors before it end at {}",
                             tensor.offset, expected));
    }
    expected += (tensor.bytes + alignment - 1) / alignment * alignment;
    if (expected > kBytesMax) return Bad("GGUF_BAD_SHAPE", tensor.name, at, "the data section is not representable");
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

}  // namespace allod::inference::gguf
