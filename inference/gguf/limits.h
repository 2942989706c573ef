// Bounds on what a GGUF header may claim, far above every published model and far below what would hurt this process.
#pragma once

#include <cstdint>

namespace allod::inference::gguf {

struct Limits {
  std::uint64_t header_bytes_max = 256ULL << 20;
  std::uint64_t keys_max = 8192;
  std::uint64_t key_bytes_max = 255;
  std::uint64_t string_bytes_max = 8ULL << 20;  // a chat template, a token
  std::uint64_t array_elements_max = 16ULL << 20;
  std::uint64_t tensors_max = 65536;
  std::uint64_t alignment_max = 1ULL << 16;
  std::uint64_t file_bytes_max = 1ULL << 44;
};

// ggml stores names in 64 bytes, the final zero included.
inline constexpr std::uint64_t kTensorNameBytesMax = 63;
inline constexpr std::uint32_t kTensorDimensionsMax = 4;
// How much of a string value is kept for the summary.
inline constexpr std::uint64_t kStringBytesKept = 4096;

}  // namespace allod::inference::gguf
