// What a model is according to its header: a known architecture whose sizes fit each other and its tensors.
//
// llama.cpp ends the process on some combinations that a header can state (heads that do not divide, a rotation wider
// than a head, no layer of a kind that the cache expects). Each such relation is checked here first, for the
// architectures that are accepted; others are refused by name.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "inference/gguf/source.h"
#include "inference/gguf/validate.h"
#include "services/common/result.h"

namespace allod::inference::gguf {

struct ModelShape {
  std::uint64_t layers = 0;
  std::uint64_t embedding = 0;
  std::uint64_t heads = 0;
  std::uint64_t heads_kv = 0;
  std::uint64_t head_width = 0;  // of keys and of values
  std::uint64_t vocabulary = 0;
  std::uint64_t context_length = 0;
  // What one token takes in a cache of F16 over all layers; models with sliding windows may need less.
  std::uint64_t kv_bytes_per_token() const { return layers * heads_kv * 2 * head_width * 2; }
};

struct CheckedHeader {
  GgufHeader header;
  ModelShape shape;
};

// Everything that ReadHeader refuses, and GGUF_UNSUPPORTED_ARCHITECTURE, GGUF_BAD_HYPERPARAMETERS,
// GGUF_BAD_VOCABULARY, GGUF_BAD_VALUE, GGUF_BAD_SHAPE, GGUF_BAD_TENSOR_TYPE, GGUF_LIMIT.
Result<CheckedHeader> ReadModel(Source& source, const Limits& limits = {});

// Sorted.
std::vector<std::string> SupportedArchitectures();

}  // namespace allod::inference::gguf
