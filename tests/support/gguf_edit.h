// A GGUF file taken apart, to be put together again with something changed. Needs allod_gguf.
#pragma once

#include <cstdlib>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "inference/gguf/validate.h"
#include "tests/support/gguf_writer.h"

namespace allod::test {

struct GgufEdit {
  struct Pair {
    std::uint32_t type = 0;
    std::string value;  // as it lies in the file
  };

  // `bytes` must be a valid file.
  explicit GgufEdit(const std::string& bytes) {
    namespace gguf = inference::gguf;
    const auto source = gguf::MemorySource(std::as_bytes(std::span(bytes)));
    const auto header = gguf::ReadHeader(*source);
    if (!header) std::abort();
    for (const auto& [key, value] : header->metadata.values()) {
      pairs[key] = {std::to_underlying(value.type), bytes.substr(value.at, value.end - value.at)};
    }
    for (const gguf::TensorInfo& tensor : header->tensors) {
      tensors.push_back({tensor.name, tensor.shape, tensor.type->id,
                         bytes.substr(header->summary.data_offset + tensor.offset, tensor.bytes)});
    }
  }

  template <typename T>
  void Set(const std::string& key, std::uint32_t type, T value) {
    pairs[key] = {type, {}};
    GgufWriter::Put(pairs[key].value, value);
  }
  void U32(const std::string& key, std::uint32_t value) { Set(key, 4, value); }
  void F32(const std::string& key, float value) { Set(key, 6, value); }
  void String(const std::string& key, std::string_view value) {
    pairs[key] = {8, {}};
    GgufWriter::PutString(pairs[key].value, value);
  }
  void Strings(const std::string& key, const std::vector<std::string>& values) {
    GgufWriter writer;
    writer.Strings("", values);
    pairs[key] = {9, writer.metadata.substr(8 + 4)};
  }
  template <typename T>
  void Numbers(const std::string& key, std::uint32_t type, const std::vector<T>& values) {
    GgufWriter writer;
    writer.Numbers("", type, values);
    pairs[key] = {9, writer.metadata.substr(8 + 4)};
  }
  GgufWriter::Tensor& Tensor(const std::string& name) {
    for (auto& tensor : tensors) {
      if (tensor.name == name) return tensor;
    }
    std::abort();
  }

  std::string Finish() const {
    GgufWriter writer;
    writer.version = version;
    writer.alignment = alignment;
    for (const auto& [key, pair] : pairs) writer.Key(key, pair.type) += pair.value;
    writer.tensors = tensors;
    return writer.Finish();
  }

  std::uint32_t version = 3;
  std::uint64_t alignment = 32;
  std::map<std::string, Pair> pairs;
  std::vector<GgufWriter::Tensor> tensors;
};

}  // namespace allod::test
