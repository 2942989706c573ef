// Writes GGUF files, correct ones and, on demand, wrong ones: every number that the format states can be stated
// wrongly.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace allod::test {

class GgufWriter {
 public:
  // Little-endian, as they lie in the file.
  template <typename T>
  static void Put(std::string& out, T value) {
    char bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof(T));
    out.append(bytes, sizeof(T));
  }
  static void PutString(std::string& out, std::string_view text) {
    Put<std::uint64_t>(out, text.size());
    out.append(text);
  }

  void U32(std::string_view key, std::uint32_t value) { Put(Key(key, 4), value); }
  void F32(std::string_view key, float value) { Put(Key(key, 6), value); }
  void Bool(std::string_view key, bool value) { Put<std::uint8_t>(Key(key, 7), value ? 1 : 0); }
  void String(std::string_view key, std::string_view value) { PutString(Key(key, 8), value); }
  void Strings(std::string_view key, const std::vector<std::string>& values) {
    std::string& out = Array(key, 8, values.size());
    for (const std::string& value : values) PutString(out, value);
  }
  template <typename T>
  void Numbers(std::string_view key, std::uint32_t type, const std::vector<T>& values) {
    std::string& out = Array(key, type, values.size());
    for (const T value : values) Put(out, value);
  }
  // The start of a pair; the caller puts the value.
  std::string& Key(std::string_view key, std::uint32_t type) {
    ++keys;
    PutString(metadata, key);
    Put(metadata, type);
    return metadata;
  }
  std::string& Array(std::string_view key, std::uint32_t type, std::uint64_t count) {
    std::string& out = Key(key, 9);
    Put(out, type);
    Put(out, count);
    return out;
  }

  struct Tensor {
    std::string name;
    std::vector<std::uint64_t> shape;
    std::uint32_t type = 0;  // f32
    std::string data;
  };
  void Add(Tensor tensor) { tensors.push_back(std::move(tensor)); }
  void AddF32(std::string name, std::vector<std::uint64_t> shape, std::span<const float> values) {
    Add({std::move(name), std::move(shape), 0,
         std::string(reinterpret_cast<const char*>(values.data()), values.size_bytes())});
  }

  std::string Finish() const {
    std::string out = "GGUF";
    Put(out, version);
    Put<std::uint64_t>(out, tensors.size());
    Put<std::uint64_t>(out, keys);
    out += metadata;
    std::string data;
    for (const Tensor& tensor : tensors) {
      PutString(out, tensor.name);
      Put<std::uint32_t>(out, static_cast<std::uint32_t>(tensor.shape.size()));
      for (const std::uint64_t size : tensor.shape) Put(out, size);
      Put(out, tensor.type);
      Put<std::uint64_t>(out, data.size());
      data += tensor.data;
      data.resize((data.size() + alignment - 1) / alignment * alignment);
    }
    out.resize((out.size() + alignment - 1) / alignment * alignment);
    return out + data;
  }

  std::uint32_t version = 3;
  std::uint64_t alignment = 32;
  std::uint64_t keys = 0;
  std::string metadata;
  std::vector<Tensor> tensors;
};

}  // namespace allod::test
