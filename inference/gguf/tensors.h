// The tensor section of a GGUF header, checked while it is read.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "inference/gguf/limits.h"
#include "inference/gguf/source.h"
#include "services/common/result.h"

namespace allod::inference::gguf {

struct TensorInfo {
  std::string name;
  const struct TensorType* type = nullptr;
  std::vector<std::uint64_t> shape;  // 1 to 4 dimensions, the row's length first
  std::uint64_t elements = 0;
  std::uint64_t row_bytes = 0;
  std::uint64_t bytes = 0;
  std::uint64_t offset = 0;  // from the start of the data section
};

// Reads `count` entries. Tensors must lie one after another in the order of their entries, each padded to `alignment`,
// as every writer does and llama.cpp demands; so none can overlap. GGUF_BAD_TENSOR_NAME, GGUF_DUPLICATE_TENSOR,
// GGUF_BAD_SHAPE, GGUF_BAD_TENSOR_TYPE, GGUF_BAD_OFFSET and what Cursor says.
Result<std::vector<TensorInfo>> ReadTensors(Cursor& cursor, std::uint64_t count, std::uint64_t alignment);

}  // namespace allod::inference::gguf
