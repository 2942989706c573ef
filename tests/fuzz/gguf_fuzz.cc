// libFuzzer target: validator and rewriter on arbitrary bytes. Whatever is accepted must lie within the file, and its
// canonical form must be accepted again, be canonical, and stay what it is.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "tests/fuzz/gguf_properties.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (!allod::test::CheckGgufProperties(std::as_bytes(std::span(data, size))).empty()) std::abort();
  return 0;
}
