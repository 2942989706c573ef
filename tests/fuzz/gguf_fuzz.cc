// libFuzzer target: the GGUF validator on arbitrary bytes. Whatever it accepts must lie within the file.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "inference/gguf/validate.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto summary = allod::inference::gguf::ValidateGguf(std::as_bytes(std::span(data, size)));
  if (summary && summary->data_offset + summary->data_bytes > size && summary->tensor_count > 0) std::abort();
  return 0;
}
