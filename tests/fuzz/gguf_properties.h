// What must hold for every sequence of bytes that is given to the GGUF validator and rewriter; shared by the fuzz
// target and the test that runs its corpus.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace allod::test {

// Empty when all properties hold, else the one that does not.
std::string CheckGgufProperties(std::span<const std::byte> bytes);

}  // namespace allod::test
